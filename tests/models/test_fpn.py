"""Semantic FPN: its pyramid and its branches against numpy."""

import jax
import numpy as np

from gcn_jax.models.fpn import FPN
from tests.helpers import reference
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "fpn_resnet18": (13_049_813, 11_176_512),
    "fpn_resnet34": (23_157_973, 21_284_672),
    "fpn_resnet50": (26_118_613, 23_508_032),
    "fpn_resnet101": (45_110_741, 42_500_160),
    "fpn_plain4": (1_831_085, 135_960),
}


def corners_kept(x, size):
    """Interpolate so that the centres of the corner pixels stay."""
    for axis, length in zip((1, 2), size, strict=True):
        places = np.linspace(0, x.shape[axis] - 1, length)
        x = np.apply_along_axis(
            lambda line, at=places: np.interp(at, np.arange(len(line)), line), axis, x
        )
    return x


def group_norm(x, layer, groups):
    """Normalise the pixels of each group of channels of an example together."""
    parts = [
        (part - part.mean((1, 2, 3), keepdims=True))
        / np.sqrt(part.var((1, 2, 3), keepdims=True) + 1e-5)
        for part in np.split(x, groups, axis=-1)
    ]
    return np.concatenate(parts, axis=-1) * layer["scale"] + layer["bias"]


def test_branches_of_all_levels_are_summed():
    """plain4 has strides 2, 4, 8, 8: from res5 to res4 nothing is doubled."""
    model = FPN(num_classes=3, backbone="_tiny", features=8, branch_features=64)
    variables, images = random_variables(model), normal(2, 33, 46, 3)
    params = variables["params"]
    backbone = {collection: trees["backbone"] for collection, trees in variables.items()}
    features = {
        level: np.asarray(model.make_backbone().apply(backbone, images)[f"res{level}"], np.float64)
        for level in (2, 3, 4, 5)
    }
    pyramid = {5: reference.convolve(features[5], params["lateral5"])}
    for level in (4, 3, 2):
        above, shape = pyramid[level + 1], features[level].shape
        if level < 4:
            above = above.repeat(2, axis=1).repeat(2, axis=2)[:, : shape[1], : shape[2]]
        pyramid[level] = reference.convolve(features[level], params[f"lateral{level}"]) + above
    total = 0.0
    for level, steps in {5: (4, 3, 2), 4: (3, 2), 3: (2,), 2: (2,)}.items():
        x = pyramid[level]
        for finer in steps:
            kernel = params[f"branch{level}_{finer}_conv"]["kernel"]
            x = reference.convolve(x, {"kernel": kernel, "bias": 0.0}, padding=1)
            x = np.maximum(group_norm(x, params[f"branch{level}_{finer}_norm"], 32), 0)
            x = corners_kept(x, pyramid[finer].shape[1:3])
        total = total + x
    expected = corners_kept(reference.convolve(total, params["score"]), (33, 46))
    found = jax.jit(model.apply)(variables, images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))
