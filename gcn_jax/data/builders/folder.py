"""A user's own images and masks, trainable by configuration alone."""

from collections.abc import Collection, ItemsView, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.data import files
from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.builders.folder_config import folder_config
from gcn_jax.data.class_lists import ClassList, read_class_list
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.consistency import Consistency
from gcn_jax.data.copies import Copies
from gcn_jax.data.layouts import Layout, find_layout
from gcn_jax.data.problems import Pair, Problem, check_listing, refuse
from gcn_jax.data.split_names import split_name_problems
from gcn_jax.data.survey import survey
from gcn_jax.errors import UserError, setting
from gcn_jax.terminal import say


class Folder(SegmentationBuilder, skip_registration=True):  # type: ignore[call-arg]  # TFDS has no types
    """A folder of images and masks, and a list of their classes.

    The layouts, names and class lists that are understood are a table in docs/data.md. The pixel
    values of a mask are the numbers of its classes (from 0), and 255 for void. Names that begin
    with a dot are skipped. The prepared copy is made anew when a file was added, removed or
    changed.

    Args:
        root: The folder.
        data_dir: Where prepared data sets are kept; by default TFDS's own folder.
        mask_suffix: The end of masks' names that images lack, such as "_mask"; None to find it.
        reduce_zero_label: Whether 0 in the masks is void and 1 is the first class, as in ADE20K.
        void_labels: Values in the masks, as they are stored, that are void like 255.
        bit_depth: How many bits the images use whose files have 16, such as 12; None for all.
        channels: How many channels the images have: 3 are RGB, whatever the files hold; of another
            number all files are, see `load_channels`.
    """

    def __init__(
        self,
        root: str,
        data_dir: str | None = None,
        *,
        mask_suffix: str | None = None,
        reduce_zero_label: bool = False,
        void_labels: Sequence[int] = (),
        bit_depth: int | None = None,
        channels: int = 3,
    ):
        self._root = Path(root)
        if not self._root.is_dir():
            raise UserError(f"folder: {root} is not a folder; set {setting('data.manual_dir')}")
        self._reduce_zero_label, self._void_labels = reduce_zero_label, tuple(void_labels)
        self.bit_depth, self.channels = bit_depth, channels
        suffixes = files.IMAGE_SUFFIXES if channels == 3 else (*files.IMAGE_SUFFIXES, ".npy")
        class_list, layout = _read(self._root, mask_suffix, suffixes)
        self._classes = class_list.table
        self._is_listed = layout.is_listed
        self._pairs, problems = check_listing(self.name, layout.splits)
        self.problems = [
            *layout.problems,
            *problems,
            *split_name_problems(self.name, self._pairs, self._root),
        ]
        self.remarks = [*class_list.remarks, *_missing_splits(self._pairs)]
        settings = f"{reduce_zero_label} {self._void_labels} {self._classes.colors}"
        config = folder_config(
            self._root,
            [*self._classes.names, settings],
            self._pairs,
            self.problems,
            bit_depth,
            channels,
        )
        super().__init__(data_dir=data_dir, config=config)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Folder":
        """Build from `config.data`: `manual_dir` is the folder."""
        if not settings.get("manual_dir"):
            raise UserError(
                f"folder: name the folder of your data with {setting('data.manual_dir')}"
            )
        return cls(
            settings["manual_dir"],
            data_dir=settings.get("data_dir"),
            mask_suffix=settings.get("mask_suffix"),
            reduce_zero_label=settings.get("reduce_zero_label") or False,
            void_labels=settings.get("void_labels") or (),
            bit_depth=settings.get("bit_depth"),
            channels=settings.get("channels", 3),
        )

    @property
    def classes(self) -> ClassTable:
        """The names in the list of classes, with its colours, or VOC's where it has none."""
        return self._classes

    @property
    def collection(self) -> str | None:
        """The folder where lists name its images; else those of two splits may share a name."""
        return str(self._root.resolve()) if self._is_listed else None

    def raw_splits(self) -> ItemsView[str, list[Pair]]:
        """The pairs of each split."""
        return self._pairs.items()

    def consistency(self) -> Consistency:
        """Return what compares the files with one another."""
        reduces_zero = self._reduce_zero_label
        return Consistency(
            self.name, self.classes, reduces_zero=reduces_zero, bit_depth=self.bit_depth
        )

    def download_and_prepare(self, **kwargs) -> None:
        """Look at the whole set first, as validation does; then prepare it."""
        refuse(self.problems)
        parts = [(split, pairs, self.look) for split, pairs in self._pairs.items()]
        copies = Copies(by_id=self._is_listed)
        num_classes = len(self.classes.names)
        found = survey(self.name, parts, num_classes, copies, self.consistency())
        refuse(found.problems)
        for remark in self.remarks:  # those on the files follow, once they are prepared
            say(f"remark: {remark}")
        super().download_and_prepare(**kwargs)

    def _load_label(self, path: Path) -> tuple[np.ndarray, files.MaskFacts]:
        mask, facts = files.load_mask(path, self._void_labels)
        return self._as_label(mask), facts

    def _as_label(self, mask: np.ndarray) -> np.ndarray:
        """Number the classes from 0 where 0 is void in the files."""
        if not self._reduce_zero_label:
            return mask
        # 0 wraps to 255, which is void, and so is what was 255 before.
        return np.where(mask == IGNORE_LABEL, mask, mask - np.uint8(1))

    def _split_generators(self, dl_manager):
        del dl_manager
        return {
            split: self._generate_examples(pairs, split) for split, pairs in self._pairs.items()
        }


def _missing_splits(splits: Collection[str]) -> list[str]:
    """Say what the config of folders will not find."""
    missing = [split for split in ("train", "val") if split not in splits]
    if not missing:
        return []
    return [
        f"there is no split {' or '.join(missing)}, which configs/folder.py names, but "
        f"{', '.join(splits)}: say so with --config.data.train and --config.data.val"
    ]


def _read(
    root: Path, mask_suffix: str | None, image_suffixes: Sequence[str]
) -> tuple[ClassList, Layout]:
    """Read the classes and find the files; what is wrong with either is said at once."""
    problems: list[Problem] = []
    try:
        class_list = read_class_list(root)
    except Problem as problem:
        problems.append(problem)
    try:
        layout = find_layout(root, mask_suffix, image_suffixes)
    except Problem as problem:
        problems.append(problem)
    else:
        problems += layout.problems if problems or not layout.splits else []
    refuse(problems)
    return class_list, layout
