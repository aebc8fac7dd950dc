"""ResNet-GCN: its size beside ResNet's, its block against a sum of convolutions, its gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from jax import lax

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.registry import BACKBONES
from gcn_jax.models.backbones.resnet_gcn import GlobalConvBottleneck, ResNetGCN
from gcn_jax.models.layers import BatchNorm, Conv
from tests.helpers.random_values import normal


def kernels(params):
    """Count the weights of convolutions, not of batch-norms."""
    leaves = traverse_util.flatten_dict(params)
    return sum(leaf.size for path, leaf in leaves.items() if path[-1] == "kernel")


def test_a_block_is_as_large_as_the_bottleneck_it_stands_for():
    """Weights of the convolutions of every block of a stage but the first, whose input is half."""
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    counts = {}
    for name in ("resnet50", "resnet50_gcn"):
        backbone = BACKBONES[name].make()
        params = jax.eval_shape(backbone.init, jax.random.key(0), image)["params"]
        counts[name] = [kernels(params[block]) for block in ("res4_block2", "res5_block2")]
        assert kernels(params["res3_block2"]) == 278_528  # untouched
    assert counts == {
        "resnet50": [1_114_112, 4_456_448],
        "resnet50_gcn": [1_029_690, 4_161_536],
    }


def test_feature_sizes_are_those_of_a_resnet():
    images = jax.ShapeDtypeStruct((1, 65, 97, 3), jnp.float32)
    sizes = [
        jax.tree.map(jnp.shape, jax.eval_shape(net.init_with_output, jax.random.key(0), images)[0])
        for net in (BACKBONES["resnet50"].make(), BACKBONES["resnet50_gcn"].make())
    ]
    assert sizes[0] == sizes[1]


def test_a_block_is_two_branches_a_sum_and_a_shortcut():
    """Values against XLA's convolutions, with batch-norms that do nothing; then the gradients."""
    conv = partial(Conv, use_bias=False)
    norm = partial(BatchNorm, use_running_average=True, epsilon=0.0)
    model, x = GlobalConvBottleneck(256, 2, conv, norm), normal(1, 9, 7, 32)
    variables = jax.jit(model.init)(jax.random.key(1), x)

    def plain(params, x):
        def conv(x, name, step=1):
            kernel = params[name]["kernel"]
            pads = [(size // 2, size // 2) for size in kernel.shape[:2]]
            return lax.conv_general_dilated(
                x, kernel, (step, step), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        def branch(first, second):
            return nn.relu(conv(nn.relu(conv(x, first, 2)), second))

        y = conv(branch("left_k1", "left_1k") + branch("right_1k", "right_k1"), "conv3")
        return nn.relu(y + conv(x, "shortcut_conv", 2))

    def ours(params, x):
        return model.apply({**variables, "params": params}, x)

    @partial(jax.jit, static_argnums=0)
    def value_and_gradient(function, params):
        y, pull = jax.vjp(lambda params: function(params, x), params)
        return y, pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))[0]

    expected, right = value_and_gradient(plain, variables["params"])
    y, gradient = value_and_gradient(ours, variables["params"])
    assert y.shape == (1, 5, 4, 1024)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    for path, leaf in traverse_util.flatten_dict(gradient).items():
        assert np.abs(leaf).max() > 0, path
        if path[-1] == "kernel":
            other = right[path[0]]["kernel"]
            np.testing.assert_allclose(leaf, other, atol=1e-4 * np.abs(other).max())
    assert gradient["left_k1"]["kernel"].shape == (5, 1, 32, 85)
    assert gradient["right_1k"]["kernel"].shape == (1, 5, 32, 85)


@pytest.mark.parametrize("fields", [{"depth": 18}, {"stride_in_1x1": True}, {"output_stride": 8}])
def test_what_has_no_bottlenecks_to_replace_is_refused(fields):
    with pytest.raises(UserError, match="ResNet-GCN is of depth 50, 101 or 152, without"):
        ResNetGCN(**fields)
