"""Models by name: `config.model = dict(name="gcn_resnet50", ...)` and a notebook build the same."""

import dataclasses
import numbers
import types
import typing
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from gcn_jax.errors import UserError, check_choice
from gcn_jax.models import (
    classifier,
    deeplab_largefov,
    deeplab_v2,
    deeplabv3,
    deeplabv3plus,
    fcn,
    fcn_resnet,
    fpn,
    gcn,
    linear,
    pspnet,
    segformer,
    segnet,
    unet,
    upernet,
)
from gcn_jax.models.network import SegmentationNetwork

#: The networks, in the order of `list_models`, each with its file, whose `VARIANTS` are its names.
#: `TINY` there is one of them with the fields that make it small.
NETWORKS: tuple[tuple[type[SegmentationNetwork], Any], ...] = (
    (gcn.GCN, gcn),
    (fcn.FCN, fcn),
    (segnet.SegNet, segnet),
    (deeplab_largefov.DeepLabLargeFOV, deeplab_largefov),
    (deeplab_v2.DeepLabV2, deeplab_v2),
    (pspnet.PSPNet, pspnet),
    (fcn_resnet.FCNResNet, fcn_resnet),
    (deeplabv3.DeepLabV3, deeplabv3),
    (deeplabv3plus.DeepLabV3Plus, deeplabv3plus),
    (unet.UNet, unet),
    (fpn.FPN, fpn),
    (upernet.UPerNet, upernet),
    (segformer.SegFormer, segformer),
    (linear.Linear, linear),
    (classifier.Classifier, classifier),
)

#: Name -> (module, the fields that the name fixes). Names with "_" in front are for tests.
MODELS: Mapping[str, tuple[type[SegmentationNetwork], Mapping[str, Any]]] = {
    name: (network, fields) for network, file in NETWORKS for name, fields in file.VARIANTS.items()
}

#: One name of each network -> the fields that make it small, for tests.
TINY_MODELS: Mapping[str, Mapping[str, Any]] = dict(file.TINY for _, file in NETWORKS)

#: What a config file may call a dtype.
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}

#: Types of fields -> those of the values that they can be given.
_KINDS: Mapping[Any, type] = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}


def list_models() -> list[str]:
    """Return the names that `create_model` knows."""
    return [name for name in MODELS if not name.startswith("_")]


def create_model(name: str, **overrides: Any) -> SegmentationNetwork:
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
        UserError: For an unknown name, field or dtype, a value of another kind, or a missing
            `num_classes`.
    """
    check_choice("model", name, MODELS)
    module, fixed = MODELS[name]
    fields = _fields(module)
    for field in overrides:
        check_choice(f"field of {name}", field, fields)
        _check_kind(name, field, overrides[field], *fields[field])
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


def _check_kind(name: str, field: str, value: Any, kind: Any, default: Any) -> None:
    """Raise `UserError` where a field is given a value that its type does not allow."""
    wanted = _KINDS.get(kind)
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if (value is None and default is None) or wanted is None:
        fits = field != "dtype" or not (is_number or isinstance(value, list | dict | bool))
    else:
        fits = isinstance(value, wanted) and (kind in (bool, str) or is_number)
    if not fits:
        meant = kind.__name__ if wanted else "dtype"
        raise UserError(f"{name}: {field} is {value!r:.80}, which is no {meant}")


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


def _fields(module: type[SegmentationNetwork]) -> dict[str, tuple[type, Any]]:
    hints = typing.get_type_hints(module)
    return {
        field.name: (_without_none(hints[field.name]), field.default)
        for field in dataclasses.fields(module)
        if field.name not in ("parent", "name")  # Linen's own
    }


def _without_none(hint: Any) -> Any:
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return kinds[0] if isinstance(hint, types.UnionType) else hint
