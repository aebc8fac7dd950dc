"""The F-score of one image's outlines (Csurka et al., 2013): how much of them matches."""

import numpy as np
from scipy import spatial


def outline_f_scores(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    classes: np.ndarray,
    tolerance: float,
    num_classes: int,
) -> np.ndarray:
    """Return the F-score of each class of one image: float64 `[C]`, nan where there is none.

    Args:
        truth: Integers `[H, W]`, the class where the truth has an outline, else -1.
        prediction: The same of the prediction.
        classes: Those to score.
        tolerance: In pixels.
        num_classes: C.
    """
    scores = np.full(num_classes, np.nan)
    for number in classes:
        true_points, points = np.argwhere(truth == number), np.argwhere(prediction == number)
        if len(true_points) and len(points):
            precision = _share_near(points, true_points, tolerance)
            recall = _share_near(true_points, points, tolerance)
            # 2PR / (P + R), and 0 where both are 0.
            scores[number] = 2 * precision * recall / ((precision + recall) or 1.0)
        elif len(true_points) or len(points):
            scores[number] = 0.0
    return scores


def _share_near(points: np.ndarray, others: np.ndarray, tolerance: float) -> float:
    """Return the share of the points that have one of the others within the tolerance."""
    # The search excludes its bound, the tolerance includes its own.
    tree = spatial.cKDTree(others)
    distances, _ = tree.query(points, distance_upper_bound=tolerance + 1)
    return float(np.mean(distances <= tolerance))
