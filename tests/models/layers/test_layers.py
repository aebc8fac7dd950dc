"""The primitives against independent computations in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import lax
from PIL import Image

from gcn_jax.models.layers import (
    BatchNorm,
    Conv,
    Deconv2x,
    LayerNorm,
    deconvolve,
    enlarge,
    fit,
    gelu,
    he_normal,
    lecun_normal,
    normal_init,
    resize_bicubic,
    resize_bilinear,
    resize_bilinear_2x,
    sample_bilinear,
)
from tests.helpers.random_values import normal


@pytest.mark.parametrize("strides", [1, 2])
def test_a_1x1_convolution_is_the_convolution_it_replaces(strides):
    x = normal(2, 7, 6, 5)
    conv = Conv(4, (1, 1), strides=strides)
    variables = conv.init(jax.random.key(0), x)
    kernel = variables["params"]["kernel"]
    assert kernel.shape == (1, 1, 5, 4)
    expected = lax.conv_general_dilated(
        x, kernel, (strides, strides), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(conv.apply(variables, x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel_size", "strides", "dilation", "padding"),
    [((3, 3), 2, 1, (1, 1)), ((3, 5), 1, 2, (2, 4)), ((3, 3), 1, 1, (0, 0))],
)
def test_a_convolution_is_the_sum_over_its_taps(kernel_size, strides, dilation, padding):
    x = normal(1, 7, 8, 3)
    given = padding if padding == (0, 0) else None  # the others are the default
    conv = Conv(2, kernel_size, strides=strides, dilation=dilation, padding=given)
    variables = conv.init(jax.random.key(0), x)
    params = {"kernel": normal(*kernel_size, 3, 2, seed=1), "bias": normal(2, seed=2)}
    assert jax.tree.map(jnp.shape, variables["params"]) == jax.tree.map(jnp.shape, params)

    (ph, pw), (kh, kw) = padding, kernel_size
    padded = np.pad(x[0], [(ph, ph), (pw, pw), (0, 0)])
    height = padded.shape[0] - dilation * (kh - 1)
    width = padded.shape[1] - dilation * (kw - 1)
    expected = sum(
        padded[dilation * i :, dilation * j :][:height:strides, :width:strides]
        @ params["kernel"][i, j]
        for i in range(kh)
        for j in range(kw)
    )
    y = conv.apply({"params": params}, x)[0]
    np.testing.assert_allclose(y, expected + params["bias"][None, None], atol=1e-5)


def test_kernels_are_normal_with_the_variance_of_their_fan():
    key, shape = jax.random.key(0), (3, 5, 40, 20)
    drawn = jax.random.normal(key, shape)
    np.testing.assert_allclose(normal_init(0.01)(key, shape), 0.01 * drawn, rtol=1e-6)
    np.testing.assert_allclose(he_normal(key, shape), np.sqrt(2 / (15 * 20)) * drawn, rtol=1e-6)
    np.testing.assert_allclose(lecun_normal(key, shape), np.sqrt(1 / 600) * drawn, rtol=1e-6)


def test_batch_norm_normalises_and_keeps_running_statistics():
    x = np.array([[1.0, 2.0], [3.0, 6.0]], "float32").reshape(2, 1, 1, 2)
    norm = BatchNorm(use_running_average=False)
    variables = norm.init(jax.random.key(0), x)
    y, updates = norm.apply(variables, x, mutable=["batch_stats"])
    # Means (2, 4), variances (1, 4).
    np.testing.assert_allclose(y[:, 0, 0], [[-1, -1], [1, 1]], atol=1e-4)
    np.testing.assert_allclose(updates["batch_stats"]["mean"], [0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(updates["batch_stats"]["var"], [1.0, 1.3], rtol=1e-6)
    y = BatchNorm(use_running_average=True).apply({**variables, **updates}, x)
    expected = (x - np.array([0.2, 0.4])[None, None, None]) / np.sqrt([[[[1.0, 1.3]]]])
    np.testing.assert_allclose(y, expected, rtol=1e-4)


def interpolate_2x(x, pad_mode):
    """Interpolate [H, W] at the centres of pixels of half the size, in float64."""
    x = np.pad(np.asarray(x, np.float64), 1, mode=pad_mode)

    def along_last(values):
        centres = np.arange(values.shape[-1])
        targets = (np.arange(2 * (values.shape[-1] - 2)) + 0.5) / 2 - 0.5 + 1
        return np.stack([np.interp(targets, centres, row) for row in values])

    return along_last(along_last(x).T).T


@pytest.mark.parametrize("shape", [(5, 4), (1, 1)])
def test_bilinear_resize_interpolates_and_repeats_the_border(shape):
    x = normal(*shape)
    y = resize_bilinear_2x(jnp.stack([x, -x], -1)[None])
    expected = interpolate_2x(x, "edge")
    np.testing.assert_allclose(y[0, :, :, 0], expected, atol=1e-6)
    np.testing.assert_allclose(y[0, :, :, 1], -expected, atol=1e-6)


def resize_by_loops(x, size, align_corners):
    """Resize [H, W] pixel by pixel, in float64, by PyTorch's definition of both modes."""

    def neighbours(i, old, new):
        if align_corners:
            place = i * (old - 1) / (new - 1) if new > 1 else 0.0
        else:
            place = max((i + 0.5) * old / new - 0.5, 0.0)
        low = min(int(place), old - 1)
        return low, min(low + 1, old - 1), place - low

    y = np.zeros(size)
    for i, j in np.ndindex(*size):
        (top, bottom, a), (left, right, b) = map(neighbours, (i, j), x.shape, size)
        upper = (1 - b) * x[top, left] + b * x[top, right]
        lower = (1 - b) * x[bottom, left] + b * x[bottom, right]
        y[i, j] = (1 - a) * upper + a * lower
    return y


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("shape", "size"), [((5, 4), (13, 9)), ((9, 7), (4, 3)), ((1, 3), (5, 1)), ((6, 5), (6, 17))]
)
def test_bilinear_resize_to_any_size(shape, size, align_corners):
    x = normal(*shape)
    y = resize_bilinear(jnp.stack([x, -x], -1)[None], size, align_corners=align_corners)
    expected = resize_by_loops(x, size, align_corners)
    np.testing.assert_allclose(y[0], np.stack([expected, -expected], -1), atol=1e-6)


