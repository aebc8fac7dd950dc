"""Confusion matrices and the scores that follow from them: sums until the last line."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.errors import UserError


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
        int32 [C, C]; rows are the truth, columns the prediction.
    """
    labels = labels.astype(jnp.int32).ravel()
    predictions = predictions.astype(jnp.int32).ravel()
    num_cells = num_classes * num_classes
    counted = labels < num_classes
    # Uncounted pixels go to one more cell, which is cut off.
    cells = jnp.where(counted, labels * num_classes + predictions, num_cells)
    counts = jnp.bincount(cells, length=num_cells + 1)[:num_cells]
    return counts.reshape(num_classes, num_classes).astype(jnp.int32)


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


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a set of pixels, from its summed confusion matrix.

    A class that neither the truth nor the predictions contain has no IoU (nan) and is left out of
    the means; a class that is only predicted has IoU 0 and counts. Without any counted pixel all
    scores are nan.

    Attributes:
        confusion_matrix: int64 [C, C]; rows are the truth, columns the prediction.
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
        matrix = self.confusion_matrix
        union = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()
        return _ratio(matrix.diagonal(), union)

    @property
    def miou(self) -> float:
        """Mean of the classes' IoU."""
        return _mean(self.per_class_iou)

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right."""
        matrix = self.confusion_matrix
        return float(_ratio(matrix.trace(), matrix.sum()))

    @property
    def mean_accuracy(self) -> float:
        """Mean over the classes in the truth of the share of their pixels that are right."""
        matrix = self.confusion_matrix
        return _mean(_ratio(matrix.diagonal(), matrix.sum(axis=1)))

    def to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as JSON values; nan becomes None.

        Args:
            class_names: C names, the keys of `per_class_iou`.
        """
        return {
            "miou": _none_if_nan(self.miou),
            "pixel_accuracy": _none_if_nan(self.pixel_accuracy),
            "mean_accuracy": _none_if_nan(self.mean_accuracy),
            "per_class_iou": {
                name: _none_if_nan(iou)
                for name, iou in zip(class_names, self.per_class_iou, strict=True)
            },
            "confusion_matrix": self.confusion_matrix.tolist(),
        }


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide counts; nothing of nothing is nan."""
    return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)


def _mean(values: np.ndarray) -> float:
    """Mean of the values that are not nan; nan if all are."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _none_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
