"""Inference on images of any size: class maps by scales, flips, windows and a dense CRF.

A `Predictor` is a model on its devices and says, by an `Inference`, how it predicts;
`predictor.predict(source)` gives class maps. (`models.predict` is for one image and one run of the
network.) A source is anything with a length and examples by index.
"""

from gcn_jax.inference.crf import CRFParameters, dense_crf
from gcn_jax.inference.predictor import Predictor
from gcn_jax.inference.settings import Inference

__all__ = ["CRFParameters", "Inference", "Predictor", "dense_crf"]
