"""The Hugging Face hub: files of a repository, by "hf://owner/name", at a revision if need be."""

from pathlib import Path

from gcn_jax.errors import UserError

#: What the name of a repository starts with, where a folder could stand too.
HUB = "hf://"
#: Where people see its repositories.
_PAGES = "https://huggingface.co"

#: How the names of files of weights end.
WEIGHTS = (".safetensors", ".pth", ".pt", "pytorch_model.bin", ".caffemodel")


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
            f"{source}: {filename} cannot be had from the hub ({first_line(error)}); by hand it is "
            f"{_PAGES}/{name}/resolve/{revision or 'main'}/{filename}: name that file in its place"
        ) from error


def split_address(source: str) -> tuple[str, str]:
    """Split an address into its repository, "hf://owner/name", and the file there, if it names one.

    Args:
        source: "hf://owner/name" or "hf://owner/name/path/of/the/file"; with "@revision" after the
            name if need be, which stays there.
    """
    owner, _, rest = source.removeprefix(HUB).partition("/")
    name, _, filename = rest.partition("/")
    return f"{HUB}{owner}/{name}", filename


def weights_file(source: str) -> Path:
    """Return where a file of weights of a repository lies.

    Args:
        source: "hf://owner/name" of a repository with one file of weights (of transformers' two,
            model.safetensors and pytorch_model.bin, it is the former), or
            "hf://owner/name/path/of/the/file"; with "@revision" after the name if need be.

    Raises:
        UserError: It cannot be had, or the repository has none or several of them.
    """
    repository, filename = split_address(source)
    if not filename:
        found = [file for file in _list_files(repository) if file.endswith(WEIGHTS)]
        if "model.safetensors" in found:  # the same weights, as transformers writes them
            found = [file for file in found if file != "pytorch_model.bin"]
        if len(found) != 1:
            has = f"has {', '.join(found)}" if found else f"has no file that ends in {WEIGHTS}"
            raise UserError(f"{source} {has}; name one file as {repository}/FILE")
        (filename,) = found
    return hub_file(repository, filename)


def _list_files(source: str) -> list[str]:
    """Return the paths of all files of a repository, offline those in the cache."""
    import huggingface_hub

    name, _, revision = source.removeprefix(HUB).partition("@")
    try:
        if not huggingface_hub.constants.HF_HUB_OFFLINE:
            return huggingface_hub.list_repo_files(name, revision=revision or None)
        folder = Path(
            huggingface_hub.snapshot_download(
                name, revision=revision or None, local_files_only=True
            )
        )
    except Exception as error:  # the hub's own, or those of the HTTP client it is made with
        raise UserError(
            f"{source}: cannot be had from the hub ({first_line(error)}); by hand fetch its files "
            f"from {_PAGES}/{name}/tree/{revision or 'main'}, and name the one of weights in its "
            "place"
        ) from error
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [repr(error)])[0]
