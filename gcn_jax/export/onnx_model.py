"""Functions of images as one ONNX model."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.export  # a module that `import jax` does not bring
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper

from gcn_jax.export.onnx_graph import TYPES, Graph


def make_model(
    functions: Mapping[str, Callable[[Any, jax.Array], jax.Array]],
    weights: dict[str, np.ndarray],
    size: tuple[int, int],
) -> Any:
    """Write functions of images as one ONNX model; common parts are shared.

    Args:
        functions: Output -> (weights, uint8 `[N, H, W, 3]`) -> an array of N rows.
        weights: The first argument of all.
        size: H and W.

    Returns:
        The `onnx.ModelProto`: the input is "images".
    """
    (n,) = jax.export.symbolic_shape("n")
    images = jax.ShapeDtypeStruct((n, *size, 3), jnp.uint8)
    closed = jax.make_jaxpr(lambda w, x: [f(w, x) for f in functions.values()])(weights, images)
    graph = Graph("images")
    arguments = [*jax.tree.leaves(weights), "images"]
    found = graph.evaluate(closed.jaxpr, closed.consts, arguments)
    outputs = []
    for name, value, aval in zip(functions, found, closed.out_avals, strict=True):
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
        shape = ["N", *aval.shape[1:]]
        outputs.append(helper.make_tensor_value_info(name, TYPES[aval.dtype.name], shape))
    input_ = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *size, 3])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "gcn_jax", [input_], outputs, graph.initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model
