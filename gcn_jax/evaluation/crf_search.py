"""Grid search for the parameters of a dense CRF on a few labelled images."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gcn_jax.evaluation.metrics import Scores
from gcn_jax.inference.crf.dense import dense_crf
from gcn_jax.inference.crf.parameters import PRESETS, CRFParameters

#: What DeepLab v2 searched (TPAMI 2018, section 4.1), with 100 validation images: standard
#: deviations and weight of the bilateral kernel; those of the Gaussian one stay 3 and 3.
DEEPLAB_V2_GRID: dict[str, tuple[float, ...]] = {
    "bilateral_weight": (3, 4, 5, 6),
    "bilateral_sxy": (30, 40, 50, 60, 70, 80, 90, 100),
    "bilateral_srgb": (3, 4, 5, 6),
}


class SearchResult(NamedTuple):
    """Scores of one setting.

    Attributes:
        parameters: Those of the CRF; None for the probabilities as they are.
        scores: Those of all images together.
    """

    parameters: CRFParameters | None
    scores: Scores


def make_grid(
    values: Mapping[str, Sequence[float]], base: CRFParameters = PRESETS["deeplab_v1"]
) -> list[CRFParameters]:
    """Return all combinations of values.

    Args:
        values: To try, by the name of the field of `CRFParameters`.
        base: Has the other fields.
    """
    combinations = itertools.product(*values.values())
    return [dataclasses.replace(base, **_named(values, c)) for c in combinations]


def _named(values: Mapping[str, Any], combination: Sequence[float]) -> dict[str, Any]:
    return dict(zip(values, combination, strict=True))


def search(
    examples: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], grid: Sequence[CRFParameters]
) -> list[SearchResult]:
    """Score each setting on the same images.

    Args:
        examples: Probabilities float `[H, W, C]`, image uint8 `[H, W, 3]` and label uint8 `[H, W]`
            for each image; read once, one at a time.
        grid: The settings.

    Returns:
        The settings and, as `None`, going without a CRF, from the best mean IoU to the worst; of
        equals, the earlier in the grid comes first.
    """
    settings: list[CRFParameters | None] = [None, *grid]
    counts: dict[int, np.ndarray] = {}
    for probabilities, image, label in examples:
        for i, parameters in enumerate(settings):
            marginals = dense_crf(probabilities, image, parameters) if parameters else probabilities
            counts[i] = counts.get(i, 0) + _confusion_matrix(label, marginals)
    results = [SearchResult(one, Scores(counts[i])) for i, one in enumerate(settings)]
    return sorted(results, key=lambda result: -np.nan_to_num(result.scores.miou, nan=-1))


def _confusion_matrix(label: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count as `metrics.confusion_matrix`, on the host: images of any size compile nothing."""
    num_classes = probabilities.shape[-1]
    counted = label < num_classes
    cells = label[counted].astype(np.int64) * num_classes + probabilities.argmax(axis=-1)[counted]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
