"""A tiny model and sources in memory, so that these tests need no other room."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from scipy.special import softmax

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


@functools.cache
def _parameters():
    return tiny_variables()["params"]


def run_network(image, shape):
    """Return the probabilities of a `TinyModel`, computed in NumPy, of an image without padding.

    Args:
        image: `[h, w, 3]`, RGB in 0..255.
        shape: (height, width) that it is padded to with the mean colour.
    """
    height, width = image.shape[:2]
    padded = np.full((*shape, 3), [124.0, 116.0, 104.0])
    padded[:height, :width] = image
    features = np.maximum(_convolve((padded - MEAN) / STD, "features"), 0)
    return softmax(_convolve(features, "classifier"), axis=-1)[:height, :width]


def _convolve(image, layer):
    """Apply a convolution 3 x 3 of the tiny model, with zeros around the image."""
    kernel, bias = (np.asarray(_parameters()[layer][name]) for name in ("kernel", "bias"))
    height, width = image.shape[:2]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    return bias + sum(
        padded[y : y + height, x : x + width] @ kernel[y, x] for y in range(3) for x in range(3)
    )


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
