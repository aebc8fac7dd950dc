"""The classifier of images: scores that are those of every pixel, from the features of all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "classifier": (23_508_032 + 2_049 * 21, 23_508_032),
}


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


def test_blocks_start_as_their_shortcuts_where_told():
    def last_scales(**fields):
        model = create_model("classifier", num_classes=3, backbone="resnet18", **fields)

        @jax.jit  # compiles what it returns alone
        def scales():
            params = model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
            blocks = (block for name, block in params["backbone"].items() if name.startswith("res"))
            return [block["bn2"]["scale"] for block in blocks]

        return {float(scale) for block in scales() for scale in block}

    assert last_scales(zero_init_residual=True) == {0}
    assert last_scales() == {1}


def test_a_backbone_without_residuals_has_none_to_start_at_zero():
    with pytest.raises(UserError, match="zero_init_residual is for ResNets, and plain4 is none"):
        create_model("classifier", num_classes=3, backbone="plain4", zero_init_residual=True)
