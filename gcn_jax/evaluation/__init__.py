"""Evaluation: confusion matrices and scores, inference on images of any size.

The way in is `evaluate(model, variables, source, ...)`, which the training loop and `evaluate.py`
share. A source is anything with a length and samples by index.
"""

from gcn_jax.evaluation.evaluator import EvaluationResult, ImageScore, evaluate
from gcn_jax.evaluation.metrics import Scores, confusion_matrix

__all__ = [
    "EvaluationResult",
    "ImageScore",
    "Scores",
    "confusion_matrix",
    "evaluate",
]
