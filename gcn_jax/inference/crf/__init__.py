"""Dense CRF (Krähenbühl and Koltun 2011) in JAX: sharper boundaries for class probabilities.

Mean-field inference with a Gaussian and a bilateral kernel, filtered on permutohedral lattices.
The marginals are those of the authors' C++ (`pydensecrf`), without any C++.
"""

from gcn_jax.inference.crf.dense import dense_crf, dense_crf_batch
from gcn_jax.inference.crf.parameters import PRESETS, CRFParameters, crf_parameters

__all__ = ["PRESETS", "CRFParameters", "crf_parameters", "dense_crf", "dense_crf_batch"]
