"""A user's own images and masks, trainable by configuration alone."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn_jax.data.builder import Pair, SegmentationBuilder, folder_config
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import IMAGE_SUFFIXES, read_lines
from gcn_jax.errors import UserError

#: Without lists or folders of their own, one image in ten goes to the split "val".
_VAL_ONE_IN = 10


class Folder(SegmentationBuilder, skip_registration=True):
    """A folder of images and masks, and a `classes.txt` with one class name a line.

    Three layouts are understood, in this order:

    1. PASCAL VOC's: `JPEGImages/`, `SegmentationClass/`, and `ImageSets/Segmentation/SPLIT.txt`
       with one image id a line; each list is a split, but for lists without a single mask (a
       test set whose labels are not public), which are left out.
    2. `images/SPLIT/` and `masks/SPLIT/`: each folder is a split.
    3. `images/` and `masks/`: one image in ten, chosen by its name, is "val", the rest "train".

    A mask has the name of its image (`.png`, or another lossless image); its pixel values are line
    numbers of `classes.txt` (from 0), and 255 for void. The prepared copy is made anew when a file
    was added, removed or changed.

    Args:
        root: The folder.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
    """

    def __init__(self, root: str, data_dir: str | None = None):
        self._root = Path(root)
        if not self._root.is_dir():
            raise UserError(f"folder: {root} is not a folder; set --config.data.manual_dir")
        self._classes = ClassTable(_class_names(self._root / "classes.txt"))
        self._pairs = _find_splits(self._root)
        _check_split_names(self._pairs, self._root)
        config = folder_config(self._root, self._classes.names, self._pairs)
        super().__init__(data_dir=data_dir, config=config)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Folder":
        """Build from `config.data`: `manual_dir` is the folder."""
        if not options.get("manual_dir"):
            raise UserError("folder: name the folder of your data with --config.data.manual_dir")
        return cls(options["manual_dir"], data_dir=options.get("data_dir"))

    @property
    def classes(self) -> ClassTable:
        """The lines of `classes.txt`, with VOC's colours."""
        return self._classes

    @property
    def collection(self) -> str | None:
        """The folder in VOC's layout; elsewhere images of two splits may share a name."""
        listed = (self._root / "ImageSets" / "Segmentation").is_dir()
        return str(self._root.resolve()) if listed else None

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(pairs, split) for split, pairs in self._pairs.items()
        }


def _class_names(path: Path) -> tuple[str, ...]:
    if not path.exists():
        raise UserError(f"folder: {path} is missing; write one class name a line, label 0 first")
    names = tuple(read_lines(path))
    if not 2 <= len(names) <= 255 or len(set(names)) != len(names):
        raise UserError(f"folder: {path} must hold 2 to 255 different class names, one a line")
    return names


def _find_splits(root: Path) -> dict[str, list[Pair]]:
    """Recognise the layout and list the pairs of each split."""
    lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    if lists:
        return _listed(root, lists)
    if not ((root / "images").is_dir() and (root / "masks").is_dir()):
        raise UserError(
            f"folder: {root} has neither ImageSets/Segmentation/*.txt (VOC's layout) nor the "
            "folders images/ and masks/"
        )
    folders = sorted(path.name for path in (root / "images").iterdir() if path.is_dir())
    if folders:
        return {
            split: _matched(root / "images" / split, root / "masks" / split) for split in folders
        }
    pairs = _matched(root / "images", root / "masks")
    val = [pair for pair in pairs if _hash(pair[0]) % _VAL_ONE_IN == 0] or pairs[-1:]
    return {"train": [pair for pair in pairs if pair not in val], "val": val}


def _listed(root: Path, lists: Sequence[Path]) -> dict[str, list[Pair]]:
    """Match the ids of VOC's lists; a list without a single mask is no split."""
    images, masks = _by_stem(root / "JPEGImages"), _by_stem(root / "SegmentationClass")
    splits = {}
    for path in lists:
        keys = read_lines(path)
        for key, count in Counter(keys).most_common(1):
            if count > 1:
                raise UserError(f"folder: {path} lists {key!r} {count} times")
        if not masks.keys().isdisjoint(keys):
            splits[path.stem] = [_pair(key, images, masks, root) for key in keys]
    if not splits:
        raise UserError(
            f"folder: {lists[0].parent}: no list names an image that has a mask in "
            f"{root / 'SegmentationClass'}"
        )
    return splits


def _check_split_names(names: Iterable[str], root: Path) -> None:
    """Refuse names that TFDS could not prepare, or not find again."""
    for name in names:
        if name.lower() == "all" or not re.fullmatch(r"[\w-]+", name):
            raise UserError(
                f"folder: {root}: no split can be called {name!r}; rename its list or folder (to "
                "letters, digits, _ and -, but not 'all', which is every split to TFDS)"
            )


def _matched(images: Path, masks: Path) -> list[Pair]:
    by_image, by_mask = _by_stem(images), _by_stem(masks)
    return [_pair(key, by_image, by_mask, images.parent) for key in by_image]


def _by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by their names without suffix."""
    if not folder.is_dir():
        raise UserError(f"folder: {folder} is missing")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    by_stem = {path.stem: path for path in paths}
    if len(by_stem) != len(paths):
        twice = next(path for path in paths if by_stem[path.stem] != path)
        raise UserError(f"folder: {twice} and {by_stem[twice.stem]} have the same name")
    return by_stem


def _pair(key: str, images: dict[str, Path], masks: dict[str, Path], root: Path) -> Pair:
    for kind, paths in (("image", images), ("mask", masks)):
        if key not in paths:
            raise UserError(f"folder: {root}: {key!r} has no {kind}")
    return key, images[key], masks[key]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
