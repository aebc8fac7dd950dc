"""SegFormer: its head against numpy."""

import jax
import numpy as np

from gcn_jax.models import SegFormer
from tests.helpers import reference
from tests.helpers.networks import without_dropout
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
PARAMETERS = {
    "segformer_b0": (3_719_541, 3_319_392),
    "segformer_b1": (13_682_645, 13_151_424),
    "segformer_b2": (27_362_773, 24_196_288),
    "segformer_b3": (47_238_613, 44_072_128),
    "segformer_b4": (64_009_173, 60_842_688),
    "segformer_b5": (84_609_493, 81_443_008),
    "segformer_plain4": (170_989, 135_960),
}


def test_levels_are_fused_from_coarse_to_fine():
    model = SegFormer(num_classes=3, backbone="_tiny", head_width=5, frozen_batch_norm=True)
    variables, images = random_variables(model), normal(2, 33, 47, 3)
    backbone = {collection: trees["backbone"] for collection, trees in variables.items()}
    features = model.make_backbone().apply(backbone, images)
    params, statistics = variables["params"], variables["batch_stats"]
    levels = []
    for level in (5, 4, 3, 2):
        x = np.asarray(features[f"res{level}"], np.float64)
        x = reference.convolve(x, params[f"level{level}"])
        levels.append(np.stack([reference.interpolate(maps, (17, 24)) for maps in x]))
    x = np.concatenate(levels, axis=-1)
    x = reference.conv_norm_relu(x, params["fuse"], statistics["fuse"])
    scores = reference.convolve(x, params["score"])
    expected = np.stack([reference.interpolate(maps, (33, 47)) for maps in scores])
    with without_dropout() as rates:
        logits = jax.jit(lambda v, x: model.apply(v, x, train=True))(variables, images)
    assert rates == [0.1]
    np.testing.assert_allclose(logits, expected, atol=1e-4)
