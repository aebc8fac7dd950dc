"""Rules of `dependence.py`: what the output of each primitive of JAX depends on.

A rule is called with the equation and its operands (a reach, a `Known`, or None) of which at least
one is a reach, and returns the reach of the output, or a list of them.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gcn_jax.errors import UserError

#: In a reach: no row, and no padding.
NOTHING = np.iinfo(np.int32).max


class Known:
    """A constant of the program, which is computed only where its value matters.

    Attributes:
        compute: A function that returns it.
    """

    def __init__(self, compute: Callable[[], Any]):
        self._compute = compute

    @functools.cached_property
    def value(self) -> Any:
        """The array."""
        return self._compute()


def _spread(reach: np.ndarray, axis: int, length: int) -> np.ndarray:
    """Give an axis its full length."""
    return np.repeat(reach, length, axis) if reach.shape[axis] == 1 else reach


def _refuse(equation, why: str):
    raise UserError(
        f"the network uses {equation.primitive.name} {why}, for which gcn_jax.analysis has no rule "
        "that says what its output depends on"
    )


def _elementwise(equation, *operands):
    rank = equation.outvars[0].aval.ndim
    reaches = [o for o in operands if isinstance(o, np.ndarray)]
    # A scalar, such as the bounds of clamp, goes to all elements.
    reaches = [r if r.ndim == rank + 1 else r.reshape([3] + [1] * rank) for r in reaches]
    return functools.reduce(np.minimum, reaches)


def _reduce(equation, reach):
    return reach.min(axis=tuple(axis + 1 for axis in equation.params["axes"]))


def _transpose(equation, reach):
    return reach.transpose(0, *(axis + 1 for axis in equation.params["permutation"]))


def _broadcast_in_dim(equation, reach):
    shape = [3] + [1] * len(equation.params["shape"])
    for axis, target in enumerate(equation.params["broadcast_dimensions"]):
        shape[target + 1] = reach.shape[axis + 1]
    return reach.reshape(shape)


def _squeeze(equation, reach):
    return reach.squeeze(tuple(axis + 1 for axis in equation.params["dimensions"]))


def _reshape(equation, reach):
    """Spread only those axes that are merged with, or split from, one that matters."""
    old, new = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    spread, target = [3], [3]
    i = j = 0
    while i < len(old) or j < len(new):
        # The shortest groups of axes that hold equally many elements.
        first, end = (i, j), (min(i + 1, len(old)), min(j + 1, len(new)))
        while (a := np.prod(old[i : end[0]])) != (b := np.prod(new[j : end[1]])):
            end = (end[0] + (a < b), end[1] + (a > b))
        i, j = end
        matters = any(length > 1 for length in reach.shape[1 + first[0] : 1 + i])
        spread += old[first[0] : i] if matters else [1] * (i - first[0])
        target += new[first[1] : j] if matters else [1] * (j - first[1])
    return np.broadcast_to(reach, spread).reshape(target)


def _slice(equation, reach):
    parameters = equation.params
    strides = parameters["strides"] or [1] * (reach.ndim - 1)
    limits = zip(parameters["start_indices"], parameters["limit_indices"], strides, strict=True)
    for axis, (start, stop, stride) in enumerate(limits, start=1):
        if reach.shape[axis] > 1:
            reach = reach[(slice(None),) * axis + (slice(start, stop, stride),)]
    return reach


def _dynamic_slice(equation, reach, *starts):
    if any(isinstance(start, np.ndarray) for start in starts):
        _refuse(equation, "at places that depend on the image")
    shape = equation.invars[0].aval.shape
    sizes = equation.params["slice_sizes"]
    for axis, (length, size, start) in enumerate(zip(shape, sizes, starts, strict=True), start=1):
        if reach.shape[axis] > 1 and size < length:
            if not isinstance(start, Known):
                _refuse(equation, "at places that are not constant")
            begin = int(np.clip(start.value, 0, length - size))
            reach = reach.take(range(begin, begin + size), axis)
    return reach


def _rev(equation, reach):
    return np.flip(reach, tuple(axis + 1 for axis in equation.params["dimensions"]))


def _concatenate(equation, *operands):
    axis = equation.params["dimension"] + 1
    lengths = [variable.aval.shape[axis - 1] for variable in equation.invars]
    return _join(operands, lengths, axis, equation.outvars[0].aval.ndim)


def _join(operands, lengths, axis, rank):
    """Lay operands one behind the other; those that are no reaches depend on nothing."""
    nothing = np.full([3] + [1] * rank, NOTHING, np.int32)
    parts = [o if isinstance(o, np.ndarray) else nothing for o in operands]
    parts = [_spread(part, axis, length) for part, length in zip(parts, lengths, strict=True)]
    shape = np.broadcast_shapes(*([*p.shape[:axis], 1, *p.shape[axis + 1 :]] for p in parts))
    parts = [np.broadcast_to(p, [*shape[:axis], p.shape[axis], *shape[axis + 1 :]]) for p in parts]
    return np.concatenate(parts, axis)


def _stack(equation, *operands):
    axis = equation.params["axis"] + 1
    raised = [o if not isinstance(o, np.ndarray) else np.expand_dims(o, axis) for o in operands]
    return _join(raised, [1] * len(raised), axis, equation.outvars[0].aval.ndim)


def _unstack(equation, reach):
    axis, count = equation.params["axis"] + 1, len(equation.outvars)
    return [part.squeeze(axis) for part in np.split(_spread(reach, axis, count), count, axis)]


def _tile(equation, reach):
    reps = [
        r if n > 1 else 1 for r, n in zip(equation.params["reps"], reach.shape[1:], strict=True)
    ]
    return np.tile(reach, (1, *reps))


def _split(equation, reach):
    axis, sizes = equation.params["axis"] + 1, equation.params["sizes"]
    if reach.shape[axis] == 1:
        return [reach] * len(sizes)
    return np.split(reach, np.cumsum(sizes)[:-1], axis)


def _pad(equation, reach, value):
    if not isinstance(reach, np.ndarray) or isinstance(value, np.ndarray):
        _refuse(equation, "with a value that depends on the image")
    for axis, config in enumerate(equation.params["padding_config"], start=1):
        reach = _pad_axis(reach, axis, *config)
    return reach


def _pad_axis(reach: np.ndarray, axis: int, before: int, after: int, inside: int = 0) -> np.ndarray:
    """Pad an axis, or crop it where a number is negative.

    Axes along which nothing changes stay so: of their padding it is said that it depends on what
    the rest does, which can only be too much.
    """
    length = reach.shape[axis]
    if length == 1:
        return reach
    shape = list(reach.shape)
    shape[axis] = max(before, 0) + (length - 1) * (inside + 1) + 1 + max(after, 0)
    padded = np.full(shape, NOTHING, np.int32)
    padded[2] = 0  # beyond the border there is padding, but zeros between pixels are none
    image = np.moveaxis(padded, axis, 0)[max(before, 0) : shape[axis] - max(after, 0)]
    image[...] = NOTHING
    image[:: inside + 1] = np.moveaxis(reach, axis, 0)
    kept = slice(max(-before, 0), shape[axis] - max(-after, 0))
    return padded[(slice(None),) * axis + (kept,)]


def _windows(
    reach: np.ndarray, axis: int, taps: int, stride: int, dilation: int, padding: tuple[int, ...]
) -> np.ndarray:
    """Take the minimum over windows along an axis, padded as in `_pad_axis`."""
    if reach.shape[axis] == 1:
        return reach
    reach = np.moveaxis(_pad_axis(reach, axis, *padding), axis, 0)
    count = (len(reach) - dilation * (taps - 1) - 1) // stride + 1
    starts = range(0, dilation * taps, dilation)
    shifted = (reach[start : start + stride * (count - 1) + 1 : stride] for start in starts)
    return np.moveaxis(functools.reduce(np.minimum, shifted), 0, axis)


def _reduce_window(equation, reach, *_):
    p = equation.params
    for axis, taps in enumerate(p["window_dimensions"]):
        padding = (*p["padding"][axis], p["base_dilation"][axis] - 1)
        stride, dilation = p["window_strides"][axis], p["window_dilation"][axis]
        reach = _windows(reach, axis + 1, taps, stride, dilation, padding)
    return reach


def _convolution(equation, reach, kernel):
    p, numbers = equation.params, equation.params["dimension_numbers"]
    if not isinstance(reach, np.ndarray) or isinstance(kernel, np.ndarray):
        _refuse(equation, "with a kernel that depends on the image")
    batch, channel, *axes = numbers.lhs_spec
    channels = equation.outvars[0].aval.shape[numbers.out_spec[1]]
    depthwise = p["feature_group_count"] == equation.invars[0].aval.shape[channel] == channels
    if not depthwise:  # which keeps what each channel sees
        if p["batch_group_count"] > 1 or (
            p["feature_group_count"] > 1 and reach.shape[channel + 1] > 1
        ):
            _refuse(equation, "in groups")
        reach = reach.min(axis=channel + 1, keepdims=True)
    shape = equation.invars[1].aval.shape
    for i, (axis, kernel_axis) in enumerate(zip(axes, numbers.rhs_spec[2:], strict=True)):
        padding = (*p["padding"][i], p["lhs_dilation"][i] - 1)
        stride, dilation = p["window_strides"][i], p["rhs_dilation"][i]
        reach = _windows(reach, axis + 1, shape[kernel_axis], stride, dilation, padding)
    source = dict(zip(numbers.out_spec, numbers.lhs_spec, strict=True))
    return reach.transpose(0, *(source[axis] + 1 for axis in range(reach.ndim - 1)))


def _dot_general(equation, *operands):
    contracted, batched = equation.params["dimension_numbers"]
    operands = _keys_joined(contracted, batched, operands)
    reaches = []
    for side, reach in enumerate(operands):
        if not isinstance(reach, np.ndarray):
            continue
        summed, batch, other = contracted[side], batched[side], operands[1 - side]
        free = [axis for axis in range(reach.ndim - 1) if axis not in (*summed, *batch)]
        reach = reach.transpose(0, *(axis + 1 for axis in (*batch, *free, *summed)))
        kept = reach.ndim - len(summed)
        if isinstance(other, Known) and any(length > 1 for length in reach.shape[kept:]):
            if other.value.ndim != 2 or len(summed) != 1:
                _refuse(equation, "with a constant that is no matrix")
            reach = _times(reach, np.moveaxis(other.value, contracted[1 - side][0], 0))
        else:
            reach = reach.min(axis=tuple(range(kept, reach.ndim)))
            reach = reach.reshape(*reach.shape, *[1] * (equation.outvars[0].aval.ndim + 1 - kept))
        if side == 1:  # the free axes of the left operand come first
            others, first = range(kept, reach.ndim), 1 + len(batch)
            reach = np.moveaxis(reach, others, range(first, first + len(others)))
        reaches.append(reach)
    return functools.reduce(np.minimum, reaches)


def _keys_joined(contracted, batched, operands):
    """Let each product with a map of the image depend on all of that map, if the other is one, too.

    Such are the weights of an attention: the sum by which they are divided is of all keys, and an
    array of all pairs of pixels would have no room.
    """
    if not all(isinstance(operand, np.ndarray) for operand in operands):
        return operands
    free = [
        tuple(a + 1 for a in range(o.ndim - 1) if a not in (*summed, *batch))
        for o, summed, batch in zip(operands, contracted, batched, strict=True)
    ]
    left, right = operands
    if all(left.shape[axis] == 1 for axis in free[0]):
        return operands
    return left, right.min(axis=free[1], keepdims=True)


def _times(reach: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Multiply the last axis by a constant `[n, m]`, whose zeros let nothing through."""
    columns = (reach[..., column != 0] for column in matrix.T)
    return np.stack([c.min(axis=-1, initial=NOTHING) for c in columns], axis=-1)


