"""ImageNet weights by name: torchvision's file for each backbone, downloaded once and checked."""

from pathlib import Path

from gcn_jax.downloads import check_digest, published_file
from gcn_jax.errors import UserError
from gcn_jax.hub import is_on_hub, weights_file
from gcn_jax.weights.pinned import Pinned
from gcn_jax.weights.registry import SOURCE_FILES

#: What stands for the published ImageNet weights of a backbone where a file could stand, too.
IMAGENET = "imagenet"

#: Architecture -> torchvision's `IMAGENET1K_V1`, or what lies at a commit of a repository on the
#: hub.
FILES: dict[str, Pinned] = {
    name: pinned
    for source in SOURCE_FILES
    for name, pinned in source.ARCHITECTURES.items()
    if pinned is not None
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
    address, sha256 = FILES[architecture]
    if is_on_hub(address):
        path = weights_file(address)
        if sha256:
            check_digest(path, "sha256", sha256, f"fetch it from {address} by hand")
        return path
    return published_file(address, "weights", "sha256", sha256, f"backbone_weights={IMAGENET}")
