"""The Hugging Face hub: files of a repository, by "hf://owner/name", at a revision if need be."""

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
    with HF_HUB_OFFLINE=1 from the cache alone. With the name of a commit as its revision, a source
    stands for the same bytes for ever.

    Args:
        source: "hf://owner/name", or "hf://owner/name@revision" with the name of a commit, a tag or
            a branch; by default it is the branch "main".
        filename: Its path in the repository.

    Raises:
        UserError: It cannot be had; the message says why.
    """
    import huggingface_hub  # here: most runs need no network

    name, at, revision = source.removeprefix(HUB).partition("@")
    if at and not revision:
        raise UserError(f"{source}: there is no revision after the @; leave it out, or name one")
    try:
        path = huggingface_hub.hf_hub_download(name, filename, revision=revision or None)
        return Path(path)
    except (OSError, ValueError) as error:  # its errors are kinds of these
        raise UserError(
            f"{source}: {filename} cannot be had from the hub: {first_line(error)}"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [repr(error)])[0]
