"""From images of any size to class maps of the same size, with few compilations.

Images are padded to one of a few sizes, the buckets (see `models/preprocessing.py`), run in batches
of one bucket, and the class maps are cut back to the images' own sizes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from gcn_jax import mesh as mesh_lib
from gcn_jax.models.preprocessing import bucket_shape, mean_color, stack_padded
from gcn_jax.models.pretrained import class_maps

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


def predict(
    model: nn.Module,
    variables: Any,
    source: Source,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 1,
    mesh: Mesh | None = None,
) -> Iterator[tuple[int, Sample, np.ndarray]]:
    """Predict every image of a source, once, at its own size.

    Args:
        model: A module of `gcn_jax.models`.
        variables: Its variables.
        source: Images; labels are not looked at.
        mean: Of the training images, 3 values in 0..255.
        std: Of the training images, 3 values in 0..255.
        batch_size: Images a step, rounded up to a multiple of the mesh's devices.
        mesh: Over whose axis "data" a batch is split; one device of this host if None.

    Yields:
        (index in the source, sample, class map int32 [H, W]); in the order of the source if the
        batch size is 1, else by bucket. Nothing of what was yielded is kept.
    """
    mesh = mesh if mesh is not None else mesh_lib.data_mesh(jax.local_devices()[:1])
    batch_size = full_batch_size(batch_size, mesh)
    variables = jax.device_put(variables, mesh_lib.replicated(mesh))
    mean, std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    for group in bucket_batches(source, batch_size):
        images = stack_padded(
            [sample["image"] for _, sample in group], batch_size, mean_color(mean)
        )
        batch = mesh_lib.shard_batch({"image": images}, mesh, same_on_every_host=True)
        predictions = np.asarray(class_maps(model, variables, batch["image"], mean, std))
        for (index, sample), prediction in zip(group, predictions, strict=False):
            height, width = sample["image"].shape[:2]
            yield index, sample, prediction[:height, :width]


def full_batch_size(batch_size: int, mesh: Mesh) -> int:
    """Round a batch size up to a multiple of the mesh's devices."""
    return -(-batch_size // mesh.size) * mesh.size
