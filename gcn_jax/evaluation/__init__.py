"""Evaluation: confusion matrices and scores, inference on images of any size.

A `Predictor` is a model on its devices and says, by an `Inference`, how it predicts: scales, flips,
windows. `evaluate(predictor, source)` scores it, in the training loop as in `evaluate.py`;
`predictor.predict(source)` gives class maps. (`models.predict` is for one image and one run of the
network.) A source is anything with a length and samples by index.
"""

from gcn_jax.evaluation.boundary import BoundaryCounts, boundary_counts
from gcn_jax.evaluation.evaluator import EvaluationResult, ImageScore, evaluate
from gcn_jax.evaluation.inference import Inference, Predictor
from gcn_jax.evaluation.metrics import Scores, confusion_matrix
from gcn_jax.evaluation.submission import open_submission
from gcn_jax.evaluation.uncertainty import Intervals, bootstrap, paired_bootstrap

__all__ = [
    "BoundaryCounts",
    "EvaluationResult",
    "ImageScore",
    "Inference",
    "Intervals",
    "Predictor",
    "Scores",
    "bootstrap",
    "boundary_counts",
    "confusion_matrix",
    "evaluate",
    "open_submission",
    "paired_bootstrap",
]
