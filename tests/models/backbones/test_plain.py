"""The small backbone: sizes and what it sees."""

import jax
import jax.numpy as jnp
import numpy as np

from gcn_jax.models.backbones.plain import Plain


def test_features_have_strides_2_4_8_8():
    images = jnp.zeros((2, 33, 18, 3))
    model = Plain(widths=(4, 5, 6, 7))
    outputs = jax.eval_shape(model.init_with_output, jax.random.key(0), images)[0]
    assert {name: features.shape for name, features in outputs.items()} == {
        "res2": (2, 17, 9, 4),
        "res3": (2, 9, 5, 5),
        "res4": (2, 5, 3, 6),
        "res5": (2, 5, 3, 7),
    }
    assert model.strides == (2, 4, 8, 8)


def test_a_feature_of_res5_sees_31_pixels():
    images = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype("float32")
    model = Plain(widths=(8, 8, 8, 8))
    variables = jax.jit(model.init)(jax.random.key(0), images)
    feature = jax.jit(jax.grad(lambda x: model.apply(variables, x)["res5"][0, 4, 4].sum()))
    gradient = feature(images)
    seen = np.abs(gradient).sum(axis=(0, 3))
    for axis in (0, 1):
        (indices,) = np.nonzero(seen.sum(axis=axis))
        # The centre of feature 4 at stride 8 is pixel 32.
        assert (indices.min(), indices.max()) == (32 - 15, 32 + 15)
