"""ImageNet weights by name: torchvision's file for each backbone, downloaded once and checked."""

from pathlib import Path

from gcn_jax.downloads import published_file
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
    digest = url.removesuffix(".pth").rpartition("-")[2]
    return published_file(url, "weights", "sha256", digest, f"backbone_weights={IMAGENET}")
