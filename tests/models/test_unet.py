"""U-Net: its blocks joined by hand, and its sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.models import UNet
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "unet_resnet18": (14_331_109, 11_176_512),
    "unet_resnet34": (24_439_269, 21_284_672),
    "unet_resnet50": (32_524_005, 23_508_032),
    "unet_resnet101": (51_516_133, 42_500_160),
    "unet_plain4": (1_825_869, 135_960),
}


def doubled(x, size):
    """Repeat every pixel, and cut to (H, W)."""
    return x.repeat(2, axis=1).repeat(2, axis=2)[:, : size[0], : size[1]]


def test_blocks_join_the_features_of_their_size():
    """plain4 has strides 2, 4, 8, 8: the first block joins without doubling."""
    model = UNet(num_classes=3, backbone="_tiny", features=64)
    variables, images = random_variables(model), normal(2, 13, 18, 3)
    parts = {
        name: tuple(variables[collection].get(name, {}) for collection in ("params", "batch_stats"))
        for name in variables["params"]
    }
    backbone = {
        name: part for name, part in zip(("params", "batch_stats"), parts["backbone"], strict=True)
    }
    features = {
        name: np.asarray(array, np.float64)
        for name, array in model.make_backbone().apply(backbone, images).items()
    }

    def block(x, number):
        for layer in (1, 2):
            x = reference.conv_norm_relu(x, *parts[f"block{number}_layer{layer}"], padding=1)
        return x

    x = block(np.concatenate([features["res5"], features["res4"]], axis=-1), 1)
    x = block(np.concatenate([doubled(x, (4, 5)), features["res3"]], axis=-1), 2)
    x = block(np.concatenate([doubled(x, (7, 9)), features["res2"]], axis=-1), 3)
    x = block(doubled(x, (13, 18)), 4)
    assert x.shape == (2, 13, 18, 16)  # 64, 32, 16, and no fewer
    expected = reference.convolve(x, parts["score"][0], padding=1)
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), expected, atol=1e-4)


def first_kernels(params):
    """Return the channels that each block joins and puts out."""
    return [params[f"block{i}_layer1"]["conv"]["kernel"].shape[2:] for i in range(1, 6)]


def test_resnet_s_stem_is_joined_too():
    images = jax.ShapeDtypeStruct((1, 65, 97, 3), jnp.float32)
    model = UNet(num_classes=3, backbone="resnet18")
    logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, 65, 97, 3)
    joins = first_kernels(variables["params"])
    joined = (512 + 256, 256 + 128, 128 + 64, 64 + 64, 32)
    assert joins == [*zip(joined, (256, 128, 64, 32, 16), strict=True)]


@pytest.mark.parametrize("size", [(65, 97), (62, 91)])
def test_maps_that_were_rounded_down_are_joined(size):
    """ConvNeXt has no features of stride 2, and those of the others are n // stride."""
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    model = UNet(num_classes=3, backbone="_convnext")
    logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits.shape == (1, *size, 3)
    joins = first_kernels(variables["params"])
    joined = (16 + 12, 256 + 8, 128 + 4, 64, 32)
    assert joins == [*zip(joined, (256, 128, 64, 32, 16), strict=True)]
