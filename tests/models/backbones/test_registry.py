"""Every backbone of the registry keeps to the contract of `Backbone`."""

import jax
import jax.numpy as jnp
import pytest

from gcn_jax.models.backbones import BACKBONES, list_backbones

LEVELS = ("res2", "res3", "res4", "res5")


def features(backbone):
    images = jax.ShapeDtypeStruct((2, 65, 97, 3), jnp.float32)
    return jax.eval_shape(backbone.init_with_output, jax.random.key(0), images)[0]


@pytest.mark.parametrize("name", BACKBONES)
def test_features_have_the_sizes_of_their_strides(name):
    backbone = BACKBONES[name].make(frozen_batch_norm=True, dtype=jnp.bfloat16, remat=True)
    found, finer = features(backbone), 1
    for level, stride in zip(LEVELS, backbone.strides, strict=True):
        assert stride in (finer, 2 * finer) or finer == 1
        assert stride & (stride - 1) == 0
        finer = stride
        shape = found[level].shape
        assert shape[:3] == (2, -(-65 // stride), -(-97 // stride))


@pytest.mark.parametrize("name", list_backbones(dilated=True))
def test_dilated_backbones_have_stride_8(name):
    backbone = BACKBONES[name].dilated()
    assert backbone.strides[-2:] == (8, 8)
    found = features(backbone)
    for level in LEVELS[-2:]:
        height, width = found[level].shape[1:3]
        assert height in (9, 10)
        assert width in (13, 14)


def test_names_for_tests_are_not_listed():
    assert "_tiny" in BACKBONES
    assert list_backbones() == [name for name in BACKBONES if name != "_tiny"]
    assert {*list_backbones(dilated=True)} < {*list_backbones()}
