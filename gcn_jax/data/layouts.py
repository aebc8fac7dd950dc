"""The layouts of folders of images and masks: docs/data.md has them as a table.

A layout is recognised by the names of folders; which mask belongs to which image is found by the
names of the files, by one rule for the whole data set.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gcn_jax.data.files import IMAGE_SUFFIXES, MASK_SUFFIXES
from gcn_jax.data.name_matching import Name, NameRule, find_name_rule, nearest
from gcn_jax.data.problems import Pair, Problem
from gcn_jax.data.shelves import Shelf, folder_of, holds, shelf, visible_files, visible_folders
from gcn_jax.data.split_lists import find_lists, listed_pairs, split_of_list
from gcn_jax.data.split_names import SPLIT_NAMES, canonical_split
from gcn_jax.errors import setting

#: What follows a split's name in the name of the folder of its masks, as in trainannot/.
_MASKS_OF_SPLIT = ("annot", "_masks", "_mask", "_labels", "_annotations")

#: Without lists or folders of their own, one image in ten goes to the split "val".
_VAL_ONE_IN = 10

#: Names of a folder of images, and of one of masks, in any case of letters.
IMAGE_FOLDERS = ("images", "imgs", "image", "img", "img_dir", "jpegimages", "leftimg8bit")
MASK_FOLDERS = (
    "masks", "mask", "annotations", "labels", "ann_dir", "segmentationclass",
    "segmentationclasspng", "gtfine", "gt", "gts", "groundtruth", "ground_truth", "segmentations",
)  # fmt: skip


class Layout(NamedTuple):
    """The findings in a folder.

    Attributes:
        splits: The pairs of each split.
        problems: What is wrong with the rest of the folder.
        is_listed: Whether lists say what is in a split: then an id names one image in all of them.
    """

    splits: dict[str, list[Pair]]
    problems: list[Problem]
    is_listed: bool = False


class _Place(NamedTuple):
    """Images and masks of one split: "" where the layout has none."""

    split: str
    where: str
    images: Shelf
    masks: Shelf


def find_layout(
    root: Path, mask_suffix: str | None = None, image_suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> Layout:
    """Recognise the layout of a folder and list the pairs of each split.

    Args:
        root: The folder.
        mask_suffix: The end of masks' names that images lack; None to find it.
        image_suffixes: Those of images that lie in a folder beside that of the masks.

    Raises:
        Problem: The folder has no layout that is known.
    """
    problems: list[Problem] = []
    images = folder_of(root, IMAGE_FOLDERS, image_suffixes)
    masks = folder_of(root, MASK_FOLDERS, MASK_SUFFIXES)
    if lists := find_lists(root):
        image_files = shelf(images, image_suffixes, problems) if images else {}
        mask_files = shelf(masks, MASK_SUFFIXES, problems) if masks else {}
        named = _by_split(lists, problems, split_of_list)
        splits, more = listed_pairs(root, named, image_files, mask_files, mask_suffix)
        if not splits and not problems + more:
            raise Problem(
                "layout",
                f"folder: {next(iter(lists)).parent}: no list names an image that has a mask in "
                f"{masks or root / 'SegmentationClass'}",
            )
        if splits.keys() == {"default"}:  # CVAT's only list
            splits = one_in_ten(splits["default"])
        return Layout(splits, problems + more, True)
    if images is not None and masks is not None:
        places = list(_parallel(images, masks, image_suffixes, problems))
    else:
        places = list(_named_by_both(root, problems))
        places = places or list(_split_folders(root, mask_suffix, problems))
    if not places and not problems:
        raise Problem("layout", _unknown(root))
    return _matched(places, mask_suffix, problems)


def _matched(places: Sequence[_Place], mask_suffix: str | None, problems: list[Problem]) -> Layout:
    """Match images and masks of all splits by one rule."""
    try:
        rule = find_name_rule(
            [(f"{place.split}/{name[0]}", name[1]) for place in places for name in place.images],
            {(f"{place.split}/{name[0]}", name[1]) for place in places for name in place.masks},
            places[0].where if places else "",
            mask_suffix,
        )
    except Problem as unmatched:
        return Layout({}, [*problems, unmatched])
    splits: dict[str, list[Pair]] = {}
    for place in places:
        if place.split == "test" and not _any_mask(place, rule):
            continue  # its labels are not public
        pairs, missing = [], []
        for name, path in place.images.items():
            mask = place.masks.get(rule.mask_of(name))
            if mask is None:
                missing.append(name)
            else:
                pairs.append(("/".join(filter(None, name)), path, mask))
        if missing:
            problems.append(_no_masks(place, missing, rule))
        splits[place.split] = pairs
    if splits.keys() == {""}:
        splits = one_in_ten(splits[""])
    return Layout(splits, problems)


def _any_mask(place: _Place, rule: NameRule) -> bool:
    return any(rule.mask_of(name) in place.masks for name in place.images)


def _no_masks(place: _Place, missing: Sequence[Name], rule: NameRule) -> Problem:
    """Say which images have no mask: once, with what the first one's would be called."""
    names = ["/".join(filter(None, name)) for name in missing]
    named = ", ".join(map(repr, names[:5]))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    verb, it = ("has", repr(names[0])) if len(names) == 1 else ("have", "them")
    expected = rule.mask_of(missing[0])[1]
    near = nearest(expected, [stem for _, stem in place.masks], 2)
    nearby = f" (nearest to {expected!r}: {', '.join(map(repr, near))})" if near else ""
    message = f"folder: {place.where}: {named}{more} {verb} no mask{nearby}; add it, or remove {it}"
    return Problem("missing mask", message, place.split or None)


