"""Weights from elsewhere: a PyTorch state dict of numpy arrays becomes Flax variables.

The map is total, or an error: every source tensor is used exactly once, every leaf of the
variables is filled, and shapes are equal. An architecture adds one function that says which
tensor fills a leaf. PyTorch itself is not needed: what `torch.load` or a safetensors file gives is
passed as `{name: array}`.
"""

import re
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from gcn_jax.errors import UserError
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.backbones.vgg import STAGES, VGG16
from gcn_jax.models.network import variable_shapes

#: Where a leaf of the variables is, such as ("params", "res3_block1", "conv2", "kernel").
Path = tuple[str, ...]

#: Flax leaf -> PyTorch tensor, for every kind of layer here.
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}

#: Layer of our ResNet -> of torchvision's (the deep stem: of timm's), where the names differ.
RESNET_LAYERS = {
    "shortcut_conv": "downsample.0",
    "shortcut_bn": "downsample.1",
    "logits": "fc",
    "conv1_1": "conv1.0",
    "bn1_1": "conv1.1",
    "conv1_2": "conv1.3",
    "bn1_2": "conv1.4",
    "conv1_3": "conv1.6",
    "bn1_3": "bn1",
}

#: Dense layer of VGG-16, by torchvision's or timm's name -> the convolution that it becomes, its
#: kernel size, and what DeepLab-LargeFOV takes of it: every such output, input, row and column.
VGG_DENSE_LAYERS = {
    "classifier.0": ("fc6", 7, (4, 1, 3, 3)),
    "classifier.3": ("fc7", 1, (4, 4, 1, 1)),
    "pre_logits.fc1": ("fc6", 7, (4, 1, 3, 3)),
    "pre_logits.fc2": ("fc7", 1, (4, 4, 1, 1)),
}


def import_resnet(state_dict: Mapping[str, np.ndarray], model: ResNet) -> dict:
    """Convert the weights of a torchvision ResNet (timm's plain ResNets have the same names).

    Example:
        >>> model = ResNet(depth=50)
        >>> variables = import_resnet(state_dict, model)
        >>> features = model.apply(variables, images)["res5"]

    Args:
        state_dict: Tensor name, such as "layer2.0.conv1.weight", to array in PyTorch's layout.
        model: What the weights are for. Without `num_classes` the classifier `fc.*` is left out, so
            that the published weights fit a backbone as they are.

    Returns:
        Variables of `model`: float32 params and batch_stats.

    Raises:
        UserError: If names or shapes differ; the message lists how.
    """
    if model.num_classes is None:
        state_dict = {k: v for k, v in state_dict.items() if not k.startswith("fc.")}
    return import_variables(state_dict, variable_shapes(model), _resnet_source)


def import_vgg(state_dict: Mapping[str, np.ndarray], model: VGG16) -> dict:
    """Convert the weights of torchvision's or timm's `vgg16` or `vgg16_bn` for a backbone.

    Its classifier is left out, and so are fc6 and fc7 where the backbone has none (SegNet's). As
    convolutions they keep their weights: fc6 reads the 7 x 7 features in the order (channel, row,
    column). DeepLab-LargeFOV decimates them: of fc6 it takes every third tap, which in VGG-16 are
    3 * 32 = 96 pixels apart, as are its own at a dilation of 12 and stride 8; of fc6 and fc7 it
    takes every fourth channel.

    Args:
        state_dict: Tensor name, such as "features.0.weight", to array in PyTorch's layout.
        model: What the weights are for: those of `vgg16_bn` if it has batch-norm.

    Returns:
        Variables of `model`: float32 params and, with batch-norm, batch_stats.

    Raises:
        UserError: If names or shapes differ; the message lists how.
    """
    target = variable_shapes(model)
    dense = {name: leaves for name, leaves in target["params"].items() if name in ("fc6", "fc7")}
    decimated = dense and dense["fc6"]["kernel"].shape[0] == 3
    tensors = {}
    for name, array in state_dict.items():
        layer, _, leaf = name.rpartition(".")
        if layer in VGG_DENSE_LAYERS:
            layer, size, steps = VGG_DENSE_LAYERS[layer]
            if layer in dense:
                array = _as_convolution(array, size)
                tensors[f"{layer}.{leaf}"] = _every(array, steps) if decimated else array
        elif layer not in ("classifier.6", "head.fc"):
            tensors[name] = array
    return import_variables(tensors, target, _vgg_source(model.batch_norm))


