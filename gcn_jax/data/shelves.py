"""The files of a folder of images or of masks, by their names; none is missed silently."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from PIL import Image

from gcn_jax.data.files import IMAGE_SUFFIXES
from gcn_jax.data.name_matching import Name
from gcn_jax.data.problems import Problem

#: Files by their names.
Shelf = Mapping[Name, Path]

#: Images that are not read, but that nobody should miss silently.
_OTHER_IMAGES = {".npy", ".npz", ".heic", ".heif", ".dng", ".jxl", ".exr", ".mat"}


def folder_of(root: Path, names: Collection[str], suffixes: Sequence[str]) -> Path | None:
    """Return the folder of a known name that holds such files.

    Args:
        root: Where it lies.
        names: What it may be called, in small letters.
        suffixes: Those of the files.

    Returns:
        The folder; one without such files where there is no better, and None where there is none.

    Raises:
        Problem: There are several.
    """
    there = [folder for folder in visible_folders(root) if folder.name.lower() in names]
    filled = [folder for folder in there if holds(folder, suffixes)]
    if len(filled) > 1:  # as labelme writes its masks twice
        filled = [folder for folder in filled if holds(folder, IMAGE_SUFFIXES)]
    if len(filled) > 1:
        found = " and ".join(f"{folder.name}/" for folder in filled)
        raise Problem("layout", f"folder: {root} has {found}; keep one, and rename the others")
    return next(iter(filled or there), None)


def holds(folder: Path, suffixes: Sequence[str], levels: int = 3) -> bool:
    """Return whether a folder has files of some kinds.

    Args:
        folder: The folder.
        suffixes: Those of the files.
        levels: How many levels of folders are looked at.
    """
    files = any(path.suffix.lower() in suffixes for path in visible_files(folder))
    below = levels > 1 and any(
        holds(path, suffixes, levels - 1) for path in visible_folders(folder)
    )
    return files or below


def shelf(
    folder: Path,
    suffixes: Sequence[str],
    problems: list[Problem],
    split: str = "",
    *,
    one_level: bool = True,
) -> dict[Name, Path]:
    """List the files of a folder, and of the folders in it, by their names without suffix.

    Args:
        folder: The folder.
        suffixes: Those of the files.
        problems: What is wrong is added here: two files of one name, pictures of another kind,
            folders too deep down.
        split: The split that it belongs to; "" for none.
        one_level: Whether the folders in it are listed, too.
    """
    found: dict[Name, Path] = {}
    below = visible_folders(folder) if one_level else []
    skipped = []
    files = [("", path) for path in visible_files(folder)]
    files += [(city.name, path) for city in below for path in visible_files(city)]
    for group, path in files:
        suffix = path.suffix.lower()
        if suffix not in suffixes:
            if suffix in _OTHER_IMAGES | Image.registered_extensions().keys():
                skipped.append(path)
            continue
        first = found.setdefault((group, path.stem), path)
        if first != path:
            message = f"folder: {path} and {first} have the same name; remove or rename one"
            problems.append(Problem("same name", message, split or None))
    if skipped:
        message = (
            f"folder: {folder}: {len(skipped)} files, such as {skipped[0].name}, are of a kind "
            f"that is not read there; save them as one of {', '.join(suffixes)}, or remove them"
        )
        problems.append(Problem("kind of file", message, split or None))
    deep = [path for group in below for path in visible_folders(group) if holds(path, suffixes, 1)]
    if deep:
        message = f"folder: {deep[0]} is more than one folder below {folder}; move its files up"
        problems.append(Problem("layout", message, split or None))
    return found


def visible_files(folder: Path) -> list[Path]:
    """List the files of a folder, sorted, without those that tools leave behind."""
    return _visible(folder, Path.is_file)


def visible_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted, without those that tools leave behind."""
    return _visible(folder, Path.is_dir)


def _visible(folder: Path, is_kind: Callable[[Path], bool]) -> list[Path]:
    """List what is no leftover of tools, such as `.ipynb_checkpoints` or macOS's `._0.png`."""
    return sorted(
        path for path in folder.iterdir() if not path.name.startswith(".") and is_kind(path)
    )
