"""The rows, or columns, of an image that every element of a traced program depends on.

A jaxpr is walked from the image on, and for every array in it a *reach* is computed: int32
`[3, ...]` over the elements of the array, holding

* the first row of the image (or column: `along` says which) that the element depends on,
* minus the last one,
* 0 if padding is among what it depends on, else `NOTHING`.

So what is computed from several elements has the minimum of their reaches, and an element that
depends on nothing has `NOTHING` three times. As in broadcasting, an axis along which the reach does
not change has length 1, so that a reach is mostly one-dimensional, however large the features.

Dependence is what the program's structure allows: weights and images are taken for anything,
zeros among the weights included. Constants, such as the matrix of an interpolation, are known,
and their zeros count.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend import core

from gcn_jax.analysis.receptive_field.rules import NOTHING, RULES, Known
from gcn_jax.errors import UserError

#: A reach; what is known; or None: a parameter, or something computed from parameters.
_Value = np.ndarray | Known | None


def image_reach(shape: Sequence[int], along: int) -> np.ndarray:
    """Return the reach of an image itself: every row depends on itself.

    Args:
        shape: The shape of the images, `(N, H, W, C)`.
        along: 1 for rows, 2 for columns.

    Returns:
        int32 `[3, 1, H, 1, 1]`, or `[3, 1, 1, W, 1]` for columns.
    """
    index = np.arange(shape[along], dtype=np.int32)
    reach = np.stack([index, -index, np.full_like(index, NOTHING)])
    return reach.reshape([3] + [-1 if axis == along else 1 for axis in range(len(shape))])


def propagate(closed: core.ClosedJaxpr, inputs: Sequence[np.ndarray | None]) -> list[_Value]:
    """Compute the reach of every output of a program.

    Args:
        closed: The program.
        inputs: For each of its inputs a reach, or None where it is not an image.

    Returns:
        For each output its reach; where it depends on no image, None or something else that is no
            array.

    Raises:
        UserError: The program has a primitive, or a use of one, for which there is no rule.
    """
    return _run(closed.jaxpr, _constants(closed), inputs)


#: Primitives that stand for a program -> the parameter that holds it.
_CALLS = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
}


def _constants(closed: core.ClosedJaxpr) -> list[Known]:
    return [Known(functools.partial(np.asarray, constant)) for constant in closed.consts]


def _run(jaxpr: core.Jaxpr, consts: Sequence[_Value], inputs: Sequence[_Value]) -> list[_Value]:
    values: dict[core.Var, _Value] = {}

    def read(atom: core.Var | core.Literal) -> _Value:
        if isinstance(atom, core.Literal):
            return Known(lambda: atom.val)
        return values[atom]

    values.update(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, inputs, strict=True))
    for equation in jaxpr.eqns:
        outputs = _apply(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: core.JaxprEqn, operands: Sequence[_Value]) -> Sequence[_Value]:
    """Return the values of the outputs of an equation."""
    name, parameters = equation.primitive.name, equation.params
    if name in _CALLS:
        inner = parameters[_CALLS[name]]
        if isinstance(inner, core.ClosedJaxpr):
            return _run(inner.jaxpr, _constants(inner), operands)
        return _run(inner, [], operands)
    known = [operand for operand in operands if isinstance(operand, Known)]
    if len(known) == len(operands):
        return _evaluate_later(equation, known)
    is_empty = 0 in getattr(equation.outvars[0].aval, "shape", ())
    if is_empty or not any(isinstance(operand, np.ndarray) for operand in operands):
        return [None] * len(equation.outvars)
    if name not in RULES:
        raise UserError(
            f"the network uses {name}, for which gcn_jax.analysis has no rule that says what its "
            "output depends on"
        )
    outputs = RULES[name](equation, *operands)
    return list(map(_shorten, outputs if isinstance(outputs, list) else [outputs]))


def _evaluate_later(equation: core.JaxprEqn, operands: Sequence[Known]) -> list[Known]:
    @functools.cache
    def evaluate() -> Sequence[Any]:
        outputs = equation.primitive.bind(*(o.value for o in operands), **equation.params)
        return outputs if equation.primitive.multiple_results else [outputs]

    def output(i: int) -> np.ndarray:
        return np.asarray(evaluate()[i])

    return [Known(functools.partial(output, i)) for i in range(len(equation.outvars))]


def _shorten(reach: np.ndarray) -> np.ndarray:
    """Give length 1 to axes along which the reach does not change."""
    for axis in range(1, reach.ndim):
        first = reach.take([0], axis)
        if reach.shape[axis] > 1 and (reach == first).all():
            reach = first
    return reach
