"""FCN on ResNet: both of its classifiers against numpy."""

import jax
import numpy as np

from gcn_jax.models import FCNResNet
from gcn_jax.models.network import AUXILIARY
from tests.helpers import reference
from tests.helpers.networks import without_dropout
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
# On ResNet-50 and -101 they are torchvision's counts.
PARAMETERS = {
    "fcn_resnet18": (11_918_250, 11_176_512),
    "fcn_resnet50": (35_322_218, 23_508_032),
    "fcn_resnet101": (54_314_346, 42_500_160),
    "fcn_plain4": (178_578, 135_960),
}


def test_classifiers_score_res5_and_in_training_res4():
    model = FCNResNet(num_classes=3, backbone="_tiny", frozen_batch_norm=True)
    variables, images = random_variables(model), normal(2, 33, 47, 3)
    backbone = {collection: trees["backbone"] for collection, trees in variables.items()}
    features = model.make_backbone().apply(backbone, images)

    def classify(level, name):
        return reference.score_head(
            np.asarray(features[level], np.float64),
            variables["params"][name],
            variables["batch_stats"][name],
            (33, 47),
        )

    with without_dropout() as rates:
        logits, sown = jax.jit(lambda v, x: model.apply(v, x, train=True, mutable=[AUXILIARY]))(
            variables, images
        )
    assert rates == [0.1, 0.1]
    weight, auxiliary = sown[AUXILIARY]["res4"]
    assert weight == 0.5
    np.testing.assert_allclose(logits, classify("res5", "head"), atol=1e-5)
    np.testing.assert_allclose(auxiliary, classify("res4", "auxiliary_head"), atol=1e-5)

    for trees in variables.values():
        del trees["auxiliary_head"]  # prediction does without
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), logits, atol=1e-6)
