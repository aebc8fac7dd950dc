"""ResNets against torchvision's outputs, with weights through the importer."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.registry import BACKBONES
from gcn_jax.models.backbones.resnet import BasicBlock, Bottleneck, ResNet
from gcn_jax.models.backbones.resnet_gcn import GlobalConvBottleneck
from gcn_jax.models.layers import BatchNorm, Conv
from gcn_jax.weights.resnet import import_resnet
from tests.helpers import torchvision_weights
from tests.helpers.random_values import normal

DATA = Path(__file__).parents[2] / "fixtures"


def images(height, width):
    rng = np.random.default_rng(height)
    return rng.standard_normal((1, height, width, 3)).astype("float32")


def assert_close(actual, expected, name):
    error = np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()
    assert error < 1e-4, f"{name}: relative error {error}"


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_features_and_logits_are_those_of_torchvision(depth):
    model = ResNet(depth=depth, num_classes=1000)
    variables = import_resnet(torchvision_weights.state_dict(depth), model)
    reference = np.load(DATA / f"resnet{depth}.npz")
    for size in [(64, 96), (65, 97)]:
        # Not under jit: 155 layers of few shapes are faster run one by one than compiled.
        outputs = model.apply(variables, images(*size))
        prefix = "{}x{}/".format(*size)
        assert_close(outputs.pop("logits"), reference[prefix + "logits"], f"{prefix}logits")
        assert list(outputs) == ["stem", "res2", "res3", "res4", "res5"]
        for name in ("res2", "res3", "res4", "res5"):
            features = outputs[name]
            assert_close(features[..., :16], reference[prefix + name], prefix + name)
            moments = np.array([features.mean(), features.std()])
            assert_close(moments, reference[prefix + name + "_moments"], f"{prefix}{name} moments")


def test_frozen_batch_norm_trains_as_it_predicts():
    model = ResNet(depth=18, frozen_batch_norm=True)
    variables = import_resnet(torchvision_weights.state_dict(18), model)
    features, updates = model.apply(variables, images(64, 96), train=True, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], variables["batch_stats"])
    reference = np.load(DATA / "resnet18.npz")
    assert_close(features["res5"][..., :16], reference["64x96/res5"], "res5")


def test_feature_sizes_are_the_ceiling_of_the_strides():
    model = ResNet(depth=50)
    outputs = jax.eval_shape(model.init_with_output, jax.random.key(0), images(65, 97))[0]
    assert {name: features.shape for name, features in outputs.items()} == {
        "stem": (1, 33, 49, 64),
        "res2": (1, 17, 25, 256),
        "res3": (1, 9, 13, 512),
        "res4": (1, 5, 7, 1024),
        "res5": (1, 3, 4, 2048),
    }


def test_bfloat16_computes_features_in_bfloat16_and_scores_in_float32():
    model = ResNet(depth=18, num_classes=10, dtype=jnp.bfloat16)
    outputs, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images(33, 33))
    assert outputs["res5"].dtype == jnp.bfloat16
    assert outputs["logits"].dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_an_unknown_depth_names_the_known_ones():
    with pytest.raises(UserError, match=r"no depth 42; choose one of \[18, 34, 50, 101, 152\]"):
        ResNet(depth=42)


def test_a_stride_in_the_1x1_reads_every_other_pixel_before_the_3x3():
    """One channel, weights of one: sums over 3 x 3 of every pixel, or of every other one."""
    conv = partial(Conv, use_bias=False, kernel_init=nn.initializers.ones)
    block = partial(Bottleneck, 1, 2, conv, partial(BatchNorm, use_running_average=True))
    x = jnp.arange(25.0).reshape(1, 5, 5, 1)
    in_3x3, variables = block().init_with_output(jax.random.key(0), x)
    in_1x1, other = block(stride_in_1x1=True).init_with_output(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, other, variables)
    # Output (1, 1): pixel 12 by the shortcut, and 6 to 8, 11 to 13, 16 to 18, or all of 0, 2, 4,
    # 10, 12, 14, 20, 22, 24. Output (0, 0): pixel 0, and 0, 1, 5, 6, or 0, 2, 10, 12.
    assert in_3x3.shape == in_1x1.shape == (1, 3, 3, 4)
    np.testing.assert_allclose(in_3x3[0, 1, 1], np.full(4, 9 * 12 + 12), rtol=1e-4)
    np.testing.assert_allclose(in_1x1[0, 1, 1], np.full(4, 9 * 12 + 12), rtol=1e-4)
    np.testing.assert_allclose(in_3x3[0, 0, 0], np.full(4, 0 + 1 + 5 + 6), rtol=1e-4)
    np.testing.assert_allclose(in_1x1[0, 0, 0], np.full(4, 0 + 2 + 10 + 12), rtol=1e-4)


@pytest.mark.parametrize(
    ("block", "width", "channels"),
    [(BasicBlock, 16, 16), (Bottleneck, 4, 16), (GlobalConvBottleneck, 256, 1024)],
)
def test_a_block_that_starts_at_zero_is_its_shortcut(block, width, channels):
    conv = partial(Conv, use_bias=False)
    x = normal(1, 4, 3, channels)
    norm = partial(BatchNorm, use_running_average=False)
    outputs = [
        block(width, 1, conv, norm, zero_init=zero).init_with_output(jax.random.key(0), x)[0]
        for zero in (True, False)
    ]
    np.testing.assert_array_equal(outputs[0], np.maximum(x, 0))
    assert np.abs(outputs[1] - outputs[0]).max() > 0.1


@pytest.mark.slow
def test_caffe_s_strides_change_features_but_neither_shapes_nor_parameters():
    model, caffe = ResNet(depth=50), BACKBONES["resnet50_caffe"].make()
    variables = import_resnet(torchvision_weights.state_dict(50), model)
    assert jax.tree.map(jnp.shape, import_resnet(torchvision_weights.state_dict(50), caffe)) == (
        jax.tree.map(jnp.shape, variables)
    )
    features, others = (net.apply(variables, images(33, 47)) for net in (model, caffe))
    np.testing.assert_array_equal(features["res2"], others["res2"])  # no stride before it
    for level in ("res3", "res4", "res5"):
        assert features[level].shape == others[level].shape
        assert np.abs(features[level] - others[level]).max() > 0.1


def test_a_stride_needs_a_1x1():
    with pytest.raises(UserError, match="ResNet-34 has no 1 x 1"):
        ResNet(depth=34, stride_in_1x1=True)


@pytest.mark.parametrize("stride_in_1x1", [True, False])
def test_dilation_gives_the_strided_features_and_those_between(stride_in_1x1):
    """The 'hole algorithm' (DeepLab).

    Where strides sit in the first 1 x 1, as in Caffe, all 3 x 3 of a stage see its stride; where
    they sit in the first 3 x 3, as in torchvision's, all but this one.
    """
    variables = import_resnet(torchvision_weights.state_dict(50), ResNet(depth=50))
    strided = ResNet(depth=50, stride_in_1x1=stride_in_1x1)
    model = strided.clone(output_stride=8, lagging_dilation=not stride_in_1x1)
    strided = strided.apply(variables, images(61, 47))
    dilated = model.apply(variables, images(61, 47))
    for level, stride in zip((2, 3, 4, 5), model.strides, strict=True):
        features = dilated[f"res{level}"]
        assert features.shape[1:3] == (-(-61 // stride), -(-47 // stride))
        step = 2**level // stride
        assert_close(features[:, ::step, ::step], strided[f"res{level}"], f"res{level}")


def test_basic_blocks_dilate_both_of_their_convolutions():
    """One channel, weights of one: the second sum of 3 x 3 over the first, at every other pixel."""
    conv = partial(Conv, use_bias=False, kernel_init=nn.initializers.ones)
    norm = partial(BatchNorm, use_running_average=True)
    x = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4].set(1.0)
    y, _ = BasicBlock(1, 1, conv, norm, dilation=2).init_with_output(jax.random.key(0), x)
    taps = np.zeros(9)
    taps[::2] = [1, 2, 3, 2, 1]
    expected = np.outer(taps, taps) + np.asarray(x[0, :, :, 0])
    np.testing.assert_allclose(y[0, :, :, 0], expected, rtol=1e-4)


def test_ceil_mode_has_a_feature_more_where_the_stride_divides_the_size():
    model = ResNet(depth=18, output_stride=8, ceil_mode=True)
    outputs = jax.eval_shape(model.init_with_output, jax.random.key(0), images(320, 321))[0]
    assert outputs["res2"].shape[1:3] == (81, 81)
    assert outputs["res5"].shape[1:3] == (41, 41)


def test_a_deep_stem_takes_timm_s_weights_of_resnet50s():
    model = ResNet(depth=50, deep_stem=True)
    weights = torchvision_weights.state_dict(50)
    rng = np.random.default_rng(0)
    stem = {f"conv1.{i}.weight": (64, c, 3, 3) for i, c in ((0, 3), (3, 64))}
    stem["conv1.6.weight"] = (128, 64, 3, 3)
    for name in ("weight", "bias", "running_mean", "running_var"):
        stem |= {f"conv1.{i}.{name}": (64,) for i in (1, 4)} | {f"bn1.{name}": (128,)}
    stem["layer1.0.conv1.weight"] = (64, 128, 1, 1)
    stem["layer1.0.downsample.0.weight"] = (256, 128, 1, 1)
    del weights["conv1.weight"]
    weights |= {name: rng.uniform(0.5, 1, shape) for name, shape in stem.items()}
    variables = import_resnet(weights, model)
    kernel = variables["params"]["conv1_3"]["kernel"]
    np.testing.assert_allclose(kernel, np.einsum("oihw->hwio", weights["conv1.6.weight"]))
    mean = variables["batch_stats"]["bn1_2"]["mean"]
    np.testing.assert_allclose(mean, weights["conv1.4.running_mean"])
    outputs = jax.eval_shape(model.apply, variables, images(65, 97))
    assert outputs["res2"].shape == (1, 17, 25, 256)
    with pytest.raises(UserError, match=r"conv1\.weight"):
        import_resnet(torchvision_weights.state_dict(50), model)


def test_an_unknown_output_stride_names_the_known_ones():
    with pytest.raises(UserError, match=r"output_stride is 4; choose one of \[32, 16, 8\]"):
        ResNet(depth=50, output_stride=4)
