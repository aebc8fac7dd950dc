"""The cost of a head against its kernel size k: the global convolution, and the trivial k x k."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.analysis.costs.complexity import Cost, program_flops
from gcn_jax.analysis.figures import svg_figure
from gcn_jax.models.gcn_heads import HEADS
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.network import variable_shapes

#: The heads of the paper's Table 2: linear in k, and quadratic.
COMPARED = ("gcn", "conv")

#: Head -> (its name in the legend, how its dashed line grows with k, its colour).
_LINES = {
    "gcn": ("global convolution", "linear", "#3b82c4"),
    "conv": ("k x k", "quadratic", "#d9822b"),
}


def head_costs(
    features: Sequence[int], num_classes: int, kernel_sizes: Sequence[int]
) -> dict[str, dict[int, Cost]]:
    """Count what a head after res-5 costs, without biases, as the paper's Table 2 does.

    Products with the zeros around the map are no FLOPs: where k is near the size of the map, FLOPs
    grow more slowly than parameters.

    Args:
        features: The shape of the features, `(H, W, C)`.
        num_classes: Number of classes that the head scores.
        kernel_sizes: The values of k, odd numbers.

    Returns:
        Head (one of `COMPARED`) -> k -> parameters and FLOPs.
    """
    shape = jax.ShapeDtypeStruct((1, *features), jnp.float32)

    def cost(head: str, k: int) -> Cost:
        module = HEADS[head](num_classes, k, use_bias=False)
        variables = jax.eval_shape(module.init, jax.random.key(0), shape)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(variables))
        return Cost(parameters, program_flops(module.apply, variables, shape))

    with plain_formulation():
        return {head: {k: cost(head, k) for k in kernel_sizes} for head in COMPARED}


def top_features(model: nn.Module, size: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape `(H, W, C)` of a network's res-5.

    Args:
        model: A network of the registry.
        size: Height and width of the images in px.
    """
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)  # res-5 is the same of any channels
    backbone = model.make_backbone()
    variables = variable_shapes(backbone)
    return jax.eval_shape(backbone.apply, variables, images)["res5"].shape[1:]


def plot_head_costs(costs: Mapping[str, Mapping[int, Cost]], features: Sequence[int]) -> str:
    """Draw parameters and FLOPs against k.

    FLOPs leave out products with the zeros of the padding; dashed lines are what they would be with
    them, 2 * H * W * parameters.

    Args:
        costs: What `head_costs` returned.
        features: The shape `(H, W, C)` of the features that they are for.

    Returns:
        The text of an SVG file.
    """
    height, width, channels = features
    with svg_figure(8.4, 3.2) as (figure, svg):
        figure.suptitle(f"One head on a {height} x {width} map of {channels} channels")
        left, right = figure.subplots(1, 2)
        for head, of in costs.items():
            name, growth, color = _LINES[head]
            style = {"color": color, "marker": "o", "markersize": 4}
            left.plot([*of], [cost.parameters / 1e6 for cost in of.values()], label=name, **style)
            right.plot([*of], [cost.flops / 1e9 for cost in of.values()], **style)
            padded = [2 * height * width * cost.parameters / 1e9 for cost in of.values()]
            dashed = {"color": color, "linestyle": "--", "linewidth": 1}
            right.plot([*of], padded, label=f"with the padding's zeros: {growth}", **dashed)
        for axes, label in ((left, "parameters, millions"), (right, "GFLOPs")):
            axes.set_xticks([*of])
            axes.set(xlabel="k", ylabel=label, ylim=(0, None))
            axes.grid(alpha=0.25, linewidth=0.6)
            axes.legend(frameon=False)
        return svg()