def import_variables(
    state_dict: Mapping[str, np.ndarray], target: dict, source: Callable[[Path], str]
) -> dict:
    """Fill a tree of variables from a state dict.

    Args:
        state_dict: Tensor name to array: convolutions `[out, in, kh, kw]`, linear layers
            `[out, in]`. Counters `*.num_batches_tracked` are left out.
        target: The variables, or their shapes, as `jax.eval_shape(model.init, ...)` gives them.
        source: The name of the tensor that fills the leaf at a path; distinct for distinct paths.

    Returns:
        The tree of `target` with float32 arrays.

    Raises:
        UserError: If a leaf has no tensor, a tensor has no leaf, or shapes differ.
    """
    arrays = {
        name: _flax_layout(np.asarray(array))
        for name, array in state_dict.items()
        if not name.endswith(".num_batches_tracked")
    }
    leaves = traverse_util.flatten_dict(target)
    names = {path: source(path) for path in leaves}
    assert len(set(names.values())) == len(names), "two leaves with the same source"

    missing = [name for name in names.values() if name not in arrays]
    unused = sorted(set(arrays) - set(names.values()))
    unequal = [
        f"{names[path]} {arrays[names[path]].shape} for {leaf.shape}"
        for path, leaf in leaves.items()
        if names[path] in arrays and arrays[names[path]].shape != leaf.shape
    ]
    if missing or unused or unequal:
        raise UserError(
            "these weights are not of this model: "
            f"{_listing('missing tensors', missing)}; {_listing('tensors without a use', unused)}; "
            f"{_listing('unequal shapes (in Flax layout)', unequal)}"
        )
    return traverse_util.unflatten_dict(
        {path: jnp.asarray(arrays[name], jnp.float32) for path, name in names.items()}
    )


def _resnet_source(path: Path) -> str:
    """Return torchvision's name: res3_block1/conv2/kernel is layer2.0.conv2.weight."""
    _, *layers, leaf = path
    return ".".join([*map(_resnet_layer, layers), LEAVES[leaf]])


def _resnet_layer(name: str) -> str:
    if block := re.fullmatch(r"res(\d)_block(\d+)", name):
        level, number = map(int, block.groups())
        return f"layer{level - 1}.{number - 1}"
    return RESNET_LAYERS.get(name, name)


def _as_convolution(array: np.ndarray, size: int) -> np.ndarray:
    """Reshape `[out, in]` to `[out, C, size, size]`; a bias stays."""
    if array.ndim == 2 and array.shape[1] % size**2 == 0:
        return array.reshape(len(array), -1, size, size)
    return array


def _every(array: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Take every so many elements of each axis."""
    return array[tuple(slice(None, None, step) for step in steps[: array.ndim])]


def _vgg_source(with_batch_norm: bool) -> Callable[[Path], str]:
    """Return what gives torchvision's name: stage2/conv1/kernel is features.5.weight."""
    names, index = {}, 0
    for number, (count, _) in enumerate(STAGES, start=1):
        for i in range(1, count + 1):
            names[f"stage{number}", f"conv{i}"] = f"features.{index}"
            names[f"stage{number}", f"bn{i}"] = f"features.{index + 1}"
            index += 3 if with_batch_norm else 2  # the last one is the ReLU
        index += 1  # the pooling

    def source(path: Path) -> str:
        _, *layers, leaf = path
        return f"{names.get(tuple(layers), layers[0])}.{LEAVES[leaf]}"

    return source


def _flax_layout(array: np.ndarray) -> np.ndarray:
    """Transpose `[out, in, kh, kw]` to `[kh, kw, in, out]` and `[out, in]` to `[in, out]`."""
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.T


def _listing(what: str, names: list[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit]) or "none"
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)} {what}: {shown}{rest}"
