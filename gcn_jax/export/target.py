"""The function that an export writes, and what its file says about the model."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from gcn_jax import __version__
from gcn_jax.errors import UserError
from gcn_jax.models import Pretrained
from gcn_jax.models.preprocessing import BUCKET_MULTIPLE
from gcn_jax.models.pretrained.predict import logits
from gcn_jax.workdir import Origin

#: The kinds of outputs: the class of every pixel, and the scores of all classes.
OUTPUTS = ("labels", "logits")


class Target(NamedTuple):
    """A model as a function of its weights and of images as they are in files.

    It computes in float32, whatever the model trained in: devices choose their own precision.

    Attributes:
        weights: Name, such as "params/backbone/conv1/kernel" -> array; "preprocessing/mean" and
            "preprocessing/std" are two of them, and what only training uses is none.
        functions: Output -> (weights, images) -> labels, int32 `[N, H, W]`, or logits, float32
            `[N, H, W, C]`. Images are uint8 `[N, H, W, 3]`, or of the network's channels, uint8 or
            uint16: see `image_shape`.
        metadata: What the file says about the model.
        logits: The function that returns logits, whatever the outputs of the file.
    """

    weights: dict[str, np.ndarray]
    functions: Mapping[str, Callable[[Any, jax.Array], jax.Array]]
    metadata: dict[str, Any]
    logits: Callable[[Any, jax.Array], jax.Array]

    def image_shape(self, *size: Any) -> jax.ShapeDtypeStruct:
        """Return the shape and the type of images.

        Args:
            *size: N, H and W, numbers or symbols.
        """
        return _image_shape(self.metadata, *size)


def make_target(
    pretrained: Pretrained, outputs: tuple[str, ...], origin: Origin | None = None
) -> Target:
    """Make the function of a model.

    Args:
        pretrained: The model.
        outputs: Some of `OUTPUTS`, the default first.
        origin: Where an imported network came from.

    Raises:
        UserError: An output is none of them, or there is none.
    """
    if not outputs or set(outputs) - {*OUTPUTS}:
        raise UserError(f"the outputs are {', '.join(outputs)}; choose of: {', '.join(OUTPUTS)}")
    model = pretrained.model.clone(dtype=jnp.float32)
    flat = traverse_util.flatten_dict(pretrained.variables, sep="/")

    def scores(weights: Any, images: jax.Array) -> jax.Array:
        variables = traverse_util.unflatten_dict(weights, sep="/")
        preprocessing = variables.pop("preprocessing")
        return logits(model, variables, images, preprocessing["mean"], preprocessing["std"])

    def labels(weights: Any, images: jax.Array) -> jax.Array:
        return jnp.argmax(scores(weights, images), axis=-1).astype(jnp.int32)

    weights = {name: np.asarray(array, np.float32) for name, array in flat.items()}
    info = {**dataclasses.asdict(pretrained.info), "image_dtype": pretrained.info.image_dtype}
    images = _image_shape(info, 1, 2 * BUCKET_MULTIPLE, 2 * BUCKET_MULTIPLE)
    weights = {name: weights[name] for name in _used(scores, weights, images)}
    functions = {"labels": labels, "logits": scores}
    return Target(
        weights=weights,
        functions={kind: functions[kind] for kind in outputs},
        metadata={
            "gcn_jax": __version__,
            "jax": jax.__version__,
            "model": info.pop("name"),
            **info,
            "step": pretrained.step,
            "origin": dataclasses.asdict(origin) if origin else None,
            "outputs": list(outputs),
            "multiple": BUCKET_MULTIPLE,
        },
        logits=scores,
    )


def _image_shape(metadata: Mapping[str, Any], *size: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((*size, len(metadata["mean"])), metadata["image_dtype"])


def _used(
    scores: Callable[[Any, jax.Array], jax.Array],
    weights: dict[str, Any],
    images: jax.ShapeDtypeStruct,
) -> list[str]:
    """Return the names of the weights that scores depend on: no auxiliary head's."""
    jaxpr = jax.make_jaxpr(scores)(weights, images).jaxpr
    read = {id(atom) for equation in jaxpr.eqns for atom in equation.invars}
    # JAX hands dicts over in the order of their keys.
    return [
        name
        for name, variable in zip(sorted(weights), jaxpr.invars, strict=False)
        if id(variable) in read
    ]
