"""Models by name: `config.model = dict(name="gcn_resnet50", ...)` and a notebook build the same."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from gcn_jax.errors import UserError, check_choice
from gcn_jax.models.classifier import Classifier
from gcn_jax.models.deeplab_largefov import DeepLabLargeFOV
from gcn_jax.models.deeplab_v2 import DeepLabV2
from gcn_jax.models.fcn import FCN
from gcn_jax.models.gcn import GCN
from gcn_jax.models.pspnet import PSPNet
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
    "gcn_resnet50_gcn": (GCN, {"backbone": "resnet50_gcn"}),
    "gcn_plain4": (GCN, {"backbone": "plain4"}),
    "fcn32s_vgg16": (FCN, {"stride": 32}),
    "fcn16s_vgg16": (FCN, {"stride": 16}),
    "fcn8s_vgg16": (FCN, {"stride": 8}),
    "segnet": (SegNet, {}),
    "deeplab_largefov": (DeepLabLargeFOV, {}),
    "deeplab_v2_resnet18": (DeepLabV2, {"backbone": "resnet18"}),
    "deeplab_v2_resnet101": (DeepLabV2, {"backbone": "resnet101"}),
    "deeplab_v2_resnet101_caffe": (DeepLabV2, {"backbone": "resnet101_caffe"}),
    "deeplab_v2_plain4": (DeepLabV2, {"backbone": "plain4"}),
    "pspnet_resnet18": (PSPNet, {"backbone": "resnet18"}),
    "pspnet_resnet50": (PSPNet, {"backbone": "resnet50s"}),
    "pspnet_resnet101": (PSPNet, {"backbone": "resnet101s"}),
    "pspnet_plain4": (PSPNet, {"backbone": "plain4"}),
    "classifier": (Classifier, {}),
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
        name: One of `list_models()`.
        **overrides: Fields of the module, such as `num_classes`; `dtype` may be a string,
            "float32" or "bfloat16".

    Returns:
        The module; its class documents the fields.

    Raises:
        UserError: For an unknown name, field or dtype, or a missing `num_classes`.
    """
    check_choice("model", name, MODELS)
    module, fixed = MODELS[name]
    fields = _fields(module)
    for field in overrides:
        check_choice(f"field of {name}", field, fields)
    values = {**fixed, **overrides}
    missing = [
        field
        for field, (_, default) in fields.items()
        if default is dataclasses.MISSING and field not in values
    ]
    if missing:
        raise UserError(f"{name} needs a value for: {', '.join(missing)}")
    if isinstance(values.get("dtype"), str):
        check_choice("dtype", values["dtype"], DTYPES)
        values["dtype"] = DTYPES[values["dtype"]]
    return module(**values)


def model_fields(name: str) -> dict[str, tuple[type, Any]]:
    """Return what can be set of a model: field -> (type, default).

    The type of `str | None` is `str`, and a dtype is a string, as in a config file. Fields that the
    name fixes are left out; one that must be given has the default `dataclasses.MISSING`.

    Raises:
        UserError: For an unknown name.
    """
    check_choice("model", name, MODELS)
    module, fixed = MODELS[name]
    fields = {field: value for field, value in _fields(module).items() if field not in fixed}
    if "dtype" in fields:
        names = {dtype: name for name, dtype in DTYPES.items()}
        fields["dtype"] = str, names[fields["dtype"][1]]
    return fields


def _fields(module: type[nn.Module]) -> dict[str, tuple[type, Any]]:
    hints = typing.get_type_hints(module)
    return {
        field.name: (_without_none(hints[field.name]), field.default)
        for field in dataclasses.fields(module)
        if field.name not in ("parent", "name")  # Linen's own
    }


def _without_none(hint: Any) -> Any:
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return kinds[0] if isinstance(hint, types.UnionType) else hint
