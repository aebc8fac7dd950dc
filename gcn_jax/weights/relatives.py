"""Relatives of ResNet, which are other networks: recognised by their tensors, refused by name."""

from collections.abc import Mapping

import numpy as np

from gcn_jax.errors import UserError


def check_relative(state_dict: Mapping[str, np.ndarray]) -> None:
    """Raise `UserError` for the weights of a ResNet-D, ResNeXt, SE-ResNet or wide ResNet.

    ResNet-RS has the tensors of both ResNet-D and SE-ResNet. A blur (timm's resnetblur50) has
    none, and is known by the name of its repository alone.

    Args:
        state_dict: Tensor name to array in PyTorch's layout.
    """
    squeezes = any(".se." in name or ".se_module." in name for name in state_dict)
    pools = any(
        name.endswith("downsample.1.weight") and a.ndim == 4 for name, a in state_dict.items()
    )
    relative = None
    if squeezes and pools:
        relative = "a ResNet-RS (squeeze-and-excitation, and shortcuts that average)"
    elif squeezes:
        relative = "an SE-ResNet (squeeze-and-excitation)"
    elif pools:
        relative = "a ResNet-D (shortcuts that average before they convolve)"
    else:
        kernel = state_dict.get("layer1.0.conv2.weight")
        reduced = state_dict.get("layer1.0.conv1.weight")
        if "layer1.0.conv3.weight" in state_dict and kernel is not None and reduced is not None:
            if kernel.ndim == 4 and kernel.shape[1] < len(reduced):
                relative = "a ResNeXt (convolutions in groups)"
            elif len(kernel) == 128:
                relative = "a wide ResNet"
    if relative:
        raise UserError(f"these are the weights of {relative}, which is another network")