def one_in_ten(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    """Deal pairs to train and val: one in ten, chosen by its id, validates, and at least one.

    Args:
        pairs: All of them.
    """
    chosen = {pair[0] for pair in pairs if _hash(pair[0]) % _VAL_ONE_IN == 0}
    chosen = chosen or {pair[0] for pair in pairs[-1:]}
    return {
        "train": [pair for pair in pairs if pair[0] not in chosen],
        "val": [pair for pair in pairs if pair[0] in chosen],
    }


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:8], "big")


def _parallel(
    images: Path, masks: Path, image_suffixes: Sequence[str], problems: list[Problem]
) -> Iterator[_Place]:
    """A folder of images beside one of masks, with the splits below both, or without splits."""
    splits = _by_split(visible_folders(images), problems)
    if not splits.keys() & set(SPLIT_NAMES.values()):  # at most groups, such as cities
        image_files = shelf(images, image_suffixes, problems)
        yield _Place("", str(images), image_files, shelf(masks, MASK_SUFFIXES, problems))
        return
    loose = [path for path in visible_files(images) if path.suffix.lower() in image_suffixes]
    if loose:
        message = (
            f"folder: {images}: {len(loose)} images, such as {loose[0].name}, lie beside the "
            f"folders of the splits ({', '.join(splits)}); move them into one, or remove them"
        )
        problems.append(Problem("layout", message))
    masks_of = _by_split(visible_folders(masks), problems)
    for split, folder in splits.items():
        if split in masks_of:
            image_files = shelf(folder, image_suffixes, problems, split)
            mask_files = shelf(masks_of[split], MASK_SUFFIXES, problems, split)
            yield _Place(split, str(folder), image_files, mask_files)
        elif split != "test":
            message = f"folder: {masks / folder.name} is missing"
            problems.append(Problem("layout", message, split))


