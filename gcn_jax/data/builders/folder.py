"""A user's own images and masks, trainable by configuration alone."""

import hashlib
import re
from collections.abc import ItemsView, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gcn_jax.data.builders.base import SegmentationBuilder, folder_config
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import IMAGE_SUFFIXES, read_lines
from gcn_jax.data.problems import Pair, Problem, check_listing
from gcn_jax.errors import UserError, setting

#: Without lists or folders of their own, one image in ten goes to the split "val".
_VAL_ONE_IN = 10

#: The pairs of each split, and what is wrong with the rest of the folder.
_Found = tuple[dict[str, list[Pair]], list[Problem]]


class Folder(SegmentationBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """A folder of images and masks, and a `classes.txt` with one class name a line.

    Three layouts are understood, in this order:

    1. PASCAL VOC's: `JPEGImages/`, `SegmentationClass/`, and `ImageSets/Segmentation/SPLIT.txt`
       with one image id a line; each list is a split, but for lists without a single mask (a
       test set whose labels are not public), which are left out.
    2. `images/SPLIT/` and `masks/SPLIT/`: each folder is a split.
    3. `images/` and `masks/`: one image in ten, chosen by its name, is "val", the rest "train".

    A mask has the name of its image (`.png`, or another lossless image); its pixel values are line
    numbers of `classes.txt` (from 0), and 255 for void. Names that begin with a dot are skipped.
    The prepared copy is made anew when a file was added, removed or changed.

    Args:
        root: The folder.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
    """

    def __init__(self, root: str, data_dir: str | None = None):
        self._root = Path(root)
        if not self._root.is_dir():
            raise UserError(f"folder: {root} is not a folder; set {setting('data.manual_dir')}")
        self._classes = ClassTable(_class_names(self._root / "classes.txt"))
        splits, problems = _find_splits(self._root)
        self._pairs, more_problems = check_listing(self.name, splits)
        self.problems = (
            problems + more_problems + split_name_problems(self.name, self._pairs, self._root)
        )
        config = folder_config(self._root, self._classes.names, self._pairs, self.problems)
        super().__init__(data_dir=data_dir, config=config)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Folder":
        """Build from `config.data`: `manual_dir` is the folder."""
        if not settings.get("manual_dir"):
            raise UserError(
                f"folder: name the folder of your data with {setting('data.manual_dir')}"
            )
        return cls(settings["manual_dir"], data_dir=settings.get("data_dir"))

    @property
    def classes(self) -> ClassTable:
        """The lines of `classes.txt`, with VOC's colours."""
        return self._classes

    @property
    def collection(self) -> str | None:
        """The folder in VOC's layout; elsewhere images of two splits may share a name."""
        listed = (self._root / "ImageSets" / "Segmentation").is_dir()
        return str(self._root.resolve()) if listed else None

    def raw_splits(self) -> ItemsView[str, list[Pair]]:
        """The pairs of each split."""
        return self._pairs.items()

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(pairs, split) for split, pairs in self._pairs.items()
        }


def _class_names(path: Path) -> tuple[str, ...]:
    if not path.exists():
        message = f"folder: {path} is missing; write one class name a line, label 0 first"
        raise Problem("class names", message)
    names = tuple(read_lines(path))
    if not 2 <= len(names) <= 255 or len(set(names)) != len(names):
        message = f"folder: {path} must hold 2 to 255 different class names, one a line"
        raise Problem("class names", message)
    return names


def _find_splits(root: Path) -> _Found:
    """Recognise the layout and list the pairs of each split."""
    lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
    if lists:
        return _listed(root, lists)
    images, masks = root / "images", root / "masks"
    if not (images.is_dir() and masks.is_dir()):
        raise Problem(
            "layout",
            f"folder: {root} has neither ImageSets/Segmentation/*.txt (VOC's layout) nor the "
            "folders images/ and masks/",
        )
    splits = sorted(
        path.name for path in images.iterdir() if path.is_dir() and not _is_hidden(path)
    )
    if splits:
        found = {split: _matched(images / split, masks / split, split) for split in splits}
        pairs_of = {split: pairs for split, (pairs, _) in found.items()}
        return pairs_of, [problem for _, problems in found.values() for problem in problems]
    pairs, problems = _matched(images, masks)
    val = [pair for pair in pairs if _hash(pair[0]) % _VAL_ONE_IN == 0] or pairs[-1:]
    return {"train": [pair for pair in pairs if pair not in val], "val": val}, problems


def _listed(root: Path, lists: Sequence[Path]) -> _Found:
    """Match the ids of VOC's lists; a list without a single mask is no split."""
    images, image_problems = _by_stem(root / "JPEGImages")
    masks, mask_problems = _by_stem(root / "SegmentationClass")
    splits, problems = {}, image_problems + mask_problems
    for path in lists:
        keys = read_lines(path)
        if not masks.keys().isdisjoint(keys):
            splits[path.stem], more_problems = _pairs(keys, images, masks, path, path.stem)
            problems += more_problems
    if not splits and not problems:
        raise Problem(
            "layout",
            f"folder: {lists[0].parent}: no list names an image that has a mask in "
            f"{root / 'SegmentationClass'}",
        )
    return splits, problems


def split_name_problems(data_set: str, names: Iterable[str], root: Path) -> list[Problem]:
    """Find names of splits in a folder that TFDS could not prepare, or not find again.

    Args:
        data_set: The data set, for the messages.
        names: The names of its splits.
        root: The folder.
    """
    return [
        Problem(
            "name of a split",
            f"{data_set}: {root}: no split can be called {name!r}; rename its list or folder (to "
            "letters, digits, _ and -, but not 'all', which is every split to TFDS)",
            name,
        )
        for name in names
        if name.lower() == "all" or not re.fullmatch(r"[\w-]+", name)
    ]


def _matched(
    images: Path, masks: Path, split: str | None = None
) -> tuple[list[Pair], list[Problem]]:
    """Match the files of two folders by their names; an image needs a mask."""
    try:
        (by_image, image_problems), (by_mask, mask_problems) = _by_stem(images), _by_stem(masks)
    except Problem as problem:  # a folder is missing; other splits may be whole
        return [], [Problem(problem.kind, str(problem), split)]
    pairs, problems = _pairs(by_image, by_image, by_mask, images, split)
    return pairs, image_problems + mask_problems + problems


def _by_stem(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """The image files of a folder by their names without suffix."""
    if not folder.is_dir():
        raise Problem("layout", f"folder: {folder} is missing")
    by_stem: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or _is_hidden(path):
            continue
        first = by_stem.setdefault(path.stem, path)
        if first != path:
            message = f"folder: {path} and {first} have the same name; remove or rename one"
            problems.append(Problem("same name", message))
    return by_stem, problems


def _pairs(
    keys: Iterable[str],
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    where: Path,
    split: str | None,
) -> tuple[list[Pair], list[Problem]]:
    """Make a pair of each id that has an image and a mask."""
    pairs, problems = [], []
    for key in keys:
        missing = [name for name, of in (("image", images), ("mask", masks)) if key not in of]
        for name in missing:
            message = f"folder: {where}: {key!r} has no {name}; add it, or remove {key!r}"
            problems.append(Problem(f"missing {name}", message, split))
        if not missing:
            pairs.append((key, images[key], masks[key]))
    return pairs, problems


def _is_hidden(path: Path) -> bool:
    """Whether it is what tools leave behind, such as `.ipynb_checkpoints` or macOS's `._0.png`."""
    return path.name.startswith(".")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
