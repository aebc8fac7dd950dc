"""Functions of images as one ONNX model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.export  # a module that `import jax` does not bring
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
    dtype: str = "uint8",
) -> Any:
    """Write functions of images as one ONNX model; common parts are shared.

    Args:
        functions: Output -> (weights, images `[N, H, W, C]`) -> an array `[N, H, W, ...]`.
        weights: The first argument of all.
        size: H and W; None for any, which the model pads below and to the right, and cuts again.
        multiple: What H and W are padded to multiples of then.
        color: What they are padded with, a value of each of the C channels.
        dtype: That of images: "uint8" or "uint16".

    Returns:
        The `onnx.ModelProto`: the input is "images".

    Raises:
        NotImplementedError: The functions have something that is not known in ONNX's words.
    """
    n, *free = jax.export.symbolic_shape(f"n, {multiple}*h, {multiple}*w")
    images = jax.ShapeDtypeStruct((n, *(size or free), len(color)), dtype)
    closed = jax.make_jaxpr(lambda w, x: [f(w, x) for f in functions.values()])(weights, images)
    graph, name = Graph(), "images"
    shape = graph.add("Shape", name)
    graph.sizes["n"] = Size(graph, graph.cut(shape, [0], [1], [0], [1]))
    if dtype == "uint16":  # which onnxruntime does not pad
        name = graph.add("Cast", name, to=TensorProto.INT32)
    if size is None:
        pixel = np.array(color, np.uint8 if dtype == "uint8" else np.int32)
        name = _padded(graph, name, shape, multiple, pixel)
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
    input_ = helper.make_tensor_value_info("images", TYPES[dtype], [*named, len(color)])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "gcn_jax", [input_], outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def _padded(graph: Graph, images: str, shape: str, multiple: int, color: np.ndarray) -> str:
    """Add the padding of images of any size, and say what h and w are then.

    Args:
        graph: The graph.
        images: The name of the images in it.
        shape: The name of their shape.
        multiple: What H and W become multiples of.
        color: The colour that is added, of the type of the images.

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
        channel = graph.cut(images, [i], [i + 1], [3], [1])
        channels.append(graph.add("Pad", channel, pads, np.asarray(value)))
    return graph.add("Concat", *channels, axis=3)
