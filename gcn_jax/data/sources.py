"""From a name such as "camvid:val" to examples that can be read by their index."""

import io
import itertools
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psutil
import tensorflow_datasets as tfds
from PIL import Image

from gcn_jax.data import images
from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.builders.registry import BUILDERS, make_builder, prepare_offline
from gcn_jax.data.channels import finer
from gcn_jax.data.mixture import Mixture, refuse_leak
from gcn_jax.data.npy import load_npy
from gcn_jax.data.problems import reading_prepared
from gcn_jax.data.statistics import LabelStatistics
from gcn_jax.errors import UserError, check_choice

_ENCODED = tfds.decode.SkipDecoding()


class Source:
    """One split of a prepared data set, read by index (thread-safe).

    Attributes:
        name: What was asked for, such as `"camvid:val"`.
        class_names: The names of labels 0..C-1.
        palette: uint8 `[256, 3]`, the colour of each label; row 255 is void's.
        image_dtype: That of all images: uint8, or uint16 in 0..65535 where a file of the data set
            has 16 bits and `data.channels` is not 3.
    """

    def __init__(self, builder: SegmentationBuilder, split: str, extra: Sequence[str] = ()):
        self.name = f"{builder.name}:{split}"
        self.class_names = builder.classes.names
        self.palette = builder.classes.palette
        self.image_dtype = builder.image_dtype
        self._builder, self._extra = builder, tuple(extra)
        self._split = builder.combined_splits.get(split, split)  # such as "train+val"
        encoded = dict.fromkeys(("image", "label", *extra), _ENCODED)
        with reading_prepared(builder.data_path):
            self._records = builder.as_data_source(self._split, decoders=encoded)
        self._cache: dict[int, dict[str, Any]] | None = None

    @property
    def identities(self) -> frozenset[tuple[str, str]]:
        """What tells its images from all others: (collection, id); no image is read for it."""
        builder = self._builder
        return frozenset(
            (builder.collection or f"{builder.name}:{part}", key)
            for part in self._split.split("+")
            for key in builder.ids(part)
        )

    @property
    def label_statistics(self) -> LabelStatistics:
        """How often each class occurs; no image is read for it."""
        none = LabelStatistics.empty(len(self.class_names))
        return sum(map(self._builder.label_statistics, self._split.split("+")), start=none)

    @property
    def is_labelled(self) -> bool:
        """Whether the examples have labels; those of a test split may be secret."""
        return bool(self._record(0)["label"])

    @property
    def decoded_size(self) -> float:
        """About how many bytes all images and labels take in memory: judged by 64 of them."""
        sizes = self.sampled_sizes
        pixels = sum(height * width for height, width in sizes) / len(sizes)
        image_bytes = self._builder.channels * self.image_dtype.itemsize
        return len(self) * pixels * (image_bytes + 1 + len(self._extra))

    @property
    def sampled_sizes(self) -> list[tuple[int, int]]:
        """The (height, width) of about 64 images, evenly among all; they are not decoded."""
        every = max(1, len(self) // 64)
        return [self._size(self._record(i)) for i in range(0, len(self), every)]

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """The (height, width) of every image by its id; all records are read, none is decoded."""
        records = map(self._record, range(len(self)))
        return {record["id"].decode(): self._size(record) for record in records}

    def _size(self, record: dict[str, Any]) -> tuple[int, int]:
        with reading_prepared(self._builder.data_path):
            if self._builder.channels != 3:
                return self._image(record["image"]).shape[:2]
            width, height = Image.open(io.BytesIO(record["image"])).size
        return height, width

    def cache_in_memory(self) -> None:
        """Keep each example, decoded, from its first reading on: for a set that fits."""
        self._cache = {}

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read one example.

        Returns:
            `{"image": uint8 [H, W, 3] RGB, "label": uint8 [H, W], "id": str}` and the extra
            features that were asked for, uint8 `[H, W]`; no "label" in a split without labels.
            Images have the channels of `data.channels`, and may be uint16: see `image_dtype`. The
            arrays are read-only.

        Raises:
            Problem: The record is damaged.
        """
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} examples; there is no number {index}")
        if self._cache is None:
            return self._read(index)
        if index not in self._cache:
            self._cache[index] = self._read(index)  # two threads at once: the same twice
        return dict(self._cache[index])

    def _read(self, index: int) -> dict[str, Any]:
        record = self._record(index)
        with reading_prepared(self._builder.data_path):
            example: dict[str, Any] = {"image": self._image(record["image"])}
            for key in ("label", *self._extra):
                if record[key]:  # else the label is not public
                    example[key] = np.asarray(Image.open(io.BytesIO(record[key])))
            example["id"] = record["id"].decode()
            return example

    def _image(self, encoded: bytes) -> np.ndarray:
        if self._builder.channels == 3:
            return images.read_image(io.BytesIO(encoded), self.name)
        array: np.ndarray = load_npy(io.BytesIO(encoded))
        array = finer(array) if self.image_dtype == np.uint16 else array
        array.flags.writeable = False
        return array

    def _record(self, index: int) -> dict[str, Any]:
        with reading_prepared(self._builder.data_path):
            return self._records[index]


def open_training_source(specs: Sequence[str], settings: Mapping[str, Any]) -> Source | Mixture:
    """Open what a config trains on: `config.data.train`.

    Args:
        specs: `"name:split"`, once or more; several are joined as `Mixture` does. A weight says
            how often the images of a split come in a pass: `"name:split*3"` shows each of them
            three times, `"name:split*0.5"` one half of them, and the other in the next pass.
        settings: The `data` section of a config; see `make_builder`. Its `val`, where there is
            one, names the split that training must not see. With `cache_in_memory`, examples stay
            in memory once they were read; see `Source.cache_in_memory`.

    Raises:
        UserError: See `open_split`; a split has no labels, two have different classes, one holds
            images of the validation split, or what is to be cached does not fit into memory.
    """
    if not specs:
        raise UserError('data.train is empty; it names what to train on, such as ("shapes:train",)')
    weighted = [_parse_weight(spec) for spec in specs]  # a typing error is found before the work
    sources = [open_split(spec, settings) for spec, _ in weighted]
    val_sources = [open_split(settings["val"], settings)] if settings.get("val") else []
    for source in sources + val_sources:
        if not source.is_labelled:
            raise UserError(f"{source.name}: its images have no labels to train or validate with")
    for source, val_source in itertools.product(sources, val_sources):
        refuse_leak(source, val_source)
    weights = [weight for _, weight in weighted]
    mixture = sources[0] if weights == [1] else Mixture(sources, weights)
    if settings.get("cache_in_memory"):
        _check_memory(mixture.name, sum(source.decoded_size for source in sources))
        for source in sources:
            source.cache_in_memory()
    return mixture


def _parse_weight(spec: str) -> tuple[str, float]:
    """Take `"name:split*3"` apart: the split, and how often its images come in one pass."""
    split, star, weight = spec.partition("*")
    check_choice("data set", split.partition(":")[0], BUILDERS)
    if star and not (re.fullmatch(r"\d+(\.\d+)?", weight) and float(weight) > 0):
        raise UserError(f"data.train: the weight in {spec!r} is a number above 0, such as 3 or 0.5")
    return split, float(weight or 1)


def _check_memory(name: str, needed: float) -> None:
    free = psutil.virtual_memory().available
    if needed > free:
        raise UserError(
            f"data.cache_in_memory: the images of {name} need about {needed / 2**30:.1f} GiB "
            f"decoded, and {free / 2**30:.1f} GiB are free; set it to False"
        )


def open_split(spec: str, settings: Mapping[str, Any], extra: Sequence[str] = ()) -> Source:
    """Open one split of a data set, and prepare it first where that needs no download.

    Args:
        spec: `"name:split"`, such as `"shapes:train"`.
        settings: The `data` section of a config; see `make_builder`.
        extra: Features to read beyond image, label and id, such as `("cue_distance",)`.

    Raises:
        UserError: The data set or the split is unknown, the data set would have to be downloaded
            first, or one of its files is at fault.
    """
    name, _, split = spec.partition(":")
    if not split:
        raise UserError(f"{spec!r} names no split; write it as {name}:train or {name}:val")
    builder = make_builder(name, settings)
    prepare_offline(builder)
    splits = [*builder.info.splits, *builder.combined_splits]
    if split not in splits:
        raise UserError(f"{name} has no split {split!r}; it has {', '.join(splits)}")
    return Source(builder, split, extra)
