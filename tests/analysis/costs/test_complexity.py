"""What a network costs: counted by hand for one layer of each kind, and in parts that add up."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gcn_jax import models
from gcn_jax.analysis.costs.complexity import (
    OUTSIDE,
    Cost,
    cost_by_level,
    network_cost,
    program_flops,
)
from gcn_jax.analysis.costs.kernel_size import head_costs
from gcn_jax.cli.analysis import complexity as complexity_command
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from gcn_jax.models.layers import Conv, Deconv2x, plain_formulation


def test_first_layer_of_other_channels():
    def first(channels):
        model = models.create_model("_tiny", num_classes=3, kernel_size=5, in_channels=channels)
        return sum(cost_by_level(model, 32).values(), Cost())

    three, five = first(3), first(5)
    assert five.parameters - three.parameters == 2 * 3**2 * 4
    assert five.flops > three.flops


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
    model, size = models.create_model("pspnet_plain4", num_classes=3), (33, 40)
    levels = cost_by_level(model, size)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 32, 32, 3)))
    with plain_formulation():
        images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
        flops = program_flops(model.apply, variables, images)
    whole = sum(levels.values(), Cost())
    assert whole.flops == pytest.approx(flops, rel=1e-5)
    assert whole.parameters == sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    for module, params in variables["params"].items():
        if module != "backbone":
            parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
            assert levels[module].parameters == parameters
    # Auxiliary layers are of training: they keep activations, and inference has none of them.
    assert all((cost.flops > 0) != ("auxiliary" in level) for level, cost in levels.items())


def test_what_is_computed_again_is_not_kept():
    once, again = (
        cost_by_level(models.create_model("gcn_resnet18", num_classes=3, remat=remat), 32)
        for remat in (False, True)
    )
    for level, cost in once.items():
        assert (again[level].parameters, again[level].flops) == (cost.parameters, cost.flops)
    assert 0 < again["backbone/res3"].activation_bytes < once["backbone/res3"].activation_bytes / 4


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


def test_heads_against_their_kernel_size():
    """Parameters are those of the paper's Table 2; of the padding there are no products."""
    costs = head_costs((16, 16, 2048), 21, (3, 5, 7, 9))
    gcn, conv = ([cost.parameters for cost in costs[head].values()] for head in ("gcn", "conv"))
    assert gcn == [260_694, 434_490, 608_286, 782_082]
    assert conv == [387_072, 1_075_200, 2_107_392, 3_483_648]
    assert len({*np.diff(gcn)}) == 1  # linear
    assert len({*np.diff(conv, 2)}) == 1  # quadratic
    taps = 3 * 16 - 2  # inside, along an axis
    assert costs["conv"][3].flops == pytest.approx(2 * 2048 * 21 * taps**2, rel=1e-6)
    products = 2 * taps * 16 * (2048 * 21 + 21 * 21)
    assert costs["gcn"][3].flops == pytest.approx(2 * products + 21 * 16**2, rel=1e-6)


def test_the_command_writes_what_it_prints(tmp_path, capsys):
    flags = ["--model=_tiny", "--size=33x40", "--num_classes=3", "--field=kernel_size=3"]
    call(complexity_command, [*flags, f"--output={tmp_path}"])
    numbers = json.loads((tmp_path / "complexity.json").read_text())
    parameters = f"{numbers['network']['parameters']:,}"
    assert numbers["network"]["flops"] == sum(of["flops"] for of in numbers["levels"].values())
    assert numbers["compiled_flops"] == pytest.approx(numbers["network"]["flops"], rel=0.1)
    assert [*numbers["kernel_size"]["gcn"]] == ["3", "5", "7", "9", "11", "13", "15"]
    assert f"| the network | {parameters} |" in (tmp_path / "complexity.md").read_text()
    assert parameters in capsys.readouterr().out
    assert (tmp_path / "levels.csv").read_text().startswith("level,parameters,GFLOPs,")
    assert "quadratic" in (tmp_path / "kernel_size.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--model is missing: The network's name"),
        (["--model=_tiny", "--size=8,8"], "--size=8,8 is neither N nor HxW"),
        (["--model=_tiny", "--field=kernel_size"], "--field=kernel_size is not KEY=VALUE"),
        (["--model=_tiny", "--field=kernel=3"], "unknown field of _tiny 'kernel'"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(UserError) as error:
        call(complexity_command, arguments)
    assert message in str(error.value)
