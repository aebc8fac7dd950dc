"""DINOv2's transformers: against what transformers computes, positions, images of any size."""

import jax
import numpy as np
import pytest

from gcn_jax.models.backbones.dinov2 import GRID, DINOv2
from gcn_jax.weights.dinov2 import import_dinov2
from tests.helpers import published_networks as published
from tests.helpers.random_values import normal, random_variables

FILE = published.FOLDER / "dinov2_small.npz"


@pytest.mark.parametrize(
    "size",
    [
        "84x112",
        pytest.param("140x70", marks=pytest.mark.slow),
        pytest.param("518x518", marks=pytest.mark.slow),
    ],
)
def test_features_are_those_of_transformers(size):
    """Weights are seeded by their names; of patch tokens every fourth channel is compared."""
    model = DINOv2("small")
    variables = import_dinov2(published.tensors(published.shapes("dinov2_small")), model)
    height, width = map(int, size.split("x"))
    images = normal(1, height, width, 3, seed=height)
    # Not under jit: as in the test of ResNet, layers one by one are faster than compiled.
    features, state = model.apply(
        variables, images, capture_intermediates=lambda module, _: module.name == "block6"
    )
    tokens = np.asarray(state["intermediates"]["block6"]["__call__"][0])[:, 0, 1:]
    found = {
        "last": features["res5"],
        "last_every6": features["res5"][:, ::6, ::6],
        "block6": tokens.reshape(features["res5"].shape),
        "cls": features["cls"],
    }
    with np.load(FILE) as file:
        keys = [key for key in file if key.startswith(f"{size}/")]
        for key in keys:
            _, name, *every4 = key.split("/")
            values = found[name][..., :: 4 if every4 else 1]
            np.testing.assert_allclose(values, file[key], rtol=0, atol=3e-5, err_msg=key)
    assert keys


def test_images_of_any_size_have_patches():
    model = DINOv2("_tiny")
    variables = random_variables(model)
    apply = jax.jit(model.apply)
    for height, width, grid in ((1, 1, (1, 1)), (28, 29, (2, 3))):
        features = apply(variables, normal(2, height, width, 3))
        for level in (2, 3, 4, 5):
            assert features[f"res{level}"].shape == (2, *grid, 8)
        assert features["cls"].shape == (2, 8)
        assert all(np.isfinite(x).all() for x in features.values())


def test_zeros_fill_the_last_patches():
    model = DINOv2("_tiny")
    variables, images = random_variables(model), normal(1, 20, 33, 3)
    whole = np.zeros((1, 28, 42, 3), "float32")
    whole[:, :20, :33] = images
    apply = jax.jit(model.apply)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
        apply(variables, images),
        apply(variables, whole),
    )


def test_positions_are_one_for_each_patch_of_518_pixels():
    shapes = jax.eval_shape(
        DINOv2("_tiny").init, jax.random.key(0), np.zeros((1, 14, 14, 3), "float32")
    )["params"]
    assert shapes["positions"].shape == (GRID**2 + 1, 8)
    assert (GRID * 14, shapes["registers"].shape) == (518, (1, 8))
