"""Scores of a model on a labelled source: the training loop and `evaluate.py` call the same."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from gcn_jax import IGNORE_LABEL
from gcn_jax import mesh as mesh_lib
from gcn_jax.errors import UserError
from gcn_jax.evaluation import inference
from gcn_jax.evaluation.metrics import Scores, check_labels, confusion_matrix
from gcn_jax.models.preprocessing import mean_color, stack_padded
from gcn_jax.models.pretrained import class_maps


@dataclasses.dataclass(frozen=True)
class ImageScore:
    """Scores of one image on its own.

    Attributes:
        index: Where the source has it.
        id: Its name in the source.
        miou: Mean IoU of the classes in its truth or prediction; nan if all of it is void.
        pixel_accuracy: Share of its labelled pixels that are right; nan if all of it is void.
    """

    index: int
    id: str
    miou: float
    pixel_accuracy: float


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """What `evaluate` found.

    Attributes:
        scores: Of all pixels of the source together.
        images: Of each image on its own, in the order of the source.
        num_compiled_shapes: Distinct shapes of batches; each was compiled for at most once.
        seconds: Time that the evaluation took, compilation included.
    """

    scores: Scores
    images: tuple[ImageScore, ...]
    num_compiled_shapes: int
    seconds: float

    @property
    def num_images(self) -> int:
        """Number of images evaluated."""
        return len(self.images)


def evaluate(
    model: nn.Module,
    variables: Any,
    source: inference.Source,
    *,
    num_classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int,
    mesh: Mesh | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Score a model on every image of a source, each exactly once and at its own size.

    A second call with an equal model and the same bucket shapes compiles nothing, whatever the
    variables. Memory does not grow with the number of images: predictions never leave the
    devices, only each image's confusion matrix does.

    Args:
        model: A module of `gcn_jax.models`.
        variables: Its variables, on the host or on devices.
        source: Labelled images of any sizes. With several hosts, every host reads all of them.
        num_classes: C.
        mean: Of the training images, 3 values in 0..255.
        std: Of the training images, 3 values in 0..255.
        batch_size: Images a step over all devices, rounded up to a multiple of their number.
        mesh: Over whose axis "data" a batch is split; all devices if None.
        progress: Called after each batch with the number of images done and of all images.

    Raises:
        UserError: The source is empty or unlabelled, a label is of another size than its image, or
          it has values that are neither a class nor void.
    """
    if not len(source):
        raise UserError("nothing to evaluate: the source has no images")
    start = time.monotonic()
    mesh = mesh if mesh is not None else mesh_lib.data_mesh()
    count = functools.partial(
        _image_matrices,
        model,
        jax.device_put(variables, mesh_lib.replicated(mesh)),
        mean=np.asarray(mean, np.float32),
        std=np.asarray(std, np.float32),
        num_classes=num_classes,
    )
    batch_size = inference.full_batch_size(batch_size, mesh)
    batches = _batches(source, batch_size, mean_color(mean), num_classes)
    total = np.zeros((num_classes, num_classes), np.int64)
    images: list[ImageScore] = []
    shapes = set()
    for batch, matrices in _one_ahead(count, batches, mesh):
        shapes.add(batch.images.shape)
        total += matrices.sum(axis=0, dtype=np.int64)
        images += _image_scores(batch, matrices)
        if progress is not None:
            progress(len(images), len(source))
    images.sort(key=lambda image: image.index)
    return EvaluationResult(Scores(total), tuple(images), len(shapes), time.monotonic() - start)


class _Batch(NamedTuple):
    """Samples of one bucket, padded with the mean colour and void to a full batch."""

    indices: list[int]  # in the source, at most N
    ids: list[str]
    images: np.ndarray  # uint8 [N, H, W, 3]
    labels: np.ndarray  # uint8 [N, H, W]


def _batches(
    source: inference.Source, batch_size: int, fill: np.ndarray, num_classes: int
) -> Iterator[_Batch]:
    for group in inference.bucket_batches(source, batch_size):
        for _, sample in group:
            _check(sample, num_classes)
        yield _Batch(
            indices=[index for index, _ in group],
            ids=[sample["id"] for _, sample in group],
            images=stack_padded([s["image"] for _, s in group], batch_size, fill),
            labels=stack_padded([s["label"] for _, s in group], batch_size, IGNORE_LABEL),
        )


def _check(sample: inference.Sample, num_classes: int) -> None:
    if "label" not in sample:
        raise UserError(f"image {sample['id']!r} has no label: evaluation needs a labelled split")
    image, label = sample["image"], sample["label"]
    if image.shape[:2] != label.shape:
        raise UserError(
            f"image {sample['id']!r} is {image.shape[1]} x {image.shape[0]} pixels, but its label "
            f"is {label.shape[1]} x {label.shape[0]}"
        )
    check_labels(label, num_classes, where=f"label of image {sample['id']!r}")


def _one_ahead(
    count: Callable[..., jax.Array], batches: Iterator[_Batch], mesh: Mesh
) -> Iterator[tuple[_Batch, np.ndarray]]:
    """Yield the matrices of each batch; the next batch is read while the devices work on it."""
    running = None
    for batch in batches:
        arrays = {"images": batch.images, "labels": batch.labels}
        matrices = count(**mesh_lib.shard_batch(arrays, mesh, same_on_every_host=True))
        if running is not None:
            yield running[0], _to_host(running[1])
        running = batch, matrices
    if running is not None:
        yield running[0], _to_host(running[1])


def _to_host(array: jax.Array) -> np.ndarray:
    """Return the whole array on every host that has a part of it."""
    if array.is_fully_addressable:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


@functools.partial(jax.jit, static_argnames=("model", "num_classes"))
def _image_matrices(model, variables, images, labels, mean, std, *, num_classes):
    """Count each image's pixels: int32 [N, C, C]."""
    predictions = class_maps(model, variables, images, mean, std)
    count = functools.partial(confusion_matrix, num_classes=num_classes)
    return jax.vmap(count)(labels, predictions)


def _image_scores(batch: _Batch, matrices: np.ndarray) -> list[ImageScore]:
    scores = [Scores(matrix) for matrix in matrices]
    return [
        ImageScore(index, sample_id, score.miou, score.pixel_accuracy)
        for index, sample_id, score in zip(batch.indices, batch.ids, scores, strict=False)
    ]
