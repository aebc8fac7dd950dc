"""A user's own images, sorted into a folder for each class: for classification."""

from collections.abc import ItemsView, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.builders.examining import Examined
from gcn_jax.data.builders.folder_config import folder_config
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.files import IMAGE_SUFFIXES
from gcn_jax.data.problems import Pair, Problem, check_listing
from gcn_jax.data.split_names import split_name_problems
from gcn_jax.errors import UserError, setting


class ImageFolder(SegmentationBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """A folder `SPLIT/CLASS/*.jpg`, the layout of torchvision's data set of this name.

    The label of every pixel of an image is its class. Classes are numbered in the order of their
    names. Names that begin with a dot are skipped. The prepared copy is made anew when a file was
    added, removed or changed.

    Args:
        root: The folder.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
        bit_depth: How many bits the images use whose files have 16, such as 12; None for all.
    """

    def __init__(self, root: str, data_dir: str | None = None, *, bit_depth: int | None = None):
        self.bit_depth = bit_depth
        folders = [path for split in _folders(Path(root)) for path in _folders(split)]
        names = sorted({path.name for path in folders})
        if not 2 <= len(names) <= 255:
            raise Problem(
                "layout",
                f"image_folder: {root} has {len(names)} folders SPLIT/CLASS/, such as train/cat/; "
                "it must have 2 to 255 classes",
            )
        self._classes = ClassTable(tuple(names))
        splits: dict[str, list[Pair]] = {}
        for folder in folders:
            splits.setdefault(folder.parent.name, []).extend(
                (f"{folder.name}/{path.name}", path, names.index(folder.name))
                for path in sorted(folder.iterdir())
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
            )
        self._pairs, problems = check_listing(self.name, splits)
        self.problems = problems + split_name_problems(self.name, splits, Path(root))
        files = {split: [pair[:2] for pair in pairs] for split, pairs in self._pairs.items()}
        config = folder_config(Path(root), names, files, self.problems, bit_depth)
        super().__init__(data_dir=data_dir, config=config)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "ImageFolder":
        """Build from `config.data`: `manual_dir` is the folder."""
        if not settings.get("manual_dir"):
            raise UserError(
                f"image_folder: name the folder of your images with {setting('data.manual_dir')}"
            )
        return cls(
            settings["manual_dir"],
            data_dir=settings.get("data_dir"),
            bit_depth=settings.get("bit_depth"),
        )

    @property
    def classes(self) -> ClassTable:
        """The names of the folders, with VOC's colours."""
        return self._classes

    @property
    def collection(self) -> None:
        """None: images of two splits may share a name."""
        return None

    def raw_splits(self) -> ItemsView[str, list[Pair]]:
        """The images of each split, and the numbers of their classes."""
        return self._pairs.items()

    def examine(self, pair: Pair) -> Examined:
        """Read one image, and label it with its class."""
        key, path, number = pair
        examined = super().examine((key, path, None))
        if examined.image is None:
            return examined
        return examined._replace(label=np.full(examined.image.shape[:2], number, np.uint8))

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(pairs, split) for split, pairs in self._pairs.items()
        }


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise UserError(f"image_folder: {root} is not a folder; set {setting('data.manual_dir')}")
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
