"""Models by name: `config.model = dict(name="gcn_resnet50", ...)` and a notebook build the same."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError, check_choice
from gcn_jax.models.deeplab_largefov import DeepLabLargeFOV
from gcn_jax.models.fcn import FCN
from gcn_jax.models.gcn import GCN
from gcn_jax.models.segnet import SegNet

#: Name -> (module, its fields that the name fixes). Names with "_" in front are for tests.
MODELS: Mapping[str, tuple[type[nn.Module], Mapping[str, Any]]] = {
    "gcn_resnet18": (GCN, {"backbone": "resnet18"}),
    "gcn_resnet34": (GCN, {"backbone": "resnet34"}),
    "gcn_resnet50": (GCN, {"backbone": "resnet50"}),
    "gcn_resnet101": (GCN, {"backbone": "resnet101"}),
    "gcn_resnet152": (GCN, {"backbone": "resnet152"}),
    "gcn_resnet50_caffe": (GCN, {"backbone": "resnet50_caffe"}),
    "gcn_resnet101_caffe": (GCN, {"backbone": "resnet101_caffe"}),
    "gcn_resnet152_caffe": (GCN, {"backbone": "resnet152_caffe"}),
    "gcn_plain4": (GCN, {"backbone": "plain4"}),
    "fcn32s_vgg16": (FCN, {"stride": 32}),
    "fcn16s_vgg16": (FCN, {"stride": 16}),
    "fcn8s_vgg16": (FCN, {"stride": 8}),
    "segnet": (SegNet, {}),
    "deeplab_largefov": (DeepLabLargeFOV, {}),
    "_tiny": (GCN, {"backbone": "_tiny", "kernel_size": 5}),
}

#: What a config file may call a dtype.
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def list_models() -> list[str]:
    """Return the names that `create_model` knows."""
    return [name for name in MODELS if not name.startswith("_")]


def create_model(name: str, **overrides: Any) -> nn.Module:
    """Build a model by name. Neither network nor disk is touched.

    Example:
        >>> model = create_model("gcn_resnet50", num_classes=21, dtype="bfloat16")

    Args:
        name: one of `list_models()`.
        **overrides: fields of the module, such as `num_classes`; `dtype` may be a string,
            "float32" or "bfloat16".

    Returns:
        The module; `GCN` documents its fields.

    Raises:
        UserError: for an unknown name, field or dtype, or a missing `num_classes`.
    """
    check_choice("model", name, MODELS)
    module, fixed = MODELS[name]
    required = {
        field.name: field.default is dataclasses.MISSING
        for field in dataclasses.fields(module)
        if field.name not in ("parent", "name")  # Linen's own
    }
    for field in overrides:
        check_choice(f"field of {name}", field, required)
    values = {**fixed, **overrides}
    missing = [field for field in required if required[field] and field not in values]
    if missing:
        raise UserError(f"{name} needs a value for: {', '.join(missing)}")
    if isinstance(values.get("dtype"), str):
        check_choice("dtype", values["dtype"], DTYPES)
        values["dtype"] = DTYPES[values["dtype"]]
    return module(**values)
