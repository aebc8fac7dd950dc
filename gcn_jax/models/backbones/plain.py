"""A plain backbone for studies, quick starts and tests: four 3 x 3 convolutions."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.models.layers import BatchNorm, Conv, Dtype, relu


class Plain(nn.Module):
    """Four stages of convolution 3 x 3, batch-norm and ReLU, with strides 2, 2, 2 and 1.

    A feature of res5 sees 31 x 31 pixels of the image, much less than the image: what more a
    network sees comes from its head. That makes it a test bed for large kernels.

    Attributes:
        widths: Channels of res2, res3, res4, res5.
        frozen_batch_norm: Batch-norm uses the running statistics, even in training.
        dtype: The precision of the computation and of the features; parameters and statistics are
            float32.
        remat: Whether what a stage computes inside is computed again for its gradient.
    """

    widths: tuple[int, int, int, int] = (24, 48, 96, 96)
    frozen_batch_norm: bool = False
    dtype: Dtype = jnp.float32
    remat: bool = False

    #: Image pixels per feature of res2, res3, res4, res5.
    strides: ClassVar[tuple[int, int, int, int]] = (2, 4, 8, 8)

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Compute the features of each stage.

        Args:
            images: float32 `[N, H, W, 3]`, normalised.
            train: Batch-norm uses the statistics of the batch, and updates the running ones.

        Returns:
            res2 to res5, each `[N, ceil(H / stride), ceil(W / stride), width]`.
        """
        conv = partial(Conv, kernel_size=(3, 3), use_bias=False, dtype=self.dtype)
        norm = partial(
            BatchNorm, use_running_average=not train or self.frozen_batch_norm, dtype=self.dtype
        )

        def stage(module, x, level, width, strides):
            x = conv(width, strides=strides, name=f"conv{level}")(x)
            return relu(norm(name=f"bn{level}")(x))

        if self.remat:
            stage = nn.remat(stage, static_argnums=(2, 3, 4))
        features, x = {}, images
        for level, width, strides in zip((2, 3, 4, 5), self.widths, (2, 2, 2, 1), strict=True):
            x = stage(self, x, level, width, strides)
            features[f"res{level}"] = x
        return features

    @nn.nowrap
    def distance_to_head(self, path: tuple[str, ...]) -> int:
        """Return how many stages there are from a parameter to the head: 4 to 1.

        Args:
            path: The path of the parameter in the backbone.
        """
        return 6 - int(path[0][-1])
