"""The heads that score the classes at a level: the global convolution and its alternatives.

All are linear maps from features to scores, `(features, kernel_size, ...)`, and differ in how much
of the map a score sees and in what that costs (the paper's Tables 1 to 4).
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.layers import Conv, Dtype, lecun_normal


def check_odd(kernel_size: int) -> None:
    """Raise `UserError` unless a kernel has a centre."""
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UserError(
            f"kernel_size is {kernel_size}, but must be odd and positive: an even kernel has no "
            "centre; take the next odd number"
        )


class _Head(nn.Module):
    """A linear map from features to scores.

    Attributes:
        features: Number of output channels (the classes).
        kernel_size: K, odd; an even one raises `UserError`.
        use_bias: Whether every convolution has a bias; the paper's counts of parameters have none.
        dtype: The precision of the computation and of the output; parameters are float32.
    """

    features: int
    kernel_size: int = 15
    use_bias: bool = True
    dtype: Dtype = jnp.float32

    def __post_init__(self):
        check_odd(self.kernel_size)
        super().__post_init__()

    def _conv(self, features: int, height: int, width: int, name: str) -> Conv:
        return Conv(
            features,
            (height, width),
            use_bias=self.use_bias,
            kernel_init=lecun_normal,
            dtype=self.dtype,
            name=name,
        )


class GlobalConv(_Head):
    """Global convolution (Fig. 2B): k x 1 then 1 x k, plus 1 x k then k x 1.

    Every output sees k x k inputs densely, for 2 / k of the parameters of a k x k convolution
    (k large, C_in >> features): `2 * k * (C_in + features) * features` without biases. There is no
    non-linearity, and as many channels between the convolutions as come out.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C_in]` to `[N, H, W, features]`; beyond the border there are zeros."""
        k = self.kernel_size
        left = self._conv(self.features, k, 1, "left_k1")(x)
        left = self._conv(self.features, 1, k, "left_1k")(left)
        right = self._conv(self.features, 1, k, "right_1k")(x)
        right = self._conv(self.features, k, 1, "right_k1")(right)
        return left + right


class PlainConv(_Head):
    """One k x k convolution, the "trivial" one of Table 2: `k * k * C_in * features` parameters."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C_in]` to `[N, H, W, features]`; beyond the border there are zeros."""
        return self._conv(self.features, self.kernel_size, self.kernel_size, "conv")(x)


class StackedConv(_Head):
    """(k - 1) / 2 convolutions 3 x 3 without non-linearity (Tables 3 and 4): they see k x k, too.

    Attributes:
        middle_features: M, number of channels between the convolutions; None for as many as come
            in, as in Table 3.
    """

    middle_features: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[N, H, W, C_in]` to `[N, H, W, features]`; beyond the border there are zeros.

        Raises:
            UserError: If k is 1: then there is no convolution.
        """
        count = self.kernel_size // 2
        if not count:
            raise UserError("a stack of 3 x 3 convolutions has no kernel_size 1; take 3 or more")
        middle = self.middle_features or x.shape[-1]
        for i in range(1, count):
            x = self._conv(middle, 3, 3, f"conv{i}")(x)
        return self._conv(self.features, 3, 3, f"conv{count}")(x)


def _baseline(features: int, kernel_size: int, **settings) -> PlainConv:
    del kernel_size
    return PlainConv(features, kernel_size=1, **settings)


#: Name -> constructor `(features, kernel_size, use_bias=, dtype=, name=)` of a head. "baseline" is
#: the 1 x 1 convolution of Table 1, whatever the kernel size.
HEADS: Mapping[str, Callable[..., nn.Module]] = {
    "gcn": GlobalConv,
    "baseline": _baseline,
    "conv": PlainConv,
    "stack": StackedConv,
}
