"""Functions of images as one ONNX model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.export  # a module that `import jax` does not bring
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper

from gcn_jax.export.onnx_graph import TYPES, Graph
from gcn_jax.export.onnx_sizes import Size


def make_model(
    functions: Mapping[str, Callable[[Any, jax.Array], jax.Array]],
    weights: dict[str, np.ndarray],
    size: tuple[int, int] | None,
    multiple: int = 1,
    color: Sequence[int] = (0, 0, 0),
) -> Any:
    """Write functions of images as one ONNX model; common parts are shared.

    Args:
        functions: Output -> (weights, uint8 `[N, H, W, 3]`) -> an array `[N, H, W, ...]`.
        weights: The first argument of all.
        size: H and W; None for any, which the model pads below and to the right, and cuts again.
        multiple: What H and W are padded to multiples of then.
        color: What they are padded with, RGB in 0..255.

    Returns:
        The `onnx.ModelProto`: the input is "images".

    Raises:
        NotImplementedError: The functions have something that is not known in ONNX's words.
    """
    n, *free = jax.export.symbolic_shape(f"n, {multiple}*h, {multiple}*w")
    images = jax.ShapeDtypeStruct((n, *(size or free), 3), jnp.uint8)
    closed = jax.make_jaxpr(lambda w, x: [f(w, x) for f in functions.values()])(weights, images)
    graph, name = Graph(), "images"
    shape = graph.add("Shape", name)
    graph.sizes["n"] = Size(graph, graph.cut(shape, [0], [1], [0], [1]))
    if size is None:
        name = _padded(graph, shape, multiple, color)
    found = graph.evaluate(closed.jaxpr, closed.consts, [*jax.tree.leaves(weights), name])
    if size is None:
        sides = graph.cut(shape, [1], [3], [0], [1])
        found = [graph.add("Slice", x, np.zeros(2, int), sides, np.array([1, 2])) for x in found]
    outputs = []
    named = ["N", *(size or ["H", "W"])]
    for name, value, aval in zip(functions, found, closed.out_avals, strict=True):
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
        kind, sizes = TYPES[aval.dtype.name], [*named, *aval.shape[3:]]
        outputs.append(helper.make_tensor_value_info(name, kind, sizes))
    input_ = helper.make_tensor_value_info("images", TensorProto.UINT8, [*named, 3])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "gcn_jax", [input_], outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def _padded(graph: Graph, shape: str, multiple: int, color: Sequence[int]) -> str:
    """Add the padding of images of any size, and say what h and w are then.

    Args:
        graph: The graph, whose input is "images".
        shape: The name of the shape of that.
        multiple: What H and W become multiples of.
        color: The colour that is added.

    Returns:
        The name of the padded images.
    """
    zeros = np.zeros(1, int)
    missing = []
    for axis, symbol in ((1, "h"), (2, "w")):
        side = Size(graph, graph.cut(shape, [axis], [axis + 1], [0], [1]))
        graph.sizes[symbol] = -(-side // multiple)
        missing.append((-side % multiple).value)
    pads = graph.add("Concat", *[zeros] * 5, *missing, zeros, axis=0)
    channels = []
    for i, value in enumerate(color):
        channel = graph.cut("images", [i], [i + 1], [3], [1])
        channels.append(graph.add("Pad", channel, pads, np.array(value, np.uint8)))
    return graph.add("Concat", *channels, axis=3)
