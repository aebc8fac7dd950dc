"""The raw data of a published data set, found where the user may mean it to be.

`data.manual_dir` names a folder, at any depth around or in the unpacked data; a folder that holds
the published archives; or one of these archives.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple, NoReturn

from gcn_jax.data.builders.download import Archive
from gcn_jax.errors import UserError, setting

#: How many folders below the one that is named are looked into, and how many in all.
_DEPTH, _MOST_FOLDERS = 3, 5_000

_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.gz|part|crdownload|download)$", re.IGNORECASE)

Files = list[tuple[Path, Archive]]


def _always(folder: Path) -> bool:
    return True


class Form(NamedTuple):
    """One of the forms in which a data set is published.

    Attributes:
        layout: Its folder in words, for an error.
        landmarks: What that folder holds, by which it is found; "a|b" for either.
        archives: What is published.
        accepts: Whether a folder with the landmarks is of this data set and not of its like.
    """

    layout: str
    landmarks: tuple[str, ...]
    archives: tuple[Archive, ...] = ()
    accepts: Callable[[Path], bool] = _always

    @property
    def needed(self) -> list[Archive]:
        """The archives that it cannot do without."""
        return [archive for archive in self.archives if not archive.optional]

    def is_in(self, folder: Path) -> bool:
        """Return whether a folder is the data's own.

        Args:
            folder: Any folder.
        """
        return all(self.find(folder, name) for name in self.landmarks) and self.accepts(folder)

    @staticmethod
    def find(folder: Path, landmark: str) -> Path | None:
        """Return what stands for a landmark, if there is something.

        Args:
            folder: Any folder.
            landmark: One of `landmarks`.
        """
        paths = (folder / name for name in landmark.split("|"))
        return next((path for path in paths if path.exists()), None)


def locate(
    name: str, path: Path, forms: Sequence[Form], look_alikes: Mapping[str, str]
) -> Path | Files:
    """Find a data set.

    Args:
        name: The data set.
        path: What the user names; it exists.
        forms: The forms of the data set, the best first.
        look_alikes: `fnmatch` patterns of files and folders that may be taken for it, and what they
            are.

    Returns:
        The folder of its unpacked data, or else its archives.

    Raises:
        UserError: Nothing is there, or not all of it, or there are several folders of it.
    """
    if path.is_file():
        return _take_file(name, path, forms)
    levels = []
    for folders in _walk(path):
        levels.append(folders)
        for form in forms:
            found = [folder for folder in folders if form.is_in(folder)]
            if len(found) > 1:
                raise UserError(
                    f"{name}: {path} holds it more than once, as {_list(found)}; name one of them "
                    f"with {_MANUAL_DIR}"
                )
            if found:
                return found[0]
    lying = [file for folders in levels for folder in folders for file in _archives_in(folder)]
    chosen = [_choose(form, lying) for form in forms]
    for form, files in zip(forms, chosen, strict=True):
        if form.needed and {archive for _, archive in files} >= set(form.needed):
            return files
    for form in forms:  # or the user is in it, not above
        for above in (path.resolve().parent, path.resolve().parent.parent):
            inner = path.resolve().relative_to(above).parts[0]
            if inner in _inner_names(form) and form.is_in(above):
                return above
    _refuse(name, path, forms, chosen, _near_misses(levels, lying, look_alikes))


_MANUAL_DIR = setting("data.manual_dir")


def _walk(root: Path) -> Iterator[list[Path]]:
    """Yield the folder, those in it, those in these, and so on."""
    level, seen = [root], 0
    for _ in range(_DEPTH + 1):
        yield level
        seen += len(level)
        below = (child for folder in level for child in _children(folder, os.DirEntry.is_dir))
        level = list(itertools.islice(below, max(0, _MOST_FOLDERS - seen)))


def _children(folder: Path, is_meant: Callable[[os.DirEntry], bool]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if is_meant(entry))
    except OSError:  # not ours to look into
        return []
    return [folder / name for name in names if not name.startswith((".", "__"))]


def _archives_in(folder: Path) -> list[Path]:
    return _children(folder, lambda one: bool(_ARCHIVE.search(one.name)) and one.is_file())


def _is_named(file: Path, archive: Archive) -> bool:
    name = re.sub(r" ?\(\d+\)", "", file.name).lower()  # as browsers call a second download
    return any(fnmatch(name, pattern.lower()) for pattern in archive.file_names)


def _choose(form: Form, lying: Sequence[Path]) -> Files:
    """Take the first file of each archive: files come from the outermost folder on."""
    firsts = ((next((f for f in lying if _is_named(f, a)), None), a) for a in form.archives)
    return [(file, archive) for file, archive in firsts if file is not None]


def _take_file(name: str, path: Path, forms: Sequence[Form]) -> Files:
    """Take an archive that the user names, and those beside it that belong to it."""
    for form in forms:
        files = _choose(form, [path, *_archives_in(path.parent)])
        if path in (file for file, _ in files):
            if {archive for _, archive in files} >= set(form.needed):
                return files
            _refuse(name, path.parent, [form], [files], [])
    for form in forms:
        if len(form.needed) == 1 and _ARCHIVE.search(path.name):
            return [(path, form.needed[0])]
    names = ", ".join(a.file_names[0] for form in forms for a in form.archives)
    raise UserError(f"{name}: {path} is none of its archives; they are {names}")


def _inner_names(form: Form) -> set[str]:
    return {part.split("/")[0] for names in form.landmarks for part in names.split("|")}


def _near_misses(
    levels: Sequence[Sequence[Path]], lying: Sequence[Path], look_alikes: Mapping[str, str]
) -> list[str]:
    """Say what is there that was perhaps meant."""
    folders = [folder for level in levels for folder in level]
    misses = []
    for path in (*lying, *folders):
        what = next((w for p, w in look_alikes.items() if fnmatch(path.name.lower(), p)), None)
        if path.suffix in (".part", ".crdownload", ".download"):
            misses.append(f"{path.name}, a download that did not end")
        elif what:
            misses.append(f"{path.name}, which is {what}")
    return misses


def _refuse(
    name: str,
    path: Path,
    forms: Sequence[Form],
    chosen: Sequence[Files],
    near_misses: Sequence[str],
) -> NoReturn:
    """Say all that is missing."""
    form, files = max(zip(forms, chosen, strict=True), key=lambda pair: len(pair[1]))
    there = [archive for _, archive in files]
    missing = [archive for archive in form.needed if archive not in there]
    found = [form.find(path, names) for names in form.landmarks]
    holds = [str(one.relative_to(path)) for one in found if one]
    lacks = [names for names, one in zip(form.landmarks, found, strict=True) if not one]
    if holds and files:
        packed = ", ".join(file.name for file, _ in files)
        raise UserError(
            f"{name}: {path} holds a part of it unpacked, {', '.join(holds)}, and another as it "
            f"came, {packed}; unpack that, too, or name a folder that has all archives"
        )
    first = [names.partition("|")[0] for names in lacks or form.landmarks]
    message = f"{name}: {path} holds no {' and no '.join(first)}"
    if holds:
        message += f" beside {', '.join(holds)}"
    if missing:
        message += f"; nor the archives {' and '.join(map(_describe, missing))}"
        message += f" beside {_list([file for file, _ in files])}" if files else ""
    message += f" (looked {_DEPTH} folders deep)"
    if near_misses:
        message += f"; found {'; '.join(near_misses[:5])}"
    layouts = ", or ".join(one.layout for one in forms)
    raise UserError(f"{message}; {_MANUAL_DIR} names {layouts}, or the archives' folder")


def _describe(archive: Archive) -> str:
    where = f"{archive.url}, after a login" if archive.needs_login else archive.url
    return f"{archive.file_names[0]} (from {where})"


def _list(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
