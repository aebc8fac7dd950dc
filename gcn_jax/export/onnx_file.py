"""ONNX: the model for runtimes that are not JAX, for any batch of images of any size, or of one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import atomic, extras
from gcn_jax.errors import UserError
from gcn_jax.export.check import Difference, compare
from gcn_jax.export.target import Target
from gcn_jax.models.layers import plain_formulation
from gcn_jax.models.preprocessing import mean_color


def write_onnx(
    target: Target,
    path: str | Path,
    batches: Sequence[np.ndarray],
    size: tuple[int, int] | None = None,
) -> list[Difference]:
    """Write a model, which gets its name once it ran beside the model and was right.

    What the file says about the model is in its metadata, each value as JSON.

    Args:
        target: The model.
        path: The file.
        batches: The images for that, arrays `[N, H, W, 3]` of the file's size, or of
            multiples of 32 pixels.
        size: The height and width of all images; None for any.

    Returns:
        The difference of each output.

    Raises:
        UserError: ONNX is not installed, it cannot say what the network computes, the file cannot
            be written, or it differs from the model: then it is not there.
    """
    runtime = require_onnx()
    from gcn_jax.export.onnx_model import make_model

    about = {**target.metadata, "size": size}
    color = mean_color(about["mean"], about["image_dtype"]).tolist()
    padding = about["multiple"], color, about["image_dtype"]
    try:
        with plain_formulation():
            model = make_model(target.functions, target.weights, size, *padding)
    except NotImplementedError as error:
        raise UserError(f"{error}; --format stablehlo holds every network") from None
    model.producer_name, model.producer_version = "gcn_jax", about["gcn_jax"]
    for key, value in about.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    with atomic.replacing(path) as file:
        file.write(model.SerializeToString())
        file.flush()
        session = runtime.InferenceSession(file.name, providers=["CPUExecutionProvider"])
        return compare(
            target, lambda output, images: session.run([output], {"images": images})[0], batches
        )


def require_onnx() -> Any:
    """Return onnxruntime, which sends nothing then.

    Raises:
        UserError: It, or onnx, is not installed.
    """
    with extras.explained():
        import onnx  # noqa: F401
        import onnxruntime
    onnxruntime.disable_telemetry_events()  # which releases from 1.30 on, or 1.29, send
    return onnxruntime