def _named_by_both(root: Path, problems: list[Problem]) -> Iterator[_Place]:
    """Folders such as train_images and train_masks, or images_train and masks_train."""
    folders: dict[str, dict[str, Path]] = {"images": {}, "masks": {}}
    for folder in visible_folders(root):
        words = re.split("[_-]", folder.name.lower())
        splits = [canonical_split(word) for word in words if word in SPLIT_NAMES]
        for kind, names in (("images", IMAGE_FOLDERS), ("masks", MASK_FOLDERS)):
            if splits and any(word in names for word in words):
                first = folders[kind].setdefault(splits[0], folder)
                if first != folder:
                    message = f"folder: {folder} and {first.name} are both {kind} of {splits[0]!r}"
                    problems.append(Problem("layout", f"{message}; keep one", splits[0]))
    for split, images in folders["images"].items():
        if split in folders["masks"]:
            image_files = shelf(images, IMAGE_SUFFIXES, problems, split)
            mask_files = shelf(folders["masks"][split], MASK_SUFFIXES, problems, split)
            yield _Place(split, str(images), image_files, mask_files)
        elif split != "test":
            message = f"folder: {images} has no folder of masks of the split {split!r} beside it"
            problems.append(Problem("layout", message, split))


def _split_folders(
    root: Path, mask_suffix: str | None, problems: list[Problem]
) -> Iterator[_Place]:
    """Folders train, val, test: with folders in them or beside them, or with all files."""
    known = [folder for folder in visible_folders(root) if folder.name.lower() in SPLIT_NAMES]
    for split, folder in (_by_split(known, problems) or {"": root}).items():
        images = folder_of(folder, IMAGE_FOLDERS, IMAGE_SUFFIXES)
        masks = folder_of(folder, MASK_FOLDERS, MASK_SUFFIXES)
        beside = [root / f"{folder.name}{ending}" for ending in _MASKS_OF_SPLIT]
        beside = [path for path in beside if path.is_dir()]
        if images is None and masks is None and split and beside:
            images, masks = folder, beside[0]
        if images is not None and masks is not None:
            image_files = shelf(images, IMAGE_SUFFIXES, problems, split)
            mask_files = shelf(masks, MASK_SUFFIXES, problems, split)
            yield _Place(split, str(images), image_files, mask_files)
        elif images is None and masks is None:
            both = shelf(folder, MASK_SUFFIXES, problems, split, one_level=bool(split))
            of_images, of_masks = _told_apart(both, mask_suffix)
            if of_masks:
                yield _Place(split, str(folder), of_images, of_masks)


def _told_apart(files: Shelf, mask_suffix: str | None) -> tuple[Shelf, Shelf]:
    """Tell images from masks that lie in one folder: a mask's name is an image's and an ending."""
    endings: dict[str, int] = {}
    for folder, stem in files:
        for i, sign in enumerate(stem):
            if i and not sign.isalnum() and (folder, stem[:i]) in files:
                endings[stem[i:]] = endings.get(stem[i:], 0) + 1
    ending = mask_suffix or max(endings, key=lambda ending: endings[ending], default="")
    if not ending:
        return files, {}
    masks = {name: path for name, path in files.items() if name[1].endswith(ending)}
    return {name: path for name, path in files.items() if name not in masks}, masks


def _by_split(
    paths: Iterable[Path],
    problems: list[Problem],
    split_of: Callable[[str], str] = canonical_split,
) -> dict[str, Path]:
    """Name lists or folders after the splits; two for one split are a problem."""
    named: dict[str, Path] = {}
    for path in paths:
        split = split_of(path.stem if path.is_file() else path.name)
        first = named.setdefault(split, path)
        if first != path:
            message = f"folder: {path} and {first.name} are both the split {split!r}; keep one"
            problems.append(Problem("layout", message, split))
    return named


def _unknown(root: Path) -> str:
    """Say what a folder lacks, and what it has that comes near."""
    there = [folder.name for folder in visible_folders(root)]
    together = any(holds(folder, IMAGE_SUFFIXES, 1) for folder in [root, *visible_folders(root)])
    one_folder = f"; if images and masks lie in one folder, set {setting('data.mask_suffix')}"
    near = [f"{name}/" for name in nearest("images", there) + nearest("masks", there)]
    has = f"; it has {', '.join(dict.fromkeys(near))}" if near else "; it has no folders"
    return (
        f"folder: {root} has neither ImageSets/Segmentation/*.txt (VOC's layout) nor the folders "
        f"images/ and masks/{has}{one_folder * together}; docs/data.md "
        "lists all layouts that are known"
    )
