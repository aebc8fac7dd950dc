"""Trained models as files that run elsewhere: StableHLO for JAX, ONNX for everything else.

`load` needs jax, numpy and flatbuffers (with which JAX reads its programs), and nothing else of
what the package is made with.

Example:
    >>> segment = gcn_jax.export.load("model.stablehlo")
    >>> labels = segment(images)  # uint8 [N, H, W, 3], any N, H and W -> int32 [N, H, W]
"""

from gcn_jax.export.program import Program, load

__all__ = ["Program", "load"]
