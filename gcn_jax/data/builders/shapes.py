"""The procedural world of `shapes.py` as data sets: no download, made in seconds."""

import hashlib
from typing import Any

import tensorflow_datasets as tfds

from gcn_jax.data import images
from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.shapes import world as shapes
from gcn_jax.data.statistics import LabelStatistics

#: Number of images and seed of each split.
_SPLITS = {"train": (3000, 1), "val": (300, 2)}


class Shapes(SegmentationBuilder):
    """Drawn images of 128x128 pixels whose classes are told apart by cues far away.

    Besides image, label and id, an example has `cue_distance`, uint8 `[H, W]`: see `shapes.render`.
    """

    _render = staticmethod(shapes.render)

    def __init__(self, data_dir: str | None = None, config: Any = None, **tfds_arguments: Any):
        # Named after what is drawn: where the world changes, an older prepared copy is not it.
        drawn = hashlib.sha256()
        for count, seed in _SPLITS.values():
            drawn.update(repr(count).encode())
            drawn.update(b"".join(array.tobytes() for array in self._render(seed, 0).values()))
        name = drawn.hexdigest()[:12]
        config = config or tfds.core.BuilderConfig(name=name, version=self.VERSION)
        super().__init__(data_dir=data_dir, config=config, **tfds_arguments)

    @property
    def classes(self) -> ClassTable:
        """The classes of the world."""
        return ClassTable(shapes.CLASS_NAMES)

    @property
    def collection(self) -> None:
        """None: every split numbers its own images."""
        return None

    def _extra_features(self):
        return {"cue_distance": tfds.features.Image(shape=(None, None, 1))}

    def _split_generators(self, dl_manager):
        del dl_manager
        return {split: self._draw_examples(split) for split in _SPLITS}

    def _draw_examples(self, split: str):
        count, seed = _SPLITS[split]
        num_classes = len(self.classes.names)
        ids, statistics = [], LabelStatistics.empty(num_classes)
        for index in self._track(range(count), split):
            example = self._render(seed, index)
            key = f"{index:05d}"
            ids.append(key)
            statistics += LabelStatistics.of(example["label"], num_classes)
            yield key, {"id": key, **{name: images.encode_png(example[name]) for name in example}}
        self._keep(split, ids, statistics)


class SingleShapes(Shapes):
    """Images of 64x64 pixels with one object of the same world: for classification.

    The label of every pixel is the class of the object; there is no background.
    """

    _render = staticmethod(shapes.render_one)

    @property
    def classes(self) -> ClassTable:
        """The classes of the objects, with VOC's colours."""
        return ClassTable(shapes.CLASS_NAMES[1:])

    def _extra_features(self):
        return {}
