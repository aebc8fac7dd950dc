"""Batches of images of any size: few shapes, each image once, few in memory.

Images are padded to one of a few sizes, the buckets (see `models/preprocessing.py`), and stacked to
batches of one bucket. The last batch of a bucket is padded to the full size too.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from gcn_jax.models.preprocessing import bucket_shape, stack_padded

#: What a source yields: {"image": uint8 [H, W, 3], "id": str, "label": uint8 [H, W] if labelled}.
Sample = dict[str, Any]

#: Images that may wait for others of their bucket, in batches.
MAX_PENDING_BATCHES = 8


class Source(Protocol):
    """Anything with a length and samples by index, images of any sizes."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int) -> Sample:
        """Return one sample."""


class Batch(NamedTuple):
    """Samples of one bucket and their images, padded with the mean colour to a full batch.

    Attributes:
        indices: Where the source has the samples, at most N.
        samples: The samples themselves.
        images: uint8 `[N, H, W, 3]`; each image lies in the top left corner.
        sizes: int32 `[N, 2]`, the (height, width) of each image; (1, 1) for a row without an image.
    """

    indices: list[int]
    samples: list[Sample]
    images: np.ndarray
    sizes: np.ndarray

    def cut(self, arrays: np.ndarray) -> Iterator[tuple[int, Sample, np.ndarray]]:
        """Yield (index, sample, its own part) of an array [N, H, W, ...] for each sample."""
        for index, sample, array in zip(self.indices, self.samples, arrays, strict=False):
            height, width = sample["image"].shape[:2]
            yield index, sample, array[:height, :width]


def padded_batches(source: Source, batch_size: int, fill: np.ndarray) -> Iterator[Batch]:
    """Read every sample of a source once, in full batches.

    Args:
        source: The samples.
        batch_size: N.
        fill: The colour to pad with, uint8 `[3]`.

    Yields:
        Batches of `bucket_batches`.
    """
    for group in bucket_batches(source, batch_size):
        indices, samples = map(list, zip(*group, strict=True))
        images = [sample["image"] for sample in samples]
        sizes = np.ones((batch_size, 2), np.int32)
        sizes[: len(images)] = [image.shape[:2] for image in images]
        yield Batch(indices, samples, stack_padded(images, batch_size, fill), sizes)


def bucket_batches(source: Source, batch_size: int) -> Iterator[list[tuple[int, Sample]]]:
    """Group the samples of a source by bucket, reading each once and keeping few.

    Args:
        source: The samples.
        batch_size: The most samples a batch has.

    Yields:
        Lists of 1..batch_size pairs (index in the source, sample), whose images share a bucket. Of
        the source, at most `MAX_PENDING_BATCHES * batch_size` samples are in memory.
    """
    pending: dict[tuple[int, int], list[tuple[int, Sample]]] = {}
    for index in range(len(source)):
        sample = source[index]
        key = bucket_shape(sample["image"])
        pending.setdefault(key, []).append((index, sample))
        if len(pending[key]) == batch_size:
            yield pending.pop(key)
        elif sum(map(len, pending.values())) >= MAX_PENDING_BATCHES * batch_size:
            yield pending.pop(max(pending, key=lambda key: len(pending[key])))
    yield from pending.values()
