"""Scores of a model on a labelled source: the training loop and `evaluate.py` call the same."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np

from gcn_jax import IGNORE_LABEL, mesh
from gcn_jax.errors import UserError
from gcn_jax.evaluation.boundary import BoundaryCounts, boundary_counts
from gcn_jax.evaluation.counted import over_classes
from gcn_jax.evaluation.metrics import (
    Scores,
    check_labels,
    class_sums,
    confusion_matrix,
    confusion_of_large,
    iou,
    mean_of_defined,
    num_defined,
    ratio,
)
from gcn_jax.evaluation.results import result_json
from gcn_jax.inference.batches import Example, Examples, LargeImage, PaddedBatch
from gcn_jax.inference.predictor import Predictor
from gcn_jax.models.layers import size_of
from gcn_jax.models.preprocessing import stack_padded

_Array = jax.Array | np.ndarray
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclasses.dataclass(frozen=True, eq=False)
class ImageScore:
    """Scores of one image on its own.

    Attributes:
        index: Where the source has it.
        id: Its name in the source.
        sums: int64 `[3, C]`, its `class_sums`; its confusion matrix would be too large to keep.
    """

    index: int
    id: str
    sums: np.ndarray

    @property
    def miou(self) -> float:
        """Mean IoU of the classes in its truth or prediction; nan if all of it is void."""
        return float(mean_of_defined(iou(self.sums)))

    @property
    def over_classes(self) -> str:
        """The classes that its mean IoU is over: "over 3 of 21 classes"."""
        return over_classes(num_defined(iou(self.sums)), self.sums.shape[-1])

    @property
    def pixel_accuracy(self) -> float:
        """Share of its labelled pixels that are right; nan if all of it is void."""
        right, truth, _ = self.sums.sum(axis=-1)
        return float(ratio(right, truth))


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """The findings of `evaluate`.

    Attributes:
        class_names: The names of the classes 0..C-1.
        scores: Those of all pixels of the source together.
        images: The scores of each image on its own, in the order of the source.
        boundary: How well borders are met, where that was asked for.
        num_compiled_shapes: Distinct shapes of the inputs that the predictor's network has been run
            on; each was compiled for at most once.
        seconds: Time that the evaluation took, compilation included.
    """

    class_names: tuple[str, ...]
    scores: Scores
    images: tuple[ImageScore, ...]
    boundary: BoundaryCounts | None
    num_compiled_shapes: int
    seconds: float

    @property
    def num_images(self) -> int:
        """Number of images evaluated."""
        return len(self.images)

    @property
    def facts(self) -> dict[str, int | float]:
        """What the evaluation took, by name, as JSON values."""
        return {
            "num_images": self.num_images,
            "num_compiled_shapes": self.num_compiled_shapes,
            "images_per_second": round(self.num_images / self.seconds, 1),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the scores, their intervals and the table of images: see `result_json`."""
        sums = np.stack([image.sums for image in self.images])
        ids = [image.id for image in self.images]
        return result_json(self.class_names, self.scores, ids, sums, self.boundary)


def evaluate(
    predictor: Predictor,
    source: Examples,
    *,
    boundary: bool = False,
    visit: Callable[[Example, np.ndarray], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Score a model on every image of a source, each exactly once and at its own size.

    With an equal model and the same bucket shapes a second call compiles nothing, whatever the
    variables. Of an image only its sums by class are kept; its prediction leaves the devices only
    for boundary scores and for `visit`.

    Args:
        predictor: The model and how it predicts.
        source: Labelled images of any sizes. With several hosts, every host reads all of them.
        boundary: Whether to score borders, too, which takes some 50 ms an image on the host.
        visit: Called for each image, by bucket, with its example and its class map, int32 or, of
            large images, uint8 `[H, W]`.
        progress: Called after each batch with the number of images done and of all images.

    Raises:
        UserError: The source is empty or unlabelled, a label is of another size than its image, or
          it has values that are neither a class nor void.
    """
    if not len(source):
        raise UserError("nothing to evaluate: the source has no images")
    start = time.monotonic()
    num_classes = len(predictor.info.class_names)

    def count(turn: PaddedBatch | LargeImage) -> tuple[_Array, _Array]:
        if isinstance(turn, LargeImage):
            _check(turn.example, num_classes)
            own = predictor.predict_large(turn.example["image"])
            return own[None], confusion_of_large(turn.example["label"], own, num_classes)[None]
        return count_batch(turn)

    def count_batch(batch: PaddedBatch) -> tuple[jax.Array, jax.Array]:
        labels = {"labels": _stack_labels(batch, num_classes)}
        on_devices = mesh.shard_batch(labels, predictor.mesh, same_on_every_host=True)
        predictions = predictor.predict_batch(batch)
        return predictions, _image_matrices(
            on_devices["labels"], predictions=predictions, num_classes=num_classes
        )

    total = np.zeros((num_classes, num_classes), np.int64)
    borders = BoundaryCounts.zeros(num_classes) if boundary else None
    images: list[ImageScore] = []
    for batch, (predictions, counted) in _one_ahead(count, predictor.turns(source)):
        matrices = mesh.to_host(counted)
        total += matrices.sum(axis=0, dtype=np.int64)
        rows = zip(batch.indices, batch.examples, class_sums(matrices), strict=False)
        images += (ImageScore(index, example["id"], sums) for index, example, sums in rows)
        if boundary or visit is not None:
            for _, example, prediction in batch.cut(mesh.to_host(predictions)):
                if borders is not None:
                    borders += boundary_counts(example["label"], prediction, num_classes)
                if visit is not None:
                    visit(example, prediction)
        if progress is not None:
            progress(len(images), len(source))
    images.sort(key=lambda image: image.index)
    return EvaluationResult(
        class_names=tuple(predictor.info.class_names),
        scores=Scores(total),
        images=tuple(images),
        boundary=borders,
        num_compiled_shapes=len(predictor.compiled_shapes),
        seconds=time.monotonic() - start,
    )


def _stack_labels(batch: PaddedBatch, num_classes: int) -> np.ndarray:
    """Return the labels of a batch, padded with void: uint8 [N, H, W]."""
    for example in batch.examples:
        _check(example, num_classes)
    labels = [example["label"] for example in batch.examples]
    return stack_padded(labels, len(batch.images), IGNORE_LABEL, size_of(batch.images))


def _check(example: Example, num_classes: int) -> None:
    if "label" not in example:
        raise UserError(f"image {example['id']!r} has no label: evaluation needs a labelled split")
    image, label = example["image"], example["label"]
    if image.shape[:2] != label.shape:
        raise UserError(
            f"image {example['id']!r} is {image.shape[1]} x {image.shape[0]} pixels, but its label "
            f"is {label.shape[1]} x {label.shape[0]}"
        )
    check_labels(label, num_classes, where=f"label of image {example['id']!r}")


def _one_ahead(run: Callable[[_In], _Out], batches: Iterable[_In]) -> Iterator[tuple[_In, _Out]]:
    """Yield (batch, run(batch)); the next batch is read while the devices work on it."""
    running = None
    for batch in batches:
        started = batch, run(batch)
        if running is not None:
            yield running
        running = started
    if running is not None:
        yield running


@functools.partial(jax.jit, static_argnames="num_classes")
def _image_matrices(labels, predictions, num_classes):
    """Count each image's pixels: int32 [N, C, C]."""
    count = functools.partial(confusion_matrix, num_classes=num_classes)
    return jax.vmap(count)(labels, predictions)
