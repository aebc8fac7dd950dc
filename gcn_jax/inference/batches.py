"""Batches of images of any size: few shapes, each image once, few in memory.

Images are padded to one of a few sizes, the buckets (see `models/preprocessing.py`), and stacked to
batches of one bucket. The last batch of a bucket is padded to the full size too.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from gcn_jax.inference.settings import ONE_RUN, Shape
from gcn_jax.models.preprocessing import stack_padded

#: What a source yields: {"image": uint8 [H, W, 3], "id": str, "label": uint8 [H, W] if labelled}.
#: Images have the channels of the network, and may all be uint16.
Example = dict[str, Any]

#: Images that may wait for others of their bucket, in batches.
MAX_PENDING_BATCHES = 8


class Examples(Protocol):
    """Anything with a length and examples by index, images of any sizes."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def __getitem__(self, index: int) -> Example:
        """Return one example."""


class PaddedBatch(NamedTuple):
    """Examples of one bucket and their images, padded with the mean colour to a full batch.

    Attributes:
        indices: Where the source has the examples, at most N.
        examples: The examples themselves.
        images: uint8 `[N, H, W, 3]`; each image lies in the top left corner.
        sizes: int32 `[N, 2]`, the (height, width) of each image; (1, 1) for a row without an image.
    """

    indices: list[int]
    examples: list[Example]
    images: np.ndarray
    sizes: np.ndarray

    def cut(self, arrays: np.ndarray) -> Iterator[tuple[int, Example, np.ndarray]]:
        """Yield (index, example, its own part) of an array [N, H, W, ...] for each example."""
        for index, example, array in zip(self.indices, self.examples, arrays, strict=False):
            height, width = example["image"].shape[:2]
            yield index, example, array[:height, :width]


@dataclasses.dataclass(frozen=True, eq=False)
class LargeImage:
    """An image that is predicted by itself, window by window.

    Attributes:
        index: Where the source has it.
        example: The example.
    """

    index: int
    example: Example

    @property
    def indices(self) -> list[int]:
        """Where the source has it, as a batch says of all that it has."""
        return [self.index]

    @property
    def examples(self) -> list[Example]:
        """The example, as a batch has several."""
        return [self.example]

    def cut(self, arrays: np.ndarray) -> Iterator[tuple[int, Example, np.ndarray]]:
        """Yield (index, example, its array), as a batch does for each."""
        yield self.index, self.example, arrays[0]


def padded_batch(
    group: Sequence[tuple[int, Example]],
    batch_size: int,
    fill: np.ndarray,
    shape_of: Callable[[Shape], Shape] = ONE_RUN.batch_shape,
) -> PaddedBatch:
    """Pad the images of a group to a full batch.

    Args:
        group: Pairs (index in the source, example), as `bucket_batches` yields them.
        batch_size: N.
        fill: The colour to pad with, of the images' type `[3]`.
        shape_of: Gives the (height, width) that an image is padded to, by its own.
    """
    indices, examples = map(list, zip(*group, strict=True))
    images = [example["image"] for example in examples]
    sizes = np.ones((batch_size, 2), np.int32)
    sizes[: len(images)] = [image.shape[:2] for image in images]
    shape = shape_of(images[0].shape[:2])
    return PaddedBatch(indices, examples, stack_padded(images, batch_size, fill, shape), sizes)


def bucket_batches(
    source: Examples,
    batch_size: int,
    alone: Callable[[Shape], bool] = lambda size: False,
    shape_of: Callable[[Shape], Shape] = ONE_RUN.batch_shape,
) -> Iterator[list[tuple[int, Example]]]:
    """Group the examples of a source by bucket, reading each once and keeping few.

    Args:
        source: The examples.
        batch_size: The most examples a batch has.
        alone: Whether an image of a (height, width) waits for no other.
        shape_of: Gives the bucket of a (height, width).

    Yields:
        Lists of 1..batch_size pairs (index in the source, example), whose images share a bucket. Of
        the source, at most `MAX_PENDING_BATCHES * batch_size` examples are in memory.
    """
    pending: dict[Shape, list[tuple[int, Example]]] = {}
    for index in range(len(source)):
        example = source[index]
        if alone(example["image"].shape[:2]):
            yield [(index, example)]
            continue
        key = shape_of(example["image"].shape[:2])
        pending.setdefault(key, []).append((index, example))
        if len(pending[key]) == batch_size:
            yield pending.pop(key)
        elif sum(map(len, pending.values())) >= MAX_PENDING_BATCHES * batch_size:
            yield pending.pop(max(pending, key=lambda key: len(pending[key])))
    yield from pending.values()
