"""Confusion matrices and the scores that follow from them: sums until the last line."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.errors import UserError
from gcn_jax.evaluation.counted import absent_classes, over_classes

#: Of a large image, so that what is counted at a time takes 64 MiB.
_PIXELS_AT_A_TIME = 2**22


def confusion_matrix(labels: jax.Array, predictions: jax.Array, num_classes: int) -> jax.Array:
    """Count pixels by true and predicted class; pure and jit-able (`num_classes` is static).

    A label outside 0..num_classes-1 is not counted. That is meant for void; every other such
    label is a mistake that no compiled function can raise, so `check_labels` looks for it on the
    host.

    Args:
        labels: Integer array of any shape, 0..num_classes-1 or `IGNORE_LABEL`.
        predictions: Integer array of the same shape, 0..num_classes-1.
        num_classes: C, at most 255.

    Returns:
        int32 `[C, C]`; rows are the truth, columns the prediction.
    """
    labels = labels.astype(jnp.int32).ravel()
    predictions = predictions.astype(jnp.int32).ravel()
    num_cells = num_classes * num_classes
    counted = labels < num_classes
    # Uncounted pixels go to one more cell, which is cut off.
    cells = jnp.where(counted, labels * num_classes + predictions, num_cells)
    counts = jnp.bincount(cells, length=num_cells + 1)[:num_cells]
    return counts.reshape(num_classes, num_classes).astype(jnp.int32)


def confusion_of_large(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels as `confusion_matrix` does, on the host, a few rows at a time.

    Args:
        label: uint8 `[H, W]`, 0..num_classes-1 or `IGNORE_LABEL`.
        prediction: uint8 or int32 `[H, W]`, 0..num_classes-1.
        num_classes: C, at most 255.

    Returns:
        int64 `[C, C]`.
    """
    total = np.zeros(num_classes * num_classes, np.int64)
    rows = max(1, _PIXELS_AT_A_TIME // label.shape[1])
    for first in range(0, len(label), rows):
        true, predicted = label[first : first + rows], prediction[first : first + rows]
        counted = true < num_classes
        cells = true[counted].astype(np.int64) * num_classes + predicted[counted]
        total += np.bincount(cells, minlength=len(total))
    return total.reshape(num_classes, num_classes)


def check_labels(label: np.ndarray, num_classes: int, where: str) -> None:
    """Raise unless every label is a class or void.

    Args:
        label: uint8 array of any shape, on the host.
        num_classes: C.
        where: Whose labels they are, for the message.

    Raises:
        UserError: A label is in C..254; the message names the values.
    """
    wrong = label[(label >= num_classes) & (label != IGNORE_LABEL)]
    if wrong.size:
        values = ", ".join(str(value) for value in np.unique(wrong)[:5])
        raise UserError(
            f"{where}: {wrong.size} of {label.size} pixels have a label outside the {num_classes} "
            f"classes (found {values}); labels are 0..{num_classes - 1}, or {IGNORE_LABEL} for void"
        )


def class_sums(matrices: np.ndarray) -> np.ndarray:
    """Reduce confusion matrices to what IoU needs, which is small enough to keep for every image.

    Args:
        matrices: Integers [..., C, C]; rows are the truth, columns the prediction.

    Returns:
        int64 [..., 3, C]: pixels of each class that are right (the intersection), that the truth
        has, and that the prediction has.
    """
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    return np.stack([right, np.sum(matrices, -1), np.sum(matrices, -2)], axis=-2).astype(np.int64)


def iou(sums: np.ndarray) -> np.ndarray:
    """Intersection over union of each class: float64 [..., C], nan where the union is empty.

    Args:
        sums: [..., 3, C], as of `class_sums`.
    """
    intersection, truth, prediction = np.moveaxis(sums, -2, 0)
    return ratio(intersection, truth + prediction - intersection)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide counts; nothing of nothing is nan.

    Args:
        numerator: Counts.
        denominator: Counts of the same shape.

    Returns:
        float64 of that shape.
    """
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that are not nan; nan if all are."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def num_defined(values: np.ndarray) -> int:
    """Return how many values are not nan.

    Args:
        values: Floats, such as the IoU of each class.
    """
    return int(np.count_nonzero(~np.isnan(values)))


def json_value(value: float) -> float | None:
    """Return a score as JSON has it: nan becomes None.

    Args:
        value: The score.
    """
    return None if np.isnan(value) else float(value)


def json_by_class(class_names: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    """Return the scores of the classes as JSON has them, by name.

    Args:
        class_names: The names of the C classes.
        values: Float `[C]`; nan becomes None.
    """
    return {name: json_value(value) for name, value in zip(class_names, values, strict=True)}


class Score(NamedTuple):
    """A score that is one number: its name in files, its name for people, and how it is computed.

    Attributes:
        key: The name in JSON files.
        title: The name in tables and pages.
        of: A function that returns it, a share of 1 or nan, of `Scores`; of `BoundaryCounts` for
            those of borders.
        logged: Whether training writes it after each validation, as `val/KEY`.
    """

    key: str
    title: str
    of: Callable[[Any], float]
    logged: bool = False


class ClassScore(NamedTuple):
    """A score of each class: its name in files, its name for people, and how it is computed.

    Attributes:
        key: The name in JSON files.
        title: The name of its column in tables and pages.
        of: A function of `Scores` that returns shares of 1 or nan, float64 `[C]`.
    """

    key: str
    title: str
    of: Callable[["Scores"], np.ndarray]


def json_of_scores(scores: Iterable[Score], counts: Any) -> dict[str, float | None]:
    """Return scores as JSON has them, by key.

    Args:
        scores: Rows of `SCORES` or `BOUNDARY_SCORES`.
        counts: What they are computed from.
    """
    return {score.key: json_value(score.of(counts)) for score in scores}


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a set of pixels, from its summed confusion matrix.

    A class that neither the truth nor the predictions contain has no IoU (nan) and is left out of
    the means; a class that is only predicted has IoU 0 and counts. Without any counted pixel all
    scores are nan.

    Attributes:
        confusion_matrix: int64 `[C, C]`; rows are the truth, columns the prediction.
    """

    confusion_matrix: np.ndarray

    def __post_init__(self):
        rows, columns = np.shape(self.confusion_matrix)
        assert rows == columns, (rows, columns)
        # Sums over a data set pass 2^31 pixels, whatever type a batch was counted in.
        object.__setattr__(self, "confusion_matrix", np.asarray(self.confusion_matrix, np.int64))

    @property
    def per_class_iou(self) -> np.ndarray:
        """Intersection over union of truth and prediction, float64 [C], nan where undefined."""
        return iou(class_sums(self.confusion_matrix))

    @property
    def precision(self) -> np.ndarray:
        """Share of the pixels predicted as a class that are right, float64 [C]; nan if none are."""
        right, _, prediction = class_sums(self.confusion_matrix)
        return ratio(right, prediction)

    @property
    def recall(self) -> np.ndarray:
        """Share of the true pixels of a class that are right, float64 [C]; nan if it has none."""
        right, truth, _ = class_sums(self.confusion_matrix)
        return ratio(right, truth)

    @property
    def miou(self) -> float:
        """Mean of the classes' IoU."""
        return float(mean_of_defined(self.per_class_iou))

    @property
    def num_classes_counted(self) -> int:
        """How many classes the mean IoU is over: those in the truth or in a prediction."""
        return num_defined(self.per_class_iou)

    @property
    def over_classes(self) -> str:
        """The same for people: "over 17 of 21 classes"."""
        return over_classes(self.num_classes_counted, len(self.confusion_matrix))

    @property
    def frequency_weighted_iou(self) -> float:
        """Mean of the IoU of the classes in the truth, each weighted with its true pixels."""
        truth = self.confusion_matrix.sum(axis=1)
        weighted = np.where(truth > 0, truth * self.per_class_iou, 0.0)
        return float(ratio(weighted.sum(), truth.sum()))

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right."""
        matrix = self.confusion_matrix
        return float(ratio(matrix.trace(), matrix.sum()))

    @property
    def mean_accuracy(self) -> float:
        """Mean over the classes in the truth of the share of their pixels that are right."""
        return float(mean_of_defined(self.recall))

    def to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as JSON values; nan becomes None.

        Args:
            class_names: C names, the keys of what is given per class.
        """
        return {
            **json_of_scores(SCORES, self),
            "num_classes_counted": self.num_classes_counted,
            "absent_classes": absent_classes(class_names, self.confusion_matrix),
            "per_class_iou": json_by_class(class_names, self.per_class_iou),
            **{one.key: json_by_class(class_names, one.of(self)) for one in CLASS_SCORES},
            "confusion_matrix": self.confusion_matrix.tolist(),
        }


#: Every score that is one number. Files, tables, pages and studies take all of them from here.
SCORES: tuple[Score, ...] = (
    Score("miou", "mIoU", lambda scores: scores.miou, logged=True),
    Score("pixel_accuracy", "pixel accuracy", lambda scores: scores.pixel_accuracy, logged=True),
    Score("mean_accuracy", "mean accuracy", lambda scores: scores.mean_accuracy),
    Score(
        "frequency_weighted_iou",
        "frequency-weighted IoU",
        lambda scores: scores.frequency_weighted_iou,
    ),
)

#: Every score of each class beside its IoU, which comes first, with its interval.
CLASS_SCORES: tuple[ClassScore, ...] = (
    ClassScore("per_class_precision", "precision", lambda scores: scores.precision),
    ClassScore("per_class_recall", "recall", lambda scores: scores.recall),
)
