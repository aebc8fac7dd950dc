"""The classifier of images: scores that are those of every pixel, from the features of all."""

import numpy as np
import pytest
from models.random_variables import normal, random_variables

from gcn_jax.errors import UserError
from gcn_jax.models import create_model


def test_every_pixel_has_the_scores_of_its_image():
    model = create_model("classifier", num_classes=3, backbone="_tiny")
    variables, images = random_variables(model), normal(2, 17, 30, 3)
    features = model.make_backbone().apply(
        {name: tree["backbone"] for name, tree in variables.items()}, images
    )["res5"]
    dense = variables["params"]["logits"]
    expected = np.mean(features, axis=(1, 2)) @ dense["kernel"] + np.asarray(dense["bias"])[None]
    expected = np.broadcast_to(expected[:, None, None, :], (2, 17, 30, 3))
    np.testing.assert_allclose(model.apply(variables, images), expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(UserError, match="unknown backbone 'resnet5'"):
        create_model("classifier", num_classes=3, backbone="resnet5")
