"""A tiny model and sources in memory, so that these tests need no other room."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gcn_jax.models import ModelInfo, Pretrained

NUM_CLASSES = 5
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
INFO = ModelInfo(
    name="tiny",
    fields={"num_classes": NUM_CLASSES},
    class_names=("road", "sky", "tree", "car", "person"),
    palette=((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)),
    mean=MEAN,
    std=STD,
)

#: Each trace of TinyModel adds the shape of its images: what was compiled.
traced_shapes: list[tuple[int, ...]] = []


class TinyModel(nn.Module):
    """Two convolutions: enough to see neighbours, and so the padding."""

    num_classes: int = NUM_CLASSES

    @nn.compact
    def __call__(self, images, *, train: bool = False):
        traced_shapes.append(images.shape)
        features = nn.relu(nn.Conv(8, (3, 3), name="features")(images))
        return nn.Conv(self.num_classes, (3, 3), name="classifier")(features)


def tiny_variables(seed: int = 0):
    """Return the variables of a `TinyModel`, made from a seed."""
    return TinyModel().init(jax.random.key(seed), jnp.zeros((1, 32, 32, 3)))


def tiny_pretrained(seed: int = 0, info: ModelInfo = INFO, step: int = 1) -> Pretrained:
    """Return a `TinyModel` as a workdir would give it."""
    return Pretrained(TinyModel(), tiny_variables(seed), info, step)


def random_source(sizes, *, num_classes: int = NUM_CLASSES, void: float = 0.1, seed: int = 0):
    """Return one example of noise for each (height, width)."""
    rng = np.random.default_rng(seed)
    examples = []
    for number, (height, width) in enumerate(sizes):
        label = rng.integers(0, num_classes, (height, width)).astype(np.uint8)
        label[rng.random((height, width)) < void] = 255
        image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        examples.append({"image": image, "label": label, "id": f"example_{number:02d}"})
    return examples
