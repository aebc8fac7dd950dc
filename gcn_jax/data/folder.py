"""A user's own images and masks, trainable by configuration alone."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from gcn_jax.data.builder import Pair, SegmentationBuilder
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import IMAGE_SUFFIXES
from gcn_jax.errors import UserError

#: Without lists or folders of their own, one image in ten goes to the split "val".
_VAL_ONE_IN = 10


class Folder(SegmentationBuilder, skip_registration=True):
    """A folder of images and masks, and a `classes.txt` with one class name a line.

    Three layouts are understood, in this order:

    1. PASCAL VOC's: `JPEGImages/`, `SegmentationClass/`, and `ImageSets/Segmentation/SPLIT.txt`
       with one image id a line; each list is a split.
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
        fingerprint = _fingerprint(self._classes.names, self._pairs)
        config = tfds.core.BuilderConfig(
            name=f"{self._root.resolve().name}-{fingerprint}", version=self.VERSION
        )
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

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(pairs, split) for split, pairs in self._pairs.items()
        }


def _class_names(path: Path) -> tuple[str, ...]:
    if not path.exists():
        raise UserError(f"folder: {path} is missing; write one class name a line, label 0 first")
    names = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    if not 2 <= len(names) <= 255 or len(set(names)) != len(names):
        raise UserError(f"folder: {path} must hold 2 to 255 different class names, one a line")
    return names


def _find_splits(root: Path) -> dict[str, list[Pair]]:
    """Recognise the layout and list the pairs of each split."""
    lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    if lists:
        images, masks = _by_stem(root / "JPEGImages"), _by_stem(root / "SegmentationClass")
        splits = {path.stem: path.read_text().split() for path in lists}
        return {
            split: [_pair(key, images, masks, root) for key in keys]
            for split, keys in splits.items()
        }
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


def _fingerprint(names: tuple[str, ...], splits: dict[str, list[Pair]]) -> str:
    """A name for exactly these classes and these files, by their paths, sizes and times."""
    digest = hashlib.sha256("\n".join(names).encode())
    for split, pairs in splits.items():
        for key, *paths in pairs:
            stats = [
                (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns)
                for path in paths
            ]
            digest.update(repr((split, key, stats)).encode())
    return digest.hexdigest()[:12]
