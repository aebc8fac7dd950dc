"""Every backbone of the registry keeps to the contract of `Backbone`."""

import jax
import jax.numpy as jnp
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.models.backbones import BACKBONES, list_backbones

LEVELS = ("res2", "res3", "res4", "res5")


def features(backbone):
    images = jax.ShapeDtypeStruct((2, 65, 97, 3), jnp.float32)
    return jax.eval_shape(backbone.init_with_output, jax.random.key(0), images)[0]


@pytest.mark.parametrize("name", BACKBONES)
def test_features_have_the_sizes_of_their_strides(name):
    record = BACKBONES[name]
    frozen = {"frozen_batch_norm": True} if record.batch_norm else {}
    backbone = record.make(**frozen, dtype=jnp.bfloat16, remat=True)
    found, finer = features(backbone), 1
    for level, stride in zip(LEVELS, backbone.strides, strict=True):
        assert stride >= finer
        if record.pyramid:
            assert stride in (finer, 2 * finer) or finer == 1
            assert stride & (stride - 1) == 0
        finer = stride
        rounded_up = (2, -(-65 // stride), -(-97 // stride))
        rounded_down = (2, max(1, 65 // stride), max(1, 97 // stride))
        assert found[level].shape[:3] in (rounded_up, rounded_down)
        assert found[level].dtype == jnp.bfloat16
    if "stem" in found:
        half = backbone.strides[0] // 2
        assert found["stem"].shape[:3] == (2, -(-65 // half), -(-97 // half))


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("name", list_backbones(dilated=True))
def test_dilated_backbones_end_at_a_stride(name, stride):
    backbone = BACKBONES[name].dilated[stride]()
    last = backbone.strides[-1]
    assert last == stride or name.startswith("plain4")
    height, width = features(backbone)["res5"].shape[1:3]
    assert height - -(-65 // last) in (0, 1)
    assert width - -(-97 // last) in (0, 1)


def test_stochastic_depth_is_for_backbones_that_have_some():
    with pytest.raises(UserError, match="stochastic_depth is not for resnet18, which has none"):
        create_model("gcn_resnet18", num_classes=3, stochastic_depth=0.1)


def test_names_for_tests_are_not_listed():
    assert "_tiny" in BACKBONES
    assert list_backbones() == [name for name in BACKBONES if not name.startswith("_")]
    assert {*list_backbones(dilated=True)} < {*list_backbones()}
