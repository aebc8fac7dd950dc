"""ImageNet weights by name: torchvision's file for each backbone, downloaded once and checked."""

import hashlib
import os
from pathlib import Path

from gcn_jax.downloads import alone_in, download
from gcn_jax.errors import UserError
from gcn_jax.hub import is_on_hub, weights_file
from gcn_jax.weights.registry import SOURCE_FILES

#: What stands for the published ImageNet weights of a backbone where a file could stand, too.
IMAGENET = "imagenet"

#: Architecture -> torchvision's `IMAGENET1K_V1`, or a repository on the hub. The name of
#: torchvision's file ends in the first eight digits of its sha256, by which `torch.hub` checks it,
#: too; those of the hub are checked by its client.
FILES = {
    name: url
    for source in SOURCE_FILES
    for name, url in source.ARCHITECTURES.items()
    if url is not None
}


def imagenet_file(architecture: str) -> Path:
    """Return where the ImageNet weights of a backbone lie; download them if they are not there.

    They lie in `gcn_jax/weights` of `$XDG_CACHE_HOME`, by default `~/.cache`; those of the hub in
    its own cache. A download that broke off goes on where it ended.

    Args:
        architecture: A key of `FILES`.

    Raises:
        UserError: No file is known for it, it cannot be had, or what is there is another file than
            was published.
    """
    if architecture not in FILES:
        raise UserError(
            f"backbone_weights={IMAGENET}: no file is known for {architecture}; there are files "
            f"for {', '.join(FILES)}. Name a file, or a repository as hf://owner/name"
        )
    url = FILES[architecture]
    if is_on_hub(url):
        return weights_file(url)
    name = url.rpartition("/")[2]
    folder = _cache()
    path = folder / name
    by_hand = f"fetch {url} by hand and put it at {path}"
    try:
        with alone_in(folder):
            if not path.exists():
                part = folder / f"{name}.part"
                download(url, part)
                try:
                    _check(part, url, by_hand)
                except UserError:
                    part.unlink()  # else every later download would go on with it
                    raise
                part.replace(path)
            else:
                _check(path, url, by_hand)
    except (OSError, ValueError) as error:  # those of requests are kinds of OSError
        raise UserError(
            f"backbone_weights={IMAGENET}: {url} cannot be downloaded ({error}); {by_hand}"
        ) from error
    return path


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gcn_jax" / "weights"


def _check(path: Path, url: str, by_hand: str) -> None:
    """Raise `UserError` where a file is not what was published."""
    expected = url.removesuffix(".pth").rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected):
        raise UserError(
            f"{path} is not the published file: its sha256 begins with {found[:8]}, not "
            f"{expected}; delete it if it is there and try again, or {by_hand}"
        )
