"""Theoretical receptive fields against what networks do, and against published numbers."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gcn_jax.analysis.receptive_field.dependence import image_reach, propagate
from gcn_jax.analysis.receptive_field.theory import (
    AxisField,
    ReceptiveField,
    receptive_fields,
    traced_reach,
)
from gcn_jax.errors import UserError
from gcn_jax.models import GCN, create_model
from gcn_jax.models.backbones.convnext import ConvNeXt
from gcn_jax.models.backbones.dinov2 import DINOv2
from gcn_jax.models.backbones.mit import MiT
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.layers import Conv, Deconv2x, resize_bilinear_2x
from gcn_jax.models.layers.pooling import max_pool
from gcn_jax.models.network import variable_shapes


class Mixed(nn.Module):
    """Every kind of step between pixels that networks take, with odd sizes in between."""

    @nn.compact
    def __call__(self, images, *, train=False):
        x = Conv(2, (5, 3), strides=2, padding=(1, 1), name="strided")(images)
        y = Conv(2, (3, 3), dilation=3, name="dilated")(x)
        z = Conv(2, (1, 1), strides=2, name="subsampled")(max_pool(y, 2, 1, 0))
        z = Deconv2x(name="deconv")(z)[:, 1:-2, ::-1]
        z = jnp.pad(z, [(0, 0), (2, 1), (1, 0), (0, 0)], mode="edge")
        z = jax.image.resize(z, y.shape, "linear")
        return resize_bilinear_2x(jnp.concatenate([y, nn.relu(z)], axis=-1))


class Irregular(nn.Module):
    """Three rows of the image, not equally far apart."""

    @nn.compact
    def __call__(self, images, *, train=False):
        return images[:, np.array([1000, 1500, 1700])]


class Sorted(nn.Module):
    @nn.compact
    def __call__(self, images, *, train=False):
        return jnp.sort(Conv(2, (3, 3))(images), axis=1)


def seen(model, size):
    """Find by values what the rows and the columns of every layer depend on.

    All weights are positive, biases zero, and image i is dark but for row (or column) i: where an
    output is positive, it depends on that row.

    Returns:
        By the layer's name a pair of bool [pixels of the image, pixels of the layer].
    """
    variables = jax.tree_util.tree_map_with_path(
        lambda path, v: np.full(v.shape, path[-1].key not in ("bias", "mean"), np.float32),
        variable_shapes(model),
    )
    apply = jax.jit(lambda images: model.apply(variables, images, capture_intermediates=True)[1])
    found = {}
    for axis in (1, 2):
        images = np.zeros((max(size), *size, 3), np.float32)
        index = np.arange(size[axis - 1])
        np.moveaxis(images, axis, 1)[index, index] = 1
        outputs = apply(images)["intermediates"]
        for path, output in jax.tree_util.tree_leaves_with_path(outputs):
            if isinstance(path[-1], jax.tree_util.SequenceKey):  # no dict
                name = "/".join(key.key for key in path[:-2]) or "output"
                depends = np.asarray(output > 0).any(axis=(3 - axis, 3))[: size[axis - 1]]
                found[name] = (*found.get(name, ()), depends)
    return found


@pytest.mark.parametrize(
    ("model", "size"),
    [(GCN(2, "_tiny", kernel_size=5), (37, 22)), (Mixed(), (30, 41))],
    ids=["gcn", "mixed"],
)
def test_reach_is_what_values_show(model, size, monkeypatch):
    """At every pixel, borders included, and however the primitives are computed."""
    expected = seen(model, size)
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        reaches = traced_reach(model, size)
        assert reaches.keys() >= expected.keys()
        for name, axes in expected.items():
            for depends, reach in zip(axes, reaches[name], strict=True):
                assert (reach.first <= reach.last).tolist() == depends.any(axis=0).tolist(), name
                some = depends[:, depends.any(axis=0)]
                last = len(some) - 1 - some[::-1].argmax(axis=0)
                reach = [part[depends.any(axis=0)] for part in reach]
                assert reach[0].tolist() == some.argmax(axis=0).tolist(), name
                assert reach[1].tolist() == last.tolist(), name


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.take(x, np.array([3, 0, -1]), axis=1),
        lambda x: x[:, np.array([[1, 2], [4, 0]]), 1:],
        lambda x: jax.lax.dynamic_slice(x, (0, 7, 1, 0), (1, 3, 2, 2)),  # clipped to 3
        lambda x: jnp.tile(x, (1, 2, 1, 3)),
        lambda x: jnp.unstack(x, axis=1)[2] + jnp.split(x, 3, axis=1)[1].max(axis=1),
        lambda x: x.reshape(2, 3, 8)[:, ::2].reshape(4, 8).T.reshape(4, 2, 2, 2),
        lambda x: jnp.einsum("nhwc,hk->knw", x, np.tri(6, 4, -1, np.float32)),
        lambda x: jnp.einsum("nhwc,nhwd->nwcd", x[:, 1:4], x[:, 2:5]),
        lambda x: nn.avg_pool(x, (3, 1), (2, 1), [(2, 1), (0, 0)]),
        lambda x: jnp.clip(x[:, 2], 0, 2) - x[:, 4],
    ],
)
def test_rule_is_what_values_show(function):
    """Each element of small programs, on an image of 6 rows of which one becomes bright."""
    shape = (1, 6, 4, 2)
    image = np.random.default_rng(0).random(shape, np.float32)
    (reach,) = propagate(jax.make_jaxpr(function)(image), [image_reach(shape, 1)])
    before = np.asarray(function(image))
    brighter = [image + 10 * np.float32(np.arange(6) == i)[:, None, None] for i in range(6)]
    changed = np.stack([np.asarray(function(other)) != before for other in brighter])
    first, last, _ = np.broadcast_to(reach, (3, *before.shape))
    some = changed.any(axis=0)
    assert ((first <= -last) == some).all()
    assert (first == changed.argmax(axis=0))[some].all()
    assert (-last == 5 - changed[::-1].argmax(axis=0))[some].all()


def test_published_fields():
    """VGG-16's conv5_3 and fc6, ResNet-18, and ResNet-50 as Caffe has it."""
    fields = receptive_fields(create_model("fcn32s_vgg16", num_classes=2))
    assert fields["backbone/stage5/conv3"].vertical == AxisField(196, Fraction(16), 7.5 - 99)
    assert fields["score_fr"].horizontal.size == 404
    # Two features of 404 pixels, 32 apart; FCN's crop puts their mean onto the pixel itself.
    assert fields["output"].vertical == AxisField(404 + 32, Fraction(1), 0)
    assert receptive_fields(ResNet(18))["res5"].vertical == AxisField(435, Fraction(32), 0)
    caffe = receptive_fields(ResNet(50, stride_in_1x1=True, num_classes=3))
    assert caffe["res5"].horizontal == AxisField(483, Fraction(32), 0)
    assert caffe["logits"] == ReceptiveField(None, None)


