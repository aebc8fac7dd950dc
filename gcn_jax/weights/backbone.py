"""Weights of a backbone: from a local file, or from the Hugging Face hub.

The hub's models are timm's, `model.safetensors` beside a `config.json` that says how images were
prepared, or transformers', where `preprocessor_config.json` does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcn_jax.errors import UserError
from gcn_jax.hub import hub_file, is_on_hub, weights_file
from gcn_jax.models.network import SegmentationNetwork
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.tensor_files import read_weights
from gcn_jax.weights.first_kernel import with_channels
from gcn_jax.weights.imagenet import IMAGENET, imagenet_file
from gcn_jax.weights.prefixes import without_prefix
from gcn_jax.weights.preparation import (
    PREPROCESSOR,
    Color,
    as_color,
    is_usable,
    read_preparation,
)
from gcn_jax.weights.registry import SOURCES
from gcn_jax.weights.relatives import check_relative
from gcn_jax.workdir import read_object

#: The file of a repository that says what it holds.
CONFIG = "config.json"

#: What the `config.json` of transformers has, and timm's has not.
_TRANSFORMERS = "model_type"


def load_backbone_weights(
    source: str, model: SegmentationNetwork, excepted: Sequence[str] = ()
) -> dict[str, Any]:
    """Load the weights of a network's backbone.

    Example:
        >>> model = create_model("gcn_resnet50", num_classes=21)
        >>> backbone = load_backbone_weights("hf://timm/resnet50.a1_in1k", model)

    Args:
        source: A `.pth`, `.pt` or `.safetensors` file of torchvision or timm, or "hf://owner/name"
            or "hf://owner/name@revision" of a model of timm or transformers on the hub (see
            `hub_file`), or "imagenet" (see `imagenet_file`).
        model: The network. A classifier among the weights is left out, and so is a prefix such as
            "backbone." that the tensors' names have in common.
        excepted: Patterns, as of `fnmatch`, of layers that the weights do not fill, such as
            "res5_*": the source may lack them or have them in another shape.

    Returns:
        Variables of the backbone: float32 params and batch_stats, without the excepted layers; the
        first kernel as `first_kernel.with_channels` makes it of RGB's.

    Raises:
        UserError: There is no source for the backbone; the weights cannot be had, or are not
            its; the message names the source and the differences. A model on the hub is asked
            for its name, too: timm's resnetblur50 has the tensors of ResNet-50, and is another
            network.
    """
    architecture = model.backbone_weights
    if architecture not in SOURCES:
        raise UserError(
            f"{source}: no published weights of {architecture}, the backbone, can be loaded; there "
            f"are sources for: {', '.join(SOURCES)}"
        )
    path: str | Path = source
    if source == IMAGENET:
        path = imagenet_file(architecture)
    elif is_on_hub(source):
        config = _read_json(source, CONFIG)
        if _TRANSFORMERS in config:  # names and shapes of the tensors tell what they are of
            path = weights_file(source)
        else:
            _check_architecture(source, config, architecture)
            path = hub_file(source, "model.safetensors")
    state_dict = without_prefix(read_weights(path))
    try:
        check_relative(state_dict)
        variables = SOURCES[architecture](state_dict, model.make_backbone(), excepted)
        return with_channels(variables, model.in_channels)
    except UserError as error:
        raise UserError(f"{source}, for {architecture}: {error}") from None


def read_backbone_preprocessing(source: str) -> tuple[Color, Color]:
    """Read how images are prepared for weights.

    Args:
        source: As for `load_backbone_weights`.

    Returns:
        Mean and standard deviation, RGB in 0..255. For the hub they are what the model's
        `config.json`, or `preprocessor_config.json`, says. A local file says nothing, and gets
        ImageNet's, as torchvision's weights need them.

    Raises:
        UserError: The repository cannot be had, or does not say.
    """
    if not is_on_hub(source):
        return IMAGENET_MEAN, IMAGENET_STD
    config = _read_json(source, CONFIG)
    if _TRANSFORMERS in config:
        preparation = read_preparation(_read_json(source, PREPROCESSOR))
        if preparation is None:
            raise UserError(f"{source}: its {PREPROCESSOR} has no image_mean and image_std")
        return preparation.mean, preparation.std
    try:
        prepared = config["pretrained_cfg"]
        mean, std = (as_color(prepared[key]) for key in ("mean", "std"))
        known = is_usable(mean, std)
    except (ValueError, KeyError, TypeError, OverflowError):
        known = False
    if not known:
        raise UserError(f"{_not_timm(source)}: it has no pretrained_cfg with mean and std")
    return mean, std


def _check_architecture(source: str, config: dict[str, Any], expected: str) -> None:
    found = config.get("architecture")
    if found != expected:
        raise UserError(f"{source} is timm's {found}; this backbone needs weights of {expected}")


def _read_json(source: str, name: str) -> dict[str, Any]:
    """Read a file of a repository."""
    path = hub_file(source, name)
    try:
        return read_object(path)
    except UserError:
        if name != CONFIG:
            raise UserError(f"{source}: its {name} holds no JSON object") from None
        raise UserError(f"{_not_timm(source)}: it holds no JSON object") from None


def _not_timm(source: str) -> str:
    return f"{source}: its config.json is not that of a timm model"
