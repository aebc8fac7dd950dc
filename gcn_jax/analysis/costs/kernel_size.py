"""What a head costs against its kernel size k: the global convolution, and the trivial k x k."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.analysis.costs.complexity import Cost, program_flops
from gcn_jax.models.gcn_heads import HEADS
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.network import variable_shapes

#: The heads of the paper's Table 2: linear in k, and quadratic.
COMPARED = ("gcn", "conv")


def head_costs(
    features: Sequence[int], num_classes: int, kernel_sizes: Sequence[int]
) -> dict[str, dict[int, Cost]]:
    """Count what a head after res-5 costs, without biases, as the paper's Table 2 does.

    Products with the zeros around the map are no FLOPs: where k is near the size of the map, FLOPs
    grow more slowly than parameters.

    Args:
        features: The shape of the features, `(H, W, C)`.
        num_classes: What the head scores.
        kernel_sizes: Odd numbers.

    Returns:
        Head, of `COMPARED`, to k to parameters and FLOPs.
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
    """Return the shape `(H, W, C)` of res-5 of a network for images of a size (height, width)."""
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    backbone = model.make_backbone()
    variables = variable_shapes(backbone)
    return jax.eval_shape(backbone.apply, variables, images)["res5"].shape[1:]
