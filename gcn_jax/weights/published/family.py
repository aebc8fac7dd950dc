"""Families of published files: what each says of itself, and how tensors become variables."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gcn_jax.models.network import SegmentationNetwork

#: Tensor or blob name -> array in PyTorch's or Caffe's layout, without a common prefix.
Tensors = Mapping[str, np.ndarray]


class Identity(NamedTuple):
    """The network that some tensors are of.

    Attributes:
        network: A name for `create_model`.
        fields: The other arguments of `create_model`, `num_classes` among them, read from shapes.
    """

    network: str
    fields: dict[str, Any]


class Family(NamedTuple):
    """A family of published files of whole networks.

    Attributes:
        title: What the files are, for messages, such as "FCN of wkentaro/pytorch-fcn".
        identify: Returns the network by names and shapes alone; None for other files. Cheap: all
            families are asked. It may raise `UserError` for what it knows not to be a network.
        convert: Makes variables (params and, with batch-norm, batch_stats, float32) of the network
            that `identify` named, for images in RGB; raises `UserError` that lists what is missing,
            left over or of another shape.
        mean: What is subtracted from an image, RGB in 0..255.
        std: By what it is divided then.
        licence: Under which the weights may be used, in a few words.
        homepage: Where the files are published.
        names: Tensors that every file of the family has: an unknown file is compared with them.
        only_as: A name for `--network`, without which the family is not asked: its files have the
            tensors of another family, and make another function of them.
    """

    title: str
    identify: Callable[[Tensors], Identity | None]
    convert: Callable[[Tensors, SegmentationNetwork], dict[str, Any]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    homepage: str
    names: tuple[str, ...] = ()
    only_as: str | None = None


def has_kernels(tensors: Tensors, names: Iterable[str]) -> bool:
    """Whether tensors have kernels of convolutions, arrays of four axes, by some names.

    Args:
        tensors: Tensors by name.
        names: The names, all of which must be there.
    """
    return all(name in tensors and np.ndim(tensors[name]) == 4 for name in names)


def count_blocks(tensors: Tensors, stage: str) -> int:
    """Return how many different numbers follow `stage` in the names of tensors.

    Args:
        tensors: Tensors by name.
        stage: Such as "layer3.", which in "layer3.22.conv1.weight" is followed by 22.
    """
    names = (name.removeprefix(stage) for name in tensors if name.startswith(stage))
    return len({name.partition(".")[0] for name in names})


def for_rgb(kernel: np.ndarray) -> np.ndarray:
    """Return the first kernel of a network for BGR, `[out, 3, kh, kw]`, as one for RGB."""
    return kernel[:, ::-1]
