"""Evaluation: confusion matrices and scores, inference on images of any size.

A `Predictor` is a model on its devices and says, by an `Inference`, how it predicts: scales, flips,
windows. `evaluate(predictor, source)` scores it, in the training loop as in `evaluate.py`;
`predictor.predict(source)` gives class maps. (`models.predict` is for one image and one run of the
network.) A source is anything with a length and samples by index.
"""

from gcn_jax.evaluation.evaluator import EvaluationResult, ImageScore, evaluate
from gcn_jax.evaluation.inference import Inference, Predictor
from gcn_jax.evaluation.metrics import Scores, confusion_matrix
from gcn_jax.evaluation.submission import open_submission

__all__ = [
    "EvaluationResult",
    "ImageScore",
    "Inference",
    "Predictor",
    "Scores",
    "confusion_matrix",
    "evaluate",
    "open_submission",
]
