"""The accuracy of class maps along the borders of objects: counts per image, scores of their sum.

Four measures of the field, with one notion of a border. The neighbours of a pixel are the eight
around it, and its distance to the border is the number of steps (chessboard distance) to the
nearest pixel of another label, so it is 1 on either side of an edge.

Void, in the truth:
    *Trimap and boundary accuracy*: void is one more label, so the border lies where it starts. As
    PASCAL VOC draws a strip of void around every object, the trimap is there the one of DeepLab
    (dilated void); data sets without such strips get the same bands along their edges. Void pixels
    are never counted.
    *Boundary IoU and F-score*, which outline the prediction too: a void pixel counts as what was
    predicted there, so nothing in it is an error. To blank it in both maps instead, as some
    codes do, would draw the objects' outlines into a prediction that has none.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from gcn_jax import IGNORE_LABEL
from gcn_jax.evaluation.metrics import (
    Score,
    iou,
    json_by_class,
    json_of_scores,
    mean_of_defined,
    num_defined,
    ratio,
)
from gcn_jax.evaluation.outlines import outline_f_scores

#: Pixels at most this far from the border are "boundary", the others "internal" (GCN, Table 5).
BOUNDARY_WIDTH = 7
#: Trimaps have widths 1 to this (DeepLab).
MAX_TRIMAP_WIDTH = 40
#: Width of the bands of Boundary IoU, as a share of the image's diagonal.
BAND_SHARE = 0.02
#: How far apart outlines still match in the F-score, as a share of the image's diagonal.
TOLERANCE_SHARE = 0.0075


@dataclasses.dataclass(frozen=True, eq=False)
class BoundaryCounts:
    """Counts of one image or, added up, of many; the scores follow from their sum.

    Classes that a measure does not meet are nan and left out of its mean, as in `Scores`.

    Attributes:
        trimap: int64 `[41, 3, C]`. Row i has the `class_sums` of the pixels at distance i + 1 from
            the border of the truth, the last row those of all that are further from it.
        bands: int64 `[3, C]`, `class_sums` of the bands of Boundary IoU.
        class_f_scores: float64 `[2, C]`: sum of each class's F-scores, and number of images that
            have one.
        image_f_scores: float64 `[2]`: sum of the images' F-scores, and number of images with one.
    """

    trimap: np.ndarray
    bands: np.ndarray
    class_f_scores: np.ndarray
    image_f_scores: np.ndarray

    @classmethod
    def zeros(cls, num_classes: int) -> "BoundaryCounts":
        """Return the counts of no image, which a sum starts from."""
        return cls(
            trimap=np.zeros((MAX_TRIMAP_WIDTH + 1, 3, num_classes), np.int64),
            bands=np.zeros((3, num_classes), np.int64),
            class_f_scores=np.zeros((2, num_classes)),
            image_f_scores=np.zeros(2),
        )

    def __add__(self, other: "BoundaryCounts") -> "BoundaryCounts":
        names = [field.name for field in dataclasses.fields(self)]
        return BoundaryCounts(*(getattr(self, name) + getattr(other, name) for name in names))

    @property
    def boundary_accuracy(self) -> float:
        """Share of the pixels within `BOUNDARY_WIDTH` that are right (GCN, Table 5)."""
        return _accuracy(self.trimap[:BOUNDARY_WIDTH])

    @property
    def internal_accuracy(self) -> float:
        """Share of all other labelled pixels that are right (GCN, Table 5)."""
        return _accuracy(self.trimap[BOUNDARY_WIDTH:])

    @property
    def trimap_miou(self) -> np.ndarray:
        """Mean IoU of the pixels within 1, 2, ... 40 of the border: float64 `[40]`.

        DeepLab (Chen et al., 2015), Section 5; after Kohli et al. (2009).
        """
        return mean_of_defined(iou(self.trimap.cumsum(axis=0)[:MAX_TRIMAP_WIDTH]))

    @property
    def trimap_accuracy(self) -> np.ndarray:
        """Share of the pixels within 1, 2, ... 40 of the border that are right: float64 `[40]`."""
        right, labelled, _ = self.trimap.sum(axis=2).cumsum(axis=0)[:MAX_TRIMAP_WIDTH].T
        return ratio(right, labelled)

    @property
    def trimap_num_classes_counted(self) -> list[int]:
        """How many classes each of these means is over."""
        return [num_defined(ious) for ious in iou(self.trimap.cumsum(axis=0)[:MAX_TRIMAP_WIDTH])]

    @property
    def per_class_boundary_iou(self) -> np.ndarray:
        """Boundary IoU (Cheng et al., 2021) of each class: float64 `[C]`.

        Of the class's masks in truth and prediction, only the pixels within d of their own outline
        are compared; d is 2 % of the image's diagonal, and the image's edge is part of the outline.
        The pixels of all images are summed before the division.
        """
        return iou(self.bands)

    @property
    def boundary_iou(self) -> float:
        """Mean of the classes' Boundary IoU."""
        return float(mean_of_defined(self.per_class_boundary_iou))

    @property
    def boundary_iou_num_classes_counted(self) -> int:
        """How many classes that mean is over."""
        return num_defined(self.per_class_boundary_iou)

    @property
    def per_class_boundary_f_score(self) -> np.ndarray:
        """Boundary F-score (Csurka et al., 2013) of each class: float64 `[C]`.

        Mean over the images whose truth has the class of F1 = 2PR / (P + R). P is the share of the
        prediction's outline within the tolerance (0.75 % of the image's diagonal, Euclidean) of the
        truth's, R the share of the truth's outline within it of the prediction's. The image's edge
        is no outline. Where neither has an outline (the class fills the image) there is no score.
        """
        return ratio(*self.class_f_scores)

    @property
    def boundary_f_score(self) -> float:
        """Mean over the images of the mean F-score of the classes in their truth."""
        return float(ratio(*self.image_f_scores))

    def to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as JSON values; nan becomes None.

        Args:
            class_names: C names, the keys of what is given per class.
        """
        widths = [str(width) for width in range(1, MAX_TRIMAP_WIDTH + 1)]
        return {
            "boundary_width": BOUNDARY_WIDTH,
            **json_of_scores(BOUNDARY_SCORES, self),
            "boundary_iou_num_classes_counted": self.boundary_iou_num_classes_counted,
            "trimap_miou": json_by_class(widths, self.trimap_miou),
            "trimap_num_classes_counted": dict(
                zip(widths, self.trimap_num_classes_counted, strict=True)
            ),
            "per_class_boundary_iou": json_by_class(class_names, self.per_class_boundary_iou),
            "per_class_boundary_f_score": json_by_class(
                class_names, self.per_class_boundary_f_score
            ),
        }


#: Every score of borders that is one number; see `metrics.SCORES`.
BOUNDARY_SCORES: tuple[Score, ...] = (
    Score(
        "boundary_accuracy",
        f"boundary accuracy ({BOUNDARY_WIDTH} px)",
        lambda counts: counts.boundary_accuracy,
    ),
    Score("internal_accuracy", "internal accuracy", lambda counts: counts.internal_accuracy),
    Score("boundary_iou", "Boundary IoU", lambda counts: counts.boundary_iou),
    Score("boundary_f_score", "boundary F-score", lambda counts: counts.boundary_f_score),
)


def boundary_counts(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> BoundaryCounts:
    """Count one image on the host.

    Args:
        label: uint8 `[H, W]`, 0..num_classes-1 or `IGNORE_LABEL`.
        prediction: Integers `[H, W]`, 0..num_classes-1.
        num_classes: C.
    """
    assert label.shape == prediction.shape, (label.shape, prediction.shape)
    label, prediction = label.astype(np.int32), prediction.astype(np.int32)
    valid = label != IGNORE_LABEL
    truth = np.where(valid, label, prediction)
    truth_distance, prediction_distance = border_distance(truth), border_distance(prediction)
    diagonal = np.hypot(*label.shape)
    f_scores = outline_f_scores(
        np.where(truth_distance == 1, truth, -1),
        np.where(prediction_distance == 1, prediction, -1),
        classes=np.flatnonzero(np.bincount(label[valid])),
        tolerance=TOLERANCE_SHARE * diagonal,
        num_classes=num_classes,
    )
    return BoundaryCounts(
        trimap=_trimap(label, prediction, num_classes),
        bands=_bands(
            np.where(valid & _band(truth_distance, diagonal), truth, num_classes),
            np.where(valid & _band(prediction_distance, diagonal), prediction, num_classes),
            num_classes,
        ),
        class_f_scores=_sum_and_number(f_scores),
        image_f_scores=_sum_and_number(mean_of_defined(f_scores)),
    )


def border_distance(classes: np.ndarray) -> np.ndarray:
    """Return each pixel's chessboard distance to the nearest one of another label.

    Args:
        classes: Integers `[H, W]`.

    Returns:
        int32 `[H, W]`, from 1 on; larger than the map where that has a single label.
    """
    edges = np.zeros(classes.shape, bool)
    here, below = slice(None, -1), slice(1, None)
    every = slice(None)
    for one, other in (
        ((every, here), (every, below)),
        ((here, every), (below, every)),
        ((here, here), (below, below)),
        ((here, below), (below, here)),
    ):
        differ = classes[one] != classes[other]
        edges[one] |= differ
        edges[other] |= differ
    if not edges.any():
        return np.full(classes.shape, max(*classes.shape, MAX_TRIMAP_WIDTH) + 1, np.int32)
    # The last pixel of the own label, on the shortest way to another, is the nearest edge pixel.
    return ndimage.distance_transform_cdt(~edges, metric="chessboard") + 1


def _trimap(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the class sums of the labelled pixels by distance: int64 [41, 3, C]."""
    valid = label != IGNORE_LABEL
    row = np.minimum(border_distance(label)[valid], MAX_TRIMAP_WIDTH + 1) - 1
    truth, predicted = label[valid], prediction[valid]
    right = truth == predicted
    shape = (MAX_TRIMAP_WIDTH + 1, num_classes)

    def count(rows, classes):
        return np.bincount(rows * num_classes + classes, minlength=np.prod(shape)).reshape(shape)

    return np.stack(
        [count(row[right], truth[right]), count(row, truth), count(row, predicted)], axis=1
    )


def _band(distance: np.ndarray, diagonal: float) -> np.ndarray:
    """Return which pixels are within d of their mask's outline, the image's edge being part of it.

    The same as to erode each mask d times with a 3 x 3 square, zeros around the image.
    """
    width = max(1, round(BAND_SHARE * diagonal))
    band = distance <= width
    band[:width] = band[-width:] = band[:, :width] = band[:, -width:] = True
    return band


def _bands(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the class sums of two maps in which `num_classes` stands for outside the band."""

    def count(classes):
        return np.bincount(classes, minlength=num_classes + 1)[:num_classes]

    return np.stack(
        [count(truth[truth == prediction]), count(truth.ravel()), count(prediction.ravel())]
    )


def _accuracy(sums: np.ndarray) -> float:
    """Return the share of right pixels: class sums [..., 3, C]."""
    return float(ratio(sums[..., 0, :].sum(), sums[..., 1, :].sum()))


def _sum_and_number(values: np.ndarray) -> np.ndarray:
    """Return the values with nan as 0, and which are not nan: float64 [2, ...]."""
    return np.stack([np.nan_to_num(values), ~np.isnan(values)])
