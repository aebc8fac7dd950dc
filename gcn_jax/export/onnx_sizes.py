"""Sizes that are known only when a graph of ONNX runs, computed in it from those of the images."""

from typing import Any

import numpy as np


class Size:
    """A number of a graph, for the arithmetic that JAX does with symbolic sizes."""

    def __init__(self, graph: Any, value: str | np.ndarray):
        """Take a number.

        Args:
            graph: The `Graph`, to which operations are added.
            value: The name of a tensor in it, or an array, int64 `[1]`.
        """
        self._graph, self.value = graph, value

    def __add__(self, other: "Size | int") -> "Size":
        return self._with("Add", other)

    def __sub__(self, other: "Size | int") -> "Size":
        return self._with("Sub", other)

    def __mul__(self, other: "Size | int") -> "Size":
        return self._with("Mul", other)

    def __floordiv__(self, other: "Size | int") -> "Size":
        return (self - self % other)._with("Div", other)  # ONNX's own rounds towards zero

    def __mod__(self, other: "Size | int") -> "Size":
        return self._with("Mod", other)

    def __pow__(self, exponent: int) -> "Size":
        return self * self ** (exponent - 1) if exponent > 1 else self

    def __neg__(self) -> "Size":
        return self * -1

    def __radd__(self, other: int) -> "Size":
        return self + other

    def __rsub__(self, other: int) -> "Size":
        return -self + other

    def __rmul__(self, other: int) -> "Size":
        return self * other

    def _with(self, operator: str, other: "Size | int") -> "Size":
        value = other.value if isinstance(other, Size) else np.asarray([other], np.int64)
        return Size(self._graph, self._graph.add(operator, self.value, value))


def evaluate(size: Any, symbols: dict[str, Size]) -> Size:
    """Compute a symbolic size of JAX.

    Args:
        size: Such as `4*h - 1`; `jax.export.symbolic_shape` reads what its `str` writes.
        symbols: Name -> number.

    Raises:
        NotImplementedError: It has an operation that is not known here.
    """
    words = {"floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b}
    try:
        found: Size = eval(str(size).replace("^", "**"), {"__builtins__": {}, **words, **symbols})
    except (NameError, TypeError):
        raise NotImplementedError(f"no words of ONNX are known here for the size {size}") from None
    return found