@pytest.mark.parametrize(("channels", "features", "groups"), [(6, 6, 6), (6, 4, 2)])
def test_groups_of_channels_are_convolved_by_themselves(channels, features, groups):
    x = normal(2, 7, 6, channels)
    conv = Conv(features, (3, 3), strides=2, groups=groups)
    kernel, bias = normal(3, 3, channels // groups, features, seed=1), normal(features, seed=2)
    params = {"kernel": kernel, "bias": bias}
    made = jax.eval_shape(conv.init, jax.random.key(0), x)["params"]
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, params)
    parts = [
        Conv(features // groups, (3, 3), strides=2, use_bias=False).apply(
            {"params": {"kernel": kernel_part}}, x_part
        )
        for x_part, kernel_part in zip(
            np.split(x, groups, axis=3), np.split(kernel, groups, axis=3), strict=True
        )
    ]
    expected = np.concatenate(parts, axis=3) + bias
    np.testing.assert_allclose(conv.apply({"params": params}, x), expected, atol=1e-5)


def test_layer_norm_normalises_each_pixel():
    x = 3 * normal(2, 3, 4, 5) + 7
    scale, bias = normal(5, seed=1), normal(5, seed=2)
    y = LayerNorm(epsilon=0.5).apply({"params": {"scale": scale, "bias": bias}}, x)
    x = x.astype(np.float64)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 0.5)
    expected = (x - x.mean(axis=-1, keepdims=True)) / deviation * scale + bias
    np.testing.assert_allclose(y, expected, atol=1e-5)
    rough = LayerNorm(dtype=jnp.bfloat16).init_with_output(jax.random.key(0), x)[0]
    assert rough.dtype == jnp.bfloat16


def test_gelu_is_the_exact_one():
    x = np.linspace(-6, 6, 101).astype("float32")
    np.testing.assert_allclose(gelu(x), x * scipy.stats.norm.cdf(x), rtol=0, atol=1e-6)
    assert gelu(jnp.bfloat16(1)).dtype == jnp.bfloat16


def test_maps_are_cut_or_their_border_is_repeated():
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(fit(x, (4, 2))[0, :, :, 0], [[0, 1], [3, 4], [3, 4], [3, 4]])
    np.testing.assert_array_equal(fit(x, (1, 3)), x[:, :1])


def test_bilinear_resize_agrees_with_doubling_and_keeps_the_dtype():
    x = normal(2, 3, 5, 2)
    np.testing.assert_allclose(resize_bilinear(x, (6, 10)), resize_bilinear_2x(x), atol=1e-6)
    assert resize_bilinear(jnp.asarray(x, jnp.bfloat16), (7, 7)).dtype == jnp.bfloat16


