"""The check that crops can be split by rows: XLA's gradients are known to be right for some only.

Each device needs as many rows of every map as the kernels on it reach beyond a row (`gcn_jax.mesh`
says what happens elsewhere). How far they reach is read from the traced network.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from gcn_jax.errors import UserError, setting
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.network import AUXILIARY, SegmentationNetwork, variable_shapes

#: Rows of a crop that each device has are a multiple of it, the stride of most networks.
_MULTIPLE = 32


def check_rows(model: SegmentationNetwork, crop_size: Sequence[int], parts: int) -> None:
    """Check that crops can be split by rows.

    Args:
        model: The network.
        crop_size: (height, width) of the crops.
        parts: Over how many devices their rows are split; nothing is checked for 1.

    Raises:
        UserError: They cannot; the message says which height can.
    """
    if parts == 1:
        return
    height, width = crop_size
    if height % (_MULTIPLE * parts):
        raise UserError(
            f"crops of {height} rows do not divide into mesh.height={parts} parts of a multiple "
            f"of {_MULTIPLE}; the next height that does is {_next(height, parts)} "
            f"({setting('augment.crop_size')}; what lies beyond an image is void)"
        )
    rows, reach = max(_kernels(model, (height, width)), key=lambda one: one[1] / one[0])
    if rows < reach * parts:
        raise UserError(
            f"crops of {height} rows are too low for mesh.height={parts}: a kernel of "
            f"{type(model).__name__} reaches over {reach} rows of a map that has {rows}, "
            f"{rows / parts:g} a device; from a height of about "
            f"{_next(-(-height * reach * parts // rows), parts)} on they have enough "
            f"({setting('augment.crop_size')}), or lower mesh.height"
        )


def _next(height: int, parts: int) -> int:
    return -(-height // (_MULTIPLE * parts)) * _MULTIPLE * parts


@functools.cache  # a run asks before it prepares, and when it begins
def _kernels(model: SegmentationNetwork, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return, for each convolution in training, the rows of its map and how far it reaches."""

    def forward(variables: Any, images: jax.Array, key: jax.Array) -> Any:
        return model.apply(
            variables,
            images,
            train=True,
            mutable=["batch_stats", AUXILIARY],
            rngs={"dropout": key},
        )

    images = jax.ShapeDtypeStruct((1, *size, model.in_channels), jnp.float32)
    with plain_formulation():
        program = jax.make_jaxpr(forward)(variable_shapes(model), images, jax.random.key(0))
    return [*_convolutions(program.jaxpr)]


def _convolutions(jaxpr: core.Jaxpr) -> Iterator[tuple[int, int]]:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "conv_general_dilated":
            image, kernel = (var.aval.shape for var in equation.invars)  # type: ignore[attr-defined]
            params = equation.params
            axes = params["dimension_numbers"]
            length = (kernel[axes.rhs_spec[2]] - 1) * params["rhs_dilation"][0]
            yield image[axes.lhs_spec[2]], -(-length // (2 * params["lhs_dilation"][0]))
        for inner in jax.tree.leaves(tuple(equation.params.values())):
            if isinstance(inner, core.ClosedJaxpr):
                inner = inner.jaxpr
            if isinstance(inner, core.Jaxpr):
                yield from _convolutions(inner)
