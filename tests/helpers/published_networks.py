"""State dicts of networks as others publish them, by the names and shapes of their files."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gcn_jax.models.layers import bilinear_taps
from tests.helpers.torchvision_weights import value

#: Names, shapes and logits of each published network, from the code of its authors.
FOLDER = Path(__file__).parents[1] / "fixtures" / "published"

#: Kernels of FCN's deconvolutions, by stride: name -> factor.
UPSAMPLINGS = {
    32: {"upscore": 32},
    16: {"upscore2": 2, "upscore16": 16},
    8: {"upscore2": 2, "upscore_pool4": 2, "upscore8": 8},
}


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a file in `FOLDER`."""
    with np.load(FOLDER / f"{name}.npz") as file:
        texts = zip(file["names"], file["shapes"], strict=True)
        return {str(key): tuple(json.loads(str(shape))) for key, shape in texts}


def tensors(of: Mapping[str, tuple[int, ...]], prefix: str = "") -> dict[str, np.ndarray]:
    """Return seeded values, each by its name, which then gets the prefix."""
    return {prefix + name: value(name, shape) for name, shape in of.items()}


def hollow(of: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return arrays of zeros that take up no memory, where names and shapes alone count."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in of.items()}


def small_fcn(stride: int, num_classes: int, *, bilinear: bool = True) -> dict[str, np.ndarray]:
    """Return the tensors of an FCN with one 32nd of the channels, scores aside.

    Args:
        stride: 32, 16 or 8.
        num_classes: The number of classes.
        bilinear: Whether its deconvolutions interpolate, as in the files that were trained.
    """
    small = {}
    for name, shape in shapes(f"fcn{stride}s").items():
        sizes = [n if n in (3, 7, 1) else num_classes if n == 21 else n // 32 for n in shape]
        small[name] = tuple(sizes)
    for name, factor in UPSAMPLINGS[stride].items():
        small[f"{name}.weight"] = (num_classes, num_classes, 2 * factor, 2 * factor)
    made = tensors(small)
    for name, factor in UPSAMPLINGS[stride].items() if bilinear else ():
        taps = bilinear_taps(factor).astype("float32")
        made[f"{name}.weight"] = np.einsum("io,h,w->iohw", np.eye(num_classes), taps, taps)
    return {name: array.astype("float32") for name, array in made.items()}