def test_sampling_puts_features_at_multiples_of_their_stride():
    x = normal(1, 3, 4, 2)
    y = sample_bilinear(x, (12, 12), 1 / 4)  # features at 0, 4, 8 and, along W, 12
    np.testing.assert_allclose(y[:, ::4, ::4], x[:, :, :3], atol=1e-6)
    np.testing.assert_allclose(y[0, 0, 11], 0.25 * x[0, 0, 2] + 0.75 * x[0, 0, 3], atol=1e-6)
    np.testing.assert_allclose(y[:, 9:], np.repeat(y[:, 8:9], 3, axis=1))
    aligned = resize_bilinear(x, (9, 13), align_corners=True)
    np.testing.assert_allclose(sample_bilinear(x, (9, 13), 1 / 4), aligned, atol=1e-6)
    np.testing.assert_allclose(sample_bilinear(aligned, (3, 4), 4), x, atol=1e-6)


def test_patches_are_enlarged_with_their_edges_where_they_are():
    x = normal(1, 3, 4, 2)
    whole = resize_bilinear(x, (15, 20))
    np.testing.assert_allclose(enlarge(x, (13, 16), 5), whole[:, :13, :16], atol=1e-6)
    longer = enlarge(x, (17, 20), 5)
    np.testing.assert_allclose(longer[:, :15], whole, atol=1e-6)
    np.testing.assert_allclose(longer[:, 15:], np.repeat(whole[:, -1:], 2, axis=1), atol=1e-6)


def cubic(distance, a):
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


@pytest.mark.parametrize("length", [1, 3, 7, 11, 15])
def test_bicubic_resize_sums_four_neighbours_and_repeats_the_border(length):
    """PyTorch's kernel, with a = -0.75, by points."""
    line = normal(7, seed=1).astype(np.float64)
    expected = np.zeros(length)
    for i in range(length):
        place = (i + 0.5) * 7 / length - 0.5
        first = int(np.floor(place))
        for j in range(first - 1, first + 3):
            expected[i] += cubic(place - j, -0.75) * line[min(max(j, 0), 6)]
    x = np.float32(line)[None, :, None, None]
    np.testing.assert_allclose(resize_bicubic(x, (length, 1))[0, :, 0, 0], expected, atol=1e-6)
    turned = x.transpose(0, 2, 1, 3)
    np.testing.assert_allclose(resize_bicubic(turned, (1, length))[0, 0, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [(5, 4), (9, 7), (20, 31)])
def test_bicubic_resize_with_antialias_is_pillow_s(size):
    """PyTorch's is after it."""
    x = normal(9, 13)
    image = Image.fromarray(x).resize(size[::-1], Image.Resampling.BICUBIC)
    found = resize_bicubic(x[None, :, :, None], size, antialias=True)[0, :, :, 0]
    np.testing.assert_allclose(found, np.asarray(image), atol=1e-5)


def test_an_initial_deconvolution_interpolates_each_channel():
    x = normal(1, 5, 4, 3)
    deconv = Deconv2x()
    variables = deconv.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables) == {"params": {"kernel": (4, 4, 3, 3)}}
    y = deconv.apply(variables, x)
    assert y.shape == (1, 10, 8, 3)
    for channel in range(3):
        # Zeros beyond the border; the interior is where no pixel of the border pulls.
        expected = interpolate_2x(x[0, :, :, channel], "constant")
        np.testing.assert_allclose(y[0, :, :, channel], expected, atol=1e-6)
        interior = interpolate_2x(x[0, :, :, channel], "edge")[1:-1, 1:-1]
        np.testing.assert_allclose(y[0, 1:-1, 1:-1, channel], interior, atol=1e-6)


@pytest.mark.parametrize(("factor", "crop"), [(2, 1), (3, 0)])
def test_a_deconvolution_spreads_every_input_over_a_window(factor, crop):
    window = 2 * factor
    x, kernel = normal(1, 3, 2, 2), normal(window, window, 2, 5, seed=1)
    expected = np.zeros((4 * factor, 3 * factor, 5))
    for i, j in np.ndindex(3, 2):
        spread = np.einsum("c,hwcd->hwd", x[0, i, j], kernel[::-1, ::-1])
        top, left = factor * i, factor * j
        expected[top : top + window, left : left + window] += spread
    expected = expected[crop : 4 * factor - crop, crop : 3 * factor - crop]
    np.testing.assert_allclose(deconvolve(x, kernel, crop)[0], expected, atol=1e-5)


def test_bfloat16_is_of_the_computation_not_of_the_parameters():
    x = normal(1, 4, 4, 3)
    for layer in (Conv(2, (1, 1), dtype=jnp.bfloat16), Deconv2x(dtype=jnp.bfloat16)):
        y, variables = layer.init_with_output(jax.random.key(0), x)
        assert y.dtype == jnp.bfloat16
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    norm = BatchNorm(use_running_average=False, dtype=jnp.bfloat16)
    y, variables = norm.init_with_output(jax.random.key(0), jnp.asarray(x, jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
