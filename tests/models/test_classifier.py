"""The classifier of images: scores that are those of every pixel, from the features of all."""

import jax
import numpy as np
import pytest
from models.random_values import normal

from gcn_jax.errors import UserError
from gcn_jax.models import create_model


def classifier(**fields):
    return create_model("classifier", num_classes=3, backbone="_tiny", **fields)


@pytest.fixture(scope="module")
def variables():
    return jax.jit(classifier().init)(jax.random.key(0), normal(1, 32, 32, 3))


def test_every_pixel_has_the_scores_of_its_image(variables):
    model, images = classifier(), normal(2, 17, 30, 3)
    logits = model.apply(variables, images)
    assert logits.shape == (2, 17, 30, 3)
    features = model.make_backbone().apply(
        {name: tree["backbone"] for name, tree in variables.items() if "backbone" in tree}, images
    )["res5"]
    dense = variables["params"]["logits"]
    expected = np.mean(features, axis=(1, 2)) @ dense["kernel"] + np.asarray(dense["bias"])[None]
    for n in range(2):
        pixels = np.asarray(logits[n]).reshape(-1, 3)
        np.testing.assert_allclose(pixels, np.tile(expected[n], (len(pixels), 1)), atol=1e-5)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(UserError, match="unknown backbone 'resnet5'"):
        create_model("classifier", num_classes=3, backbone="resnet5")
