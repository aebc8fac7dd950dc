"""The Hugging Face hub: files of a repository, by "hf://owner/name"."""

from pathlib import Path

from gcn_jax.errors import UserError

#: What the name of a repository starts with, where a folder could stand too.
HUB = "hf://"


def is_on_hub(source: str | Path) -> bool:
    """Whether a source is a repository on the hub, not a path."""
    return str(source).startswith(HUB)


def hub_file(source: str, filename: str) -> Path:
    """Return where a file of a repository lies.

    It is downloaded once, then comes from huggingface_hub's cache while the hub has no newer one;
    with HF_HUB_OFFLINE=1 from the cache alone.

    Args:
        source: "hf://owner/name".
        filename: Its path in the repository.

    Raises:
        UserError: It cannot be had; the message says why.
    """
    import huggingface_hub  # here: most runs need no network

    try:
        return Path(huggingface_hub.hf_hub_download(source.removeprefix(HUB), filename))
    except (OSError, ValueError) as error:  # its errors are kinds of these
        raise UserError(
            f"{source}: {filename} cannot be had from the hub: {first_line(error)}"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [repr(error)])[0]
