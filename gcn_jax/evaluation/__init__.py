"""Evaluation: class maps become confusion matrices, scores and their intervals.

`evaluate(predictor, source)` scores a `gcn_jax.inference.Predictor`, in the training loop as in
`evaluate.py`. A source is anything with a length and examples by index.
"""

from gcn_jax.evaluation.boundary import BoundaryCounts, boundary_counts
from gcn_jax.evaluation.evaluator import EvaluationResult, ImageScore, evaluate
from gcn_jax.evaluation.metrics import Scores, confusion_matrix
from gcn_jax.evaluation.submission import open_submission
from gcn_jax.evaluation.uncertainty import Intervals, bootstrap, paired_bootstrap

__all__ = [
    "BoundaryCounts",
    "EvaluationResult",
    "ImageScore",
    "Intervals",
    "Scores",
    "bootstrap",
    "boundary_counts",
    "confusion_matrix",
    "evaluate",
    "open_submission",
    "paired_bootstrap",
]