def test_convnext():
    """Patches of 4 pixels; a block sees 6 features more, and each halving one; 1, 1, 2, 1 blocks.

    The patches of all levels begin with the image: theirs is the middle of 4, 8, 16, 32 pixels.
    """
    fields = receptive_fields(ConvNeXt("_tiny"))
    sizes = (4 + 6 * 4, 28 + 4 + 6 * 8, 80 + 8 + 12 * 16, 280 + 16 + 6 * 32)
    for level, size in zip((2, 3, 4, 5), sizes, strict=True):
        field = AxisField(size, Fraction(2**level), (2**level - 1) / 2)
        assert fields[f"res{level}"] == ReceptiveField(field, field)


def test_attention_sees_the_whole_image():
    fields = receptive_fields(MiT("_tiny"))
    assert fields["stage1/patches"].vertical == AxisField(7, Fraction(4), 0.0)
    for level in ("res2", "res5"):
        assert fields[level] == ReceptiveField(None, None)
    rows, columns = traced_reach(DINOv2("_tiny"), (45, 30))["res2"]
    np.testing.assert_array_equal(rows.first, 0)
    np.testing.assert_array_equal(rows.last, 44)
    np.testing.assert_array_equal(columns.last, 29)


@pytest.mark.parametrize(
    ("backbone", "reach"),
    [("plain4", 31), ("resnet18", 483)],  # the second is as wide as a sixth of a large image
)
def test_fields_that_depend_on_the_size_of_the_image(backbone, reach):
    """PSPNet's bins are shares of the image, and its output sees all of it."""
    fields = receptive_fields(create_model(f"pspnet_{backbone}", num_classes=2))
    for name in ("ppm/bins1/conv", "ppm/bins3/conv", "ppm/bins6/conv", "output"):
        assert fields[name] == ReceptiveField(None, None)
    assert fields["backbone/res5"].vertical.size == reach


def test_gcn():
    """The head adds (k - 1) * stride; the parts of a branch are no squares; bilinear shifts."""
    model = GCN(2, "_tiny", kernel_size=7, boundary_refinement=False, upsampling="bilinear")
    fields = receptive_fields(model)
    backbone, head = AxisField(31, Fraction(8), 0.0), AxisField(31 + 6 * 8, Fraction(8), 0.0)
    assert fields["backbone/res5"] == ReceptiveField(backbone, backbone)
    assert fields["gcn5/left_k1"] == ReceptiveField(head, backbone)
    assert fields["gcn5"] == ReceptiveField(head, head)
    # An upsampled pixel interpolates 2 neighbours 8, 4 and 2 pixels apart; feature 0, which is
    # centred on pixel 0, is stretched over pixels 0 to 7: they are centred 3.5 pixels before.
    assert fields["output"].vertical == AxisField(31 + 6 * 8 + 8 + 4 + 4, Fraction(1), -3.5)
    assert list(fields)[-1] == "output"


def test_fields_that_do_not_repeat_are_refused():
    with pytest.raises(UserError, match="output: its receptive field neither repeats from pixel"):
        receptive_fields(Irregular())


def test_unknown_primitive_is_named():
    with pytest.raises(UserError, match="uses sort, for which"):
        receptive_fields(Sorted())
