"""From images of any size to class maps of the same size, with few compilations.

XLA compiles a function for every new shape, and photographs come in hundreds of sizes. So images
are padded at the bottom and the right to one of a few sizes, the buckets, run in batches of one
bucket, and the class maps are cut back to the images' own sizes.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from gcn_jax import mesh as mesh_lib
from gcn_jax.models.preprocessing import bucket, mean_color, normalize

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
        key = _bucket_shape(sample["image"])
        pending.setdefault(key, []).append((index, sample))
        if len(pending[key]) == batch_size:
            yield pending.pop(key)
        elif sum(map(len, pending.values())) >= MAX_PENDING_BATCHES * batch_size:
            yield pending.pop(max(pending, key=lambda key: len(pending[key])))
    yield from pending.values()


def stack_padded(
    arrays: Sequence[np.ndarray], batch_size: int, fill: np.ndarray | int
) -> np.ndarray:
    """Pad images or labels of one bucket to its size and stack them to a full batch.

    Args:
        arrays: At most `batch_size` arrays uint8 [H, W, ...], which share a bucket.
        batch_size: N; missing rows are nothing but padding.
        fill: What to pad with, a value of a pixel: the mean colour, or void.

    Returns:
        uint8 [N, bucket(H), bucket(W), ...]; padding is below and to the right.
    """
    shape = (batch_size, *_bucket_shape(arrays[0]), *arrays[0].shape[2:])
    stacked = np.empty(shape, np.uint8)
    stacked[...] = fill
    for row, array in zip(stacked, arrays, strict=False):
        row[: array.shape[0], : array.shape[1]] = array
    return stacked


def logits(
    model: nn.Module, variables: Any, images: jax.Array, mean: jax.Array, std: jax.Array
) -> jax.Array:
    """Normalise images and run the model on them; pure and jit-able (`model` is static).

    Args:
        model: A module of `gcn_jax.models`, or any with the same call.
        variables: Its variables.
        images: uint8 [N, H, W, 3] RGB.
        mean: float32 [3], in 0..255.
        std: float32 [3], in 0..255.

    Returns:
        float32 [N, H, W, C].
    """
    return model.apply(variables, normalize(images, mean, std), train=False)


@functools.partial(jax.jit, static_argnames="model")
def class_maps(
    model: nn.Module, variables: Any, images: jax.Array, mean: jax.Array, std: jax.Array
) -> jax.Array:
    """Return the most likely class of each pixel, int32 [N, H, W]; arguments as of `logits`.

    Compiled once for each model and shape of images, whatever the variables.
    """
    return jnp.argmax(logits(model, variables, images, mean, std), axis=-1).astype(jnp.int32)


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


def _bucket_shape(array: np.ndarray) -> tuple[int, int]:
    return bucket(array.shape[0]), bucket(array.shape[1])
