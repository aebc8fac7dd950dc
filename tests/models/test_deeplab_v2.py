"""DeepLab-v2: its pyramid against numpy, and its scales run one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import DeepLabV2
from gcn_jax.models.deeplab_v2 import RATES, AtrousPyramid
from gcn_jax.models.network import AUXILIARY, variable_shapes
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "deeplab_v2_resnet18": (11_563_668, 11_176_512),
    "deeplab_v2_resnet101": (44_048_532, 42_500_160),
    "deeplab_v2_resnet101_caffe": (44_048_532, 42_500_160),
    "deeplab_v2_plain4": (208_620, 135_960),
}


def test_the_pyramid_sums_its_dilated_convolutions():
    x = normal(1, 15, 13, 3)
    params = {
        f"rate{rate}": {"kernel": normal(3, 3, 3, 2, seed=rate), "bias": normal(2, seed=-rate % 97)}
        for rate in RATES
    }
    expected = sum(reference.convolve(x, params[f"rate{r}"], r, r) for r in RATES)
    y = AtrousPyramid(2).apply({"params": params}, x)
    np.testing.assert_allclose(y, expected, atol=1e-4)


def interpolate(x, rows, columns):
    """Interpolate `[N, H, W, C]` at fractional rows and columns, the border repeated."""
    for axis, positions in ((1, rows), (2, columns)):
        x = np.apply_along_axis(
            lambda line, at: np.interp(at, np.arange(len(line)), line), axis, x, positions
        )
    return x


def test_the_largest_score_of_three_scales_counts():
    model = DeepLabV2(num_classes=3, backbone="_tiny", frozen_batch_norm=True)
    variables, images = random_variables(model), normal(2, 33, 41, 3)
    single = model.clone(multi_scale=False)
    # The maps of each scale: logits of every eighth pixel.
    apply = jax.jit(lambda x: single.apply(variables, x, train=True, mutable=True)[0])
    rows, columns = np.arange(5), np.arange(6)
    maps = {"scale_1": np.asarray(apply(images))}
    enlarged = [maps["scale_1"]]
    for scale, size in ((0.75, (25, 31)), (0.5, (17, 21))):
        shrunk = interpolate(images, *(np.arange(n) / scale for n in size))
        maps[f"scale_{scale}"] = np.asarray(apply(shrunk))
        enlarged.append(interpolate(apply(shrunk), rows * scale, columns * scale))
    largest = np.max(enlarged, axis=0)
    assert all((largest == values).any() for values in enlarged)  # each scale wins somewhere

    logits, sown = jax.jit(lambda x: model.apply(variables, x, train=True, mutable=[AUXILIARY]))(
        images
    )
    np.testing.assert_allclose(logits, largest, atol=1e-5)
    assert sown[AUXILIARY].keys() == maps.keys()
    for name, values in maps.items():
        weight, scores = sown[AUXILIARY][name]
        assert weight == 1
        np.testing.assert_allclose(scores, values, atol=1e-5)
    expected = interpolate(largest, np.arange(33) / 8, np.arange(41) / 8)
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), expected, atol=1e-5)


def test_training_leaves_out_scores_of_pixels_beyond_the_image():
    """Pooling in Caffe's way makes a map of 5 x 6 of 32 x 40 pixels, of which 4 x 5 have labels.

    At 3/4 of the size, 24 x 30 pixels, 3 x 4 have; at 1/2, 16 x 20, 2 x 3.
    """
    model = DeepLabV2(num_classes=3, backbone="resnet18")
    images = jax.ShapeDtypeStruct((1, 32, 40, 3), jnp.float32)
    features = jax.eval_shape(model.make_backbone().init_with_output, jax.random.key(0), images)[0]
    assert features["res5"].shape == (1, 5, 6, 512)
    logits, sown = jax.eval_shape(
        lambda v, x: model.apply(v, x, train=True, mutable=True), variable_shapes(model), images
    )
    shapes = {name: scores.shape for name, (_, scores) in sown[AUXILIARY].items()}
    assert logits.shape == shapes["scale_1"] == (1, 4, 5, 3)
    assert (shapes["scale_0.75"], shapes["scale_0.5"]) == ((1, 3, 4, 3), (1, 2, 3, 3))


def test_a_backbone_that_cannot_have_stride_8_is_named():
    with pytest.raises(UserError, match=r"backbone.*resnet9"):
        DeepLabV2(num_classes=3, backbone="resnet9")
