"""The procedural world of `shapes.world` as data sets: no download, made in seconds.

`Shapes` is what quick starts train on. Each other one differs from it by what its docstring says,
so that a study can show an effect that `Shapes` cannot.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from gcn_jax.data import images
from gcn_jax.data.builders.base import SegmentationBuilder
from gcn_jax.data.classes import ClassTable
from gcn_jax.data.shapes import world as shapes
from gcn_jax.data.statistics import LabelStatistics


class Shapes(SegmentationBuilder):
    """Drawn images of 128x128 pixels whose classes are told apart by cues far away.

    Besides image, label and id, an example has `cue_distance`, uint8 `[H, W]`: see `world.render`.

    Attributes:
        splits: Number of images and seed of each split.
        world: What is drawn otherwise.
    """

    splits: ClassVar[Mapping[str, tuple[int, int]]] = {"train": (3000, 1), "val": (300, 2)}
    world: ClassVar[shapes.World] = shapes.World()

    def __init__(self, data_dir: str | None = None, config: Any = None, **tfds_arguments: Any):
        # Named after what is drawn: where the world changes, an older prepared copy is not it.
        drawn = hashlib.sha256()
        for count, seed in self.splits.values():
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

    def _render(self, seed: int, index: int) -> dict[str, np.ndarray]:
        return shapes.render(seed, index, self.world)

    def _extra_features(self):
        return {"cue_distance": tfds.features.Image(shape=(None, None, 1))}

    def _split_generators(self, dl_manager):
        del dl_manager
        return {split: self._draw_examples(split) for split in self.splits}

    def _draw_examples(self, split: str):
        count, seed = self.splits[split]
        num_classes = len(self.classes.names)
        ids, statistics = [], LabelStatistics.empty(num_classes)
        for index in self._track(range(count), split):
            example = self._render(seed, index)
            key = f"{index:05d}"
            ids.append(key)
            statistics += LabelStatistics.of(example["label"], num_classes)
            yield key, {"id": key, **{name: images.encode_png(example[name]) for name in example}}
        self._keep(split, ids, statistics)


class ShapesOutlines(Shapes):
    """The images of `shapes` without void: the pixels along outlines count.

    For boundary refinement (Table 5): `shapes` leaves out the pixels that it is to mend.
    """

    world = shapes.World(void=False)


class ShapesThin(Shapes):
    """Many small and thin objects, 4 pixels across as rods, whose outlines count.

    For boundary refinement (Table 5): most pixels of an object are near its outline. An image may
    hold eight objects of each kind, and twins beside each other.
    """

    world = shapes.World(zoom=0.4, copies=8, void=False)


class ShapesLarge(Shapes):
    """Images of 256x256 pixels in which everything is twice as large.

    For kernel sizes (Tables 1 and 3): cues are twice as far away. The top map is 32x32 on `plain4`,
    and 8x8 at a ResNet's stride of 32, the smallest on which k = 15 still sees what 13 does not.
    """

    world = shapes.World(size=256, zoom=2.0)


class ShapesFew(Shapes):
    """The first 300 training images of `shapes`, and its validation images.

    For parameters that overfit (Table 2): 600 steps of 8 images are 16 passes, not 1.6.
    """

    splits = {"train": (300, 1), "val": (300, 2)}


class SingleShapes(Shapes):
    """Images of 64x64 pixels with one object of the same world: for classification.

    The label of every pixel is the class of the object; there is no background.
    """

    @property
    def classes(self) -> ClassTable:
        """The classes of the objects, with VOC's colours."""
        return ClassTable(shapes.CLASS_NAMES[1:])

    def _render(self, seed: int, index: int) -> dict[str, np.ndarray]:
        return shapes.render_one(seed, index)

    def _extra_features(self):
        return {}
