"""What a network costs: counted by hand for one layer of each kind, and in parts that add up."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import traverse_util

from gcn_jax import models
from gcn_jax.analysis.complexity import OUTSIDE, Cost, cost_by_level, network_cost
from gcn_jax.models.layers import Conv, Deconv2x, plain_formulation


class OneLayer(nn.Module):
    """A network of one layer."""

    layer: nn.Module

    def __call__(self, images, *, train=False):
        return self.layer(images)


# Taps inside the image, along an axis of 8 px. k = 3: 2 + 3 * 6 + 2; at stride 2: 2 + 3 * 3; with
# dilation 2: 2 * 2 + 3 * 4 + 2 * 2. k = 5: 3 + 4 + 5 * 4 + 4 + 3. Deconvolution to 16 px: between
# two inputs, but for the first and the last: 1 + 2 * 14 + 1.
LAYERS = {
    "1x1": (Conv(5, (1, 1), use_bias=False), 3 * 5 * 8**2),
    "3x3": (Conv(5, (3, 3), use_bias=False), 3 * 5 * 22**2),
    "strided": (Conv(5, (3, 3), strides=2, use_bias=False), 3 * 5 * 11**2),
    "dilated": (Conv(5, (3, 3), dilation=2, use_bias=False), 3 * 5 * 20**2),
    "k x 1": (Conv(5, (5, 1), use_bias=False), 3 * 5 * 34 * 8),
    "deconvolution": (Deconv2x(), 3 * 3 * 30**2),
    "dense": (nn.Dense(5, use_bias=False), 3 * 5 * 8**2),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_flops_are_those_of_a_count_by_hand_and_of_the_compiled_program(kind):
    layer, products = LAYERS[kind]
    model = OneLayer(layer)
    assert network_cost(model, 8).flops == 2 * products
    images = jnp.ones((1, 8, 8, 3))
    with plain_formulation():
        variables = model.init(jax.random.key(0), images)
        compiled = jax.jit(model.apply).lower(variables, images).compile()
    assert compiled.cost_analysis()["flops"] == 2 * products


def test_levels_add_up_to_the_whole_program():
    model = models.create_model("_tiny", num_classes=3)
    levels = cost_by_level(model, (33, 40))
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    images = jax.ShapeDtypeStruct((1, 33, 40, 3), jnp.float32)
    with plain_formulation():
        whole = jax.jit(model.apply).lower(variables, images).cost_analysis()["flops"]
    assert network_cost(model, (33, 40)).flops == pytest.approx(whole, rel=1e-5)
    parameters = {level: cost.parameters for level, cost in levels.items() if cost.parameters}
    expected = {}
    for path, leaf in traverse_util.flatten_dict(variables["params"]).items():
        level = "/".join(path[:2]) if path[0] == "backbone" else path[0]
        expected[level] = expected.get(level, 0) + leaf.size
    assert parameters == expected


def test_activations_are_what_the_gradient_needs():
    """Two convolutions: what the second reads (float32), and where the ReLU was open (bool)."""

    class TwoLayers(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            x = nn.relu(Conv(4, (3, 3), name="first")(images))
            return Conv(2, (3, 3), name="second")(x)

    levels = cost_by_level(TwoLayers(), 8)
    pixels = 8 * 8
    assert levels["first"] == Cost(3 * 9 * 4 + 4, 2 * 3 * 4 * 22**2 + 4 * pixels, 0)
    assert levels["second"] == Cost(4 * 9 * 2 + 2, 2 * 4 * 2 * 22**2 + 2 * pixels, 0)
    assert levels[OUTSIDE] == Cost(0, 4 * pixels, (4 + 1) * 4 * pixels)
