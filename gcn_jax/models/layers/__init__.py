"""The primitives every network is built from: convolution, norms, attention, upsampling, pooling.

Networks use these instead of `flax.linen`'s own, so how a primitive is computed can change in one
place, `backend.py`: in plain words (`plain.py`), or in those that are best on a CPU (`cpu/`) or on
a TPU (`tpu.py`). The names and shapes of parameters belong to the primitive, not to how it is
computed: a checkpoint never depends on it.
"""

from gcn_jax.models.layers.activation import gelu, relu
from gcn_jax.models.layers.attention import attend
from gcn_jax.models.layers.backend import (
    formulation_for,
    keeps_blocks,
    plain_formulation,
    split_rows,
)
from gcn_jax.models.layers.conv import (
    Conv,
    Deconv2x,
    Dtype,
    Initializer,
    bilinear_kernel_init,
    bilinear_taps,
    convolve,
    deconvolve,
    he_normal,
    lecun_normal,
    normal_init,
)
from gcn_jax.models.layers.norm import BatchNorm, GroupNorm, LayerNorm
from gcn_jax.models.layers.pixel_blocks import depth_to_space, pixels_last, space_to_depth
from gcn_jax.models.layers.plain import cut
from gcn_jax.models.layers.resize import (
    enlarge,
    fit,
    repeat_2x,
    resize_bicubic,
    resize_bilinear,
    resize_bilinear_2x,
    sample_bilinear,
    size_of,
)

__all__ = [
    "BatchNorm",
    "Conv",
    "Deconv2x",
    "Dtype",
    "GroupNorm",
    "Initializer",
    "LayerNorm",
    "attend",
    "bilinear_kernel_init",
    "bilinear_taps",
    "convolve",
    "cut",
    "deconvolve",
    "depth_to_space",
    "enlarge",
    "fit",
    "formulation_for",
    "gelu",
    "he_normal",
    "keeps_blocks",
    "lecun_normal",
    "normal_init",
    "pixels_last",
    "plain_formulation",
    "relu",
    "repeat_2x",
    "resize_bicubic",
    "resize_bilinear",
    "resize_bilinear_2x",
    "sample_bilinear",
    "size_of",
    "space_to_depth",
    "split_rows",
]