def _gather(equation, reach, indices):
    """Take elements, or windows, at constant places along one axis that matters."""
    p, numbers = equation.params, equation.params["dimension_numbers"]
    if isinstance(indices, np.ndarray):
        _refuse(equation, "at places that depend on the image")
    axes = [axis for axis in range(reach.ndim - 1) if reach.shape[axis + 1] > 1]
    if len(axes) > 1 or numbers.operand_batching_dims:
        _refuse(equation, "along several axes")
    rank, size = equation.outvars[0].aval.ndim, 1
    windows = [a for a in range(reach.ndim - 1) if a not in numbers.collapsed_slice_dims]
    shape, places = [1] * rank, np.zeros([1] * rank, np.int64)
    for axis in axes:
        length, size = equation.invars[0].aval.shape[axis], p["slice_sizes"][axis]
        if axis in numbers.start_index_map:
            if not isinstance(indices, Known):
                _refuse(equation, "at places that are not constant")
            starts = indices.value[..., numbers.start_index_map.index(axis)].clip(0, length - size)
            batch = (a for a in range(rank) if a not in numbers.offset_dims)
            for a, count in zip(batch, starts.shape, strict=True):
                shape[a] = count
            places = starts.reshape(shape).astype(np.int64)
        if axis in windows:
            offset = [1] * rank
            offset[numbers.offset_dims[windows.index(axis)]] = size
            places = places + np.arange(size).reshape(offset)
    return reach.reshape(3, -1)[:, places]


_ELEMENTWISE = """
    abs add add_any and ceil clamp convert_element_type copy cos div eq erf exp exp2 expm1 floor ge
    gt integer_pow is_finite le log log1p logistic lt max min mul ne neg not or pow
    reduce_precision rem round rsqrt select_n sharding_constraint sign sin sqrt square stop_gradient
    sub tanh xor
"""

#: Name of a primitive -> its rule.
RULES: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **{f"reduce_{kind}": _reduce for kind in ("sum", "max", "min", "prod", "and", "or")},
    **{f"reduce_window_{kind}": _reduce_window for kind in ("sum", "max", "min")},
    "argmax": _reduce,
    "argmin": _reduce,
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "dot_general": _dot_general,
    "dynamic_slice": _dynamic_slice,
    "gather": _gather,
    "pad": _pad,
    "reduce_window": _reduce_window,
    "reshape": _reshape,
    "rev": _rev,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "transpose": _transpose,
    "unstack": _unstack,
}
