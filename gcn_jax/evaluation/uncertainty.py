"""The bootstrap over images: how far scores would move had other images been drawn.

Each resample draws as many images as there are, with replacement, and scores their summed pixels
(Efron and Tibshirani, 1993; percentile intervals). This is the noise of which images are in the
split, not that of the training: another seed of the same recipe moves the scores as well. Below
`FEWEST_IMAGES` there is no interval: resamples of a handful are hardly different, which would look
like certainty.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from gcn_jax.evaluation.metrics import iou, json_value, mean_of_defined

#: Images from which an interval is given: of the split; for a class those that it occurs in.
FEWEST_IMAGES = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Intervals:
    """Confidence intervals (low, high) of IoU, or of a difference of IoU.

    A class that is absent from a resample has no IoU there: the resample's mean leaves it out, as
    `Scores` does, and so does the class's own interval. What no resample defines is nan, and so is
    what rests on fewer than `FEWEST_IMAGES`.

    Attributes:
        miou: float64 `[2]`.
        per_class_iou: float64 `[C, 2]`.
        level: Share of the resamples inside each interval.
        num_resamples: Resamples they were taken from.
    """

    miou: np.ndarray
    per_class_iou: np.ndarray
    level: float
    num_resamples: int

    def to_json(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Return the intervals as JSON values, [low, high] each; nan becomes None."""
        return {
            "level": self.level,
            "num_resamples": self.num_resamples,
            "miou": [json_value(end) for end in self.miou],
            "per_class_iou": {
                name: [json_value(end) for end in ends]
                for name, ends in zip(class_names, self.per_class_iou, strict=True)
            },
        }


def bootstrap(
    sums: np.ndarray, *, num_resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Intervals:
    """Return confidence intervals of mIoU and of the classes' IoU.

    Args:
        sums: Integers `[N, 3, C]`, the `class_sums` of each image.
        num_resamples: R.
        seed: The seed of the draws.
        level: Share of the resamples inside an interval, in (0, 1).
    """
    return _intervals(*_scores(_resample(sums, num_resamples, seed)), level, sums)


def paired_bootstrap(
    a: np.ndarray,
    b: np.ndarray,
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Intervals:
    """Return confidence intervals of how much b scores above a, both resampled alike.

    What makes an image hard is hard for both: it moves the difference far less than the scores.

    Args:
        a: Integers `[N, 3, C]`, the `class_sums` of each image of one run.
        b: Those of the same images, in the same order, of another.
        num_resamples: R.
        seed: The seed of the draws.
        level: Share of the resamples inside an interval, in (0, 1).
    """
    per_class, mean = _scores(_resample(np.stack([a, b], axis=1), num_resamples, seed))
    differences = per_class[:, 1] - per_class[:, 0], mean[:, 1] - mean[:, 0]
    return _intervals(*differences, level, a + b)


def _resample(sums: np.ndarray, num_resamples: int, seed: int) -> np.ndarray:
    """Return the sums of resampled images: [N, ...] to float64 [R, ...], exact below 2^53."""
    num_images = len(sums)
    flat = sums.reshape(num_images, -1).astype(np.float64)  # of floats, a product is BLAS's
    rng = np.random.default_rng(seed)
    resampled = np.empty((num_resamples, flat.shape[1]))
    for row in resampled:
        times_drawn = np.bincount(rng.integers(num_images, size=num_images), minlength=num_images)
        row[:] = times_drawn @ flat
    return resampled.reshape(num_resamples, *sums.shape[1:])


def _scores(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes' IoU [..., C] and their mean [...]."""
    per_class = iou(sums)
    return per_class, mean_of_defined(per_class)


def _intervals(
    per_class: np.ndarray, mean: np.ndarray, level: float, sums: np.ndarray
) -> Intervals:
    images_of = np.count_nonzero(sums[:, 1:].any(axis=1), axis=0)  # in truth or prediction
    columns = zip(per_class.T, images_of, strict=True)
    return Intervals(
        miou=_interval(mean, level, len(sums)),
        per_class_iou=np.stack([_interval(values, level, count) for values, count in columns]),
        level=level,
        num_resamples=len(mean),
    )


def _interval(values: np.ndarray, level: float, num_images: int) -> np.ndarray:
    """Return the middle `level` of the values that are not nan: float64 [2]."""
    defined = values[~np.isnan(values)]
    if not defined.size or num_images < FEWEST_IMAGES:
        return np.full(2, np.nan)
    return np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
