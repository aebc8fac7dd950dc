"""Lists that say which images a split has: ids, names of files, or images with their masks."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcn_jax.data.files import IMAGE_SUFFIXES, MASK_SUFFIXES, read_lines
from gcn_jax.data.name_matching import Name, find_name_rule
from gcn_jax.data.problems import Pair, Problem
from gcn_jax.data.split_names import SPLIT_NAMES, canonical_split

#: Folders of lists.
_PLACES = ("ImageSets/Segmentation", "ImageSets")
_SPLITS = frozenset(SPLIT_NAMES.values())


def find_lists(root: Path) -> list[Path]:
    """Return the lists of a folder: all of VOC's place, or those called like a split.

    Args:
        root: The folder.
    """
    for place in _PLACES:
        if lists := sorted((root / place).glob("*.txt")):
            return lists
    named = (path for path in root.glob("*.txt") if split_of_list(path.stem) in _SPLITS)
    return sorted(named)


def split_of_list(stem: str) -> str:
    """Return the split of a list: of `train_list` or `trainfiles` it is train.

    Args:
        stem: The name of the list.
    """
    return canonical_split(re.sub(r"[_-]?(list|ids|files|images|names|set)$", "", stem, flags=re.I))


def listed_pairs(
    root: Path,
    lists: Mapping[str, Path],
    images: Mapping[Name, Path],
    masks: Mapping[Name, Path],
    mask_suffix: str | None,
) -> tuple[dict[str, list[Pair]], list[Problem]]:
    """Find the images and masks that lists name.

    Args:
        root: The folder, from which paths in lists go on.
        lists: The list of each split.
        images: The files of the folder of images.
        masks: The files of the folder of masks.
        mask_suffix: The end of masks' names that images lack; None to find it.

    Returns:
        The pairs of each split, without lists that name no image with a mask (a test set whose
        labels are not public); and what is wrong with the lists.
    """
    named = _named(images)
    entries: dict[str, list[tuple[str, Path | None, Path | None]]] = {}
    problems: list[Problem] = []
    for split, path in lists.items():
        entries[split] = []
        for line in read_lines(path):
            columns = None if line in named else _columns(line)
            if columns is not None:
                image, mask = _below(root, columns[0], images), _below(root, columns[1], masks)
                entries[split].append((image.stem, image, mask))
            elif key := _known(line, named):
                entries[split].append((key, images[named[key]], None))
            else:
                entries[split].append((line, None, None))
    keys = [name for of in entries.values() for key, *_ in of if (name := named.get(key))]
    try:
        rule = find_name_rule(dict.fromkeys(keys), masks, str(root), mask_suffix)
    except Problem as problem:
        return {}, [problem]
    splits: dict[str, list[Pair]] = {}
    for split, of in entries.items():
        pairs: list[Pair] = []
        lacking: dict[str, list[str]] = {"image": [], "mask": []}
        for key, image_path, mask_path in of:
            name = named.get(key, ("", key))
            mask_path = mask_path or masks.get(rule.mask_of(name))
            if image_path is not None and mask_path is not None:
                pairs.append((key, image_path, mask_path))
                continue
            for what, found in (("image", image_path), ("mask", mask_path)):
                if found is None:
                    lacking[what].append(key)
        if pairs or any(rule.mask_of(("", key)) in masks for key in lacking["image"]):
            splits[split] = pairs
            problems += [
                _lacking(lists[split], what, keys, split) for what, keys in lacking.items() if keys
            ]
    return splits, problems


def _lacking(path: Path, what: str, keys: Sequence[str], split: str) -> Problem:
    named = ", ".join(map(repr, keys[:5])) + (f" and {len(keys) - 5} more" * (len(keys) > 5))
    verb, it = ("has", repr(keys[0])) if len(keys) == 1 else ("have", "them")
    message = f"folder: {path}: {named} {verb} no {what}; add it, or remove {it}"
    return Problem(f"missing {what}", message, split)


def _named(files: Mapping[Name, Path]) -> dict[str, Name]:
    """What a list may call files: folder and stem, or the stem where only one has it."""
    stems = Counter(stem for _, stem in files)
    named = {"/".join(filter(None, name)): name for name in files}
    return named | {name[1]: name for name in files if stems[name[1]] == 1}


def _known(line: str, named: Mapping[str, Name]) -> str | None:
    """Return the image that a line names: its id, its file, or the last parts of a path."""
    stem = re.sub(f"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})$", "", line, flags=re.IGNORECASE)
    parts = stem.lstrip("/").split("/")
    for key in (line, stem, "/".join(parts[-2:]), parts[-1]):
        if key in named:
            return key
    return None


def _columns(line: str) -> tuple[str, str] | None:
    """Split a line into image and mask: at what separates two names of files."""
    image = "|".join(map(re.escape, IMAGE_SUFFIXES))
    mask = "|".join(map(re.escape, MASK_SUFFIXES))
    found = re.fullmatch(rf"(.+?(?:{image}))[\s,;]+(.+(?:{mask}))", line, re.IGNORECASE)
    return (found[1], found[2]) if found else None


def _below(root: Path, text: str, files: Mapping[Name, Path]) -> Path:
    """Return the file that a path means: below the folder, wherever its author had that."""
    parts = Path(text.strip("\"'").lstrip("/")).parts
    for count in range(len(parts), 1, -1):
        if root.joinpath(*parts[-count:]).exists():
            return root.joinpath(*parts[-count:])
    in_folder = files.get(("", Path(text).stem)) if len(parts) == 1 else None
    return in_folder or root.joinpath(*parts)  # which the check of all pairs finds missing
