"""The primitives of a traced function of JAX in ONNX's words, for symbolic sizes, too.

It knows the primitives that networks of this package are made of, no others. What does not depend
on the images (scales of batch-norm, matrices of interpolation) is computed here and now, and is
an initialiser in the graph.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.export  # a module that `import jax` does not bring
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, Literal
from onnx import TensorProto, helper, numpy_helper

from gcn_jax.export.onnx_sizes import Size, evaluate

#: Dtype -> ONNX's; runtimes compare no bytes, so small integers are wider there.
TYPES = {
    "float32": TensorProto.FLOAT,
    "bool": TensorProto.BOOL,
    "int8": TensorProto.INT32,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
}

#: Primitive -> ONNX's operator of the same operands.
_SAME = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "eq": "Equal",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "lt": "Less",
    "le": "LessOrEqual",
    "or": "Or",
    "and": "And",
    "not": "Not",
    "neg": "Neg",
    "abs": "Abs",
    "sign": "Sign",
    "sqrt": "Sqrt",
    "exp": "Exp",
    "erf": "Erf",
}

_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)

#: A value while a graph is made: the name of a tensor, or an array that no image changes.
_Value = str | np.ndarray


class Graph:
    """A graph that grows by one primitive after the other.

    Attributes:
        nodes: The operations, in their order.
        initializers: The arrays.
        sizes: Symbol of JAX, such as "h" -> the size that it stands for when the graph runs.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.sizes: dict[str, Size] = {}
        self._names: dict[tuple, str] = {}

    def add(self, operator: str, *inputs: _Value, **attributes: Any) -> str:
        """Add an operation, or find it: labels and logits share all but their last steps.

        Args:
            operator: The name of ONNX's.
            *inputs: The operands; arrays become initialisers.
            **attributes: The attributes.

        Returns:
            The name of its output.
        """
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        key = (operator, *names, repr(attributes))
        if key not in self._names:
            self._names[key] = f"{operator.lower()}_{len(self.nodes)}"
            node = helper.make_node(operator, names, [self._names[key]], **attributes)
            self.nodes.append(node)
        return self._names[key]

    def evaluate(self, jaxpr: Jaxpr, constants: Sequence[Any], values: Sequence[_Value]) -> list:
        """Add what a function computes.

        Args:
            jaxpr: The function.
            constants: The arrays that it holds.
            values: Its arguments.

        Returns:
            Its results, as names or arrays.

        Raises:
            NotImplementedError: A primitive is none of those that are known.
        """
        known: dict[Any, _Value] = {}
        known.update(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
        known.update(zip(jaxpr.invars, values, strict=True))

        def value(atom: Any) -> _Value:
            if isinstance(atom, Literal):
                aval: Any = atom.aval
                return np.asarray(atom.val, aval.dtype)
            return known[atom]

        for equation in jaxpr.eqns:
            operands = [value(atom) for atom in equation.invars]
            known.update(zip(equation.outvars, self._results(equation, operands), strict=True))
        return [value(atom) for atom in jaxpr.outvars]

    def _results(self, equation: Any, operands: list[_Value]) -> list[_Value]:
        name, params = equation.primitive.name, equation.params
        for inner in ("jaxpr", "call_jaxpr"):
            if inner in params:
                closed = params[inner]
                return self.evaluate(closed.jaxpr, closed.consts, operands)
        out = equation.outvars[0].aval
        fixed = all(isinstance(size, int) for size in out.shape)
        if fixed and name != "dim_as_value" and not any(isinstance(x, str) for x in operands):
            return [np.asarray(equation.primitive.bind(*map(jnp.asarray, operands), **params))]
        if name in _SAME:
            return [self.add(_SAME[name], *operands)]
        convert: Callable[..., str] | None = getattr(self, f"_{name}", None)
        if convert is None:
            raise NotImplementedError(f"no words of ONNX are known here for JAX's {name}")
        shapes = [atom.aval.shape for atom in equation.invars]
        return [convert(*operands, shapes=shapes, out=out, **params)]

    def _constant(self, array: np.ndarray) -> str:
        wide = np.ascontiguousarray(array.astype(np.int32) if array.dtype == np.int8 else array)
        key = wide.dtype.name, array.shape, hashlib.sha256(wide.tobytes()).digest()
        if key not in self._names:
            self._names[key] = f"constant_{len(self.initializers)}"
            tensor = numpy_helper.from_array(wide.reshape(array.shape), self._names[key])
            self.initializers.append(tensor)
        return self._names[key]

    def _ints(self, *numbers: Any) -> _Value:
        """Return int64 `[len(numbers)]` of numbers and symbolic sizes."""
        if all(isinstance(number, int | np.integer) for number in numbers):
            return np.asarray(numbers, np.int64)
        parts = [
            evaluate(number, self.sizes).value
            if jax.export.is_symbolic_dim(number)
            else np.asarray([number], np.int64)
            for number in numbers
        ]
        return self.add("Concat", *parts, axis=0)

    def _transposed(self, x: _Value, order: Sequence[int]) -> _Value:
        if isinstance(x, np.ndarray):
            return x.transpose(order)
        return x if [*order] == sorted(order) else self.add("Transpose", x, perm=[*order])

    def _nchw(self, operator: str, x: _Value, *weights: np.ndarray, **attributes: Any) -> str:
        """Add an operation on `[N, C, H, W]` for operands `[N, H, W, C]`."""
        y = self.add(operator, self._transposed(x, _TO_NCHW), *weights, **attributes)
        return self.add("Transpose", y, perm=_TO_NHWC)

    def cut(self, x: _Value, starts: Any, ends: Any, axes: Any, steps: Any) -> _Value:
        """Add `x[..., starts:ends:steps, ...]`.

        Args:
            x: The array.
            starts: For each of the axes the first index, a number or a symbolic size, as the next.
            ends: For each the index that ends it.
            axes: The axes; the others stay whole.
            steps: For each the step.
        """
        if not len(axes):
            return x
        return self.add("Slice", x, *(self._ints(*list_) for list_ in (starts, ends, axes, steps)))

    def _shaped(self, x: _Value, shape: Sequence[Any]) -> str:
        is_symbolic = [not isinstance(size, int) for size in shape]
        if sum(is_symbolic) == 1:
            shape = [-1 if free else size for free, size in zip(is_symbolic, shape, strict=True)]
        return self.add("Reshape", x, self._ints(*shape))

    def _with_axes(self, x: _Value, axes: Sequence[int]) -> _Value:
        if isinstance(x, np.ndarray):
            return np.expand_dims(x, tuple(axes))
        return self.add("Unsqueeze", x, self._ints(*axes)) if len(axes) else x

    # The primitives, named as JAX names them; all get the shapes of operands and the output.

    def _convert_element_type(self, x, *, out, **_):
        return self.add("Cast", x, to=TYPES[out.dtype.name])

    def _broadcast_in_dim(self, x, *, out, shapes, broadcast_dimensions, **_):
        new = [axis for axis in range(len(out.shape)) if axis not in broadcast_dimensions]
        x = self._with_axes(x, new)
        grows = any(out.shape[axis] != 1 for axis in new) or any(
            out.shape[axis] != size
            for axis, size in zip(broadcast_dimensions, shapes[0], strict=True)
        )
        return self.add("Expand", x, self._ints(*out.shape)) if grows else x

    def _iota(self, *, out, dimension, **_):
        count = self.add("Squeeze", self._ints(out.shape[dimension]))
        index = self.add("Range", np.array(0), count, np.array(1))
        index = self.add("Cast", index, to=TYPES[out.dtype.name])
        others = [axis for axis in range(len(out.shape)) if axis != dimension]
        return self.add("Expand", self._with_axes(index, others), self._ints(*out.shape))

    def _dim_as_value(self, *, out, dim, **_):
        number = self.add("Squeeze", self._ints(dim))
        return self.add("Cast", number, to=TYPES[out.dtype.name])

    def _reshape(self, x, *, out, **_):
        return self._shaped(x, out.shape)

    _squeeze = _expand_dims = _reshape

    def _transpose(self, x, *, permutation, **_):
        return self._transposed(x, permutation)

    def _concatenate(self, *parts, dimension, **_):
        return self.add("Concat", *parts, axis=dimension)

    def _stack(self, *parts, out, axis, **_):
        """Join arrays along a new axis: a primitive from jax 0.12 on."""
        return self.add("Concat", *(self._with_axes(part, [axis]) for part in parts), axis=axis)

    def _select_n(self, which, if_false, if_true, **_):
        return self.add("Where", which, if_true, if_false)

    def _rsqrt(self, x, **_):
        return self.add("Reciprocal", self.add("Sqrt", x))

    def _integer_pow(self, x, *, y, out, **_):
        return self.add("Pow", x, np.asarray(y, out.dtype))

    def _ne(self, x, y, **_):
        return self.add("Not", self.add("Equal", x, y))

    def _rem(self, x, y, **_):
        return self.add("Mod", x, y, fmod=1)  # the sign is that of x

    def _argmax(self, x, *, axes, index_dtype, **_):
        index = self.add("ArgMax", x, axis=axes[0], keepdims=0)
        return self.add("Cast", index, to=TYPES[np.dtype(index_dtype).name])

    def _stop_gradient(self, x, **_):
        return x

    def _reduce_max(self, x, *, axes, **_):
        return self.add("ReduceMax", x, axes=[int(axis) for axis in axes], keepdims=0)

    def _reduce_sum(self, x, *, axes, **_):
        return self.add("ReduceSum", x, self._ints(*axes), keepdims=0)

    def _slice(self, x, *, shapes, start_indices, limit_indices, strides, **_):
        parts = start_indices, limit_indices, strides or [1] * len(shapes[0])
        rows = zip(*parts, shapes[0], strict=True)
        axes = [axis for axis, row in enumerate(rows) if row[:3] != (0, row[3], 1)]
        starts, ends, steps = ([part[axis] for axis in axes] for part in parts)
        return self.cut(x, starts, ends, axes, steps)

    def _gather(self, x, starts, *, out, dimension_numbers, slice_sizes, **_):
        """Take a part; `x[:, a:b]` is a gather where the batch is symbolic."""
        whole = dimension_numbers.offset_dims == tuple(range(len(out.shape)))
        if not whole or isinstance(starts, str) or starts.ndim != 1:
            raise NotImplementedError("only parts of arrays are gathered in ONNX here")
        axes = dimension_numbers.start_index_map
        ends = [start + slice_sizes[axis] for start, axis in zip(starts, axes, strict=True)]
        return self.cut(x, starts, ends, axes, [1] * len(axes))

    def _pad(self, x, fill, *, shapes, padding_config, **_):
        for axis, (_low, _high, inside) in enumerate(padding_config):
            if inside:  # a new axis holds what stands between pixels; behind the last it is cut
                shape = [*shapes[0][: axis + 1], 1, *shapes[0][axis + 1 :]]
                pads = [0] * (2 * len(shape))
                pads[len(shape) + axis + 1] = inside
                x = self.add("Pad", self._shaped(x, shape), self._ints(*pads), fill)
                long = shapes[0][axis] * (inside + 1)
                x = self._shaped(x, [*shapes[0][:axis], long, *shapes[0][axis + 1 :]])
                x = self.cut(x, [0], [long - inside], [axis], [1])
                shapes = [(*shapes[0][:axis], long - inside, *shapes[0][axis + 1 :])]
        for axis, (low, high, _inside) in enumerate(padding_config):
            if low < 0 or high < 0:
                x = self.cut(x, [max(-low, 0)], [shapes[0][axis] + min(high, 0)], [axis], [1])
        pads = [max(0, row[side]) for side in (0, 1) for row in padding_config]
        return self.add("Pad", x, self._ints(*pads), fill) if any(pads) else x

    def _dot_general(self, x, y, *, shapes, out, dimension_numbers, **_):
        summed, batches = dimension_numbers
        if batches[0]:
            return self._products(x, y, shapes, out, summed, batches)
        (x_axis,), (y_axis,) = summed
        if 2 not in map(len, shapes):
            raise NotImplementedError("only products with a matrix are known in ONNX here")
        x_rest, y_rest = (
            [a for a in range(len(shape)) if a != axis]
            for shape, axis in zip(shapes, (x_axis, y_axis), strict=True)
        )
        if len(shapes[1]) == 2:
            left = self._transposed(x, [*x_rest, x_axis])
            return self.add("MatMul", left, self._transposed(y, [y_axis, *y_rest]))
        left = self._transposed(y, [*y_rest, y_axis])
        product = self.add("MatMul", left, self._transposed(x, [x_axis, *x_rest]))
        return self._transposed(product, [len(y_rest), *range(len(y_rest))])

    def _products(self, x, y, shapes, out, summed, batches):
        """Multiply matrices one by one, those of the heads of an attention."""
        batch = [shapes[0][axis] for axis in batches[0]]
        inner = math.prod(shapes[0][axis] for axis in summed[0])
        free = [
            [a for a in range(len(shape)) if a not in (*of_batch, *of_sum)]
            for shape, of_batch, of_sum in zip(shapes, batches, summed, strict=True)
        ]
        rows, columns = (
            math.prod(shape[axis] for axis in axes)
            for shape, axes in zip(shapes, free, strict=True)
        )
        left = self._transposed(x, [*batches[0], *free[0], *summed[0]])
        right = self._transposed(y, [*batches[1], *summed[1], *free[1]])
        product = self.add(
            "MatMul",
            self._shaped(left, [*batch, rows, inner]),
            self._shaped(right, [*batch, inner, columns]),
        )
        return self._shaped(product, out.shape)

    def _conv_general_dilated(
        self,
        x,
        kernel,
        *,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        feature_group_count,
        **_,
    ):
        pads = [row[side] for side in (0, 1) for row in padding]
        if lhs_dilation == (1, 1):
            return self._nchw(
                "Conv",
                x,
                kernel.transpose(3, 2, 0, 1),
                strides=window_strides,
                pads=pads,
                dilations=rhs_dilation,
                group=feature_group_count,
            )
        sizes = kernel.shape[:2] * 2
        return self._nchw(
            "ConvTranspose",
            x,
            kernel[::-1, ::-1].transpose(2, 3, 0, 1),
            strides=lhs_dilation,
            pads=[size - 1 - pad for size, pad in zip(sizes, pads, strict=True)],
        )

    def _reduce_window_max(self, x, *, window_dimensions, window_strides, padding, **_):
        return self._pool("MaxPool", x, window_dimensions, window_strides, padding)

    def _reduce_window_sum(self, x, *, window_dimensions, window_strides, padding, **_):
        window = window_dimensions, window_strides, padding
        mean = self._pool("AveragePool", x, *window, count_include_pad=1)
        return self.add("Mul", mean, np.asarray(math.prod(window_dimensions), np.float32))

    def _pool(self, operator, x, window, strides, padding, **attributes):
        pads = [row[side] for side in (0, 1) for row in padding[1:3]]
        return self._nchw(
            operator, x, kernel_shape=window[1:3], strides=strides[1:3], pads=pads, **attributes
        )
