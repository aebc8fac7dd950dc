"""DeepLabV3: its pyramid against numpy, its classifiers, its dropout."""

import jax
import numpy as np
from flax import traverse_util

from gcn_jax.models import DeepLabV3
from gcn_jax.models.deeplabv3 import RATES, AtrousPyramidPooling
from gcn_jax.models.network import AUXILIARY
from tests.helpers import reference
from tests.helpers.networks import without_dropout
from tests.helpers.random_values import normal, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
# On ResNet-50 and -101 they are torchvision's counts.
PARAMETERS = {
    "deeplabv3_resnet18": (16_053_034, 11_176_512),
    "deeplabv3_resnet50": (42_004_074, 23_508_032),
    "deeplabv3_resnet101": (60_996_202, 42_500_160),
    "deeplabv3_plain4": (1_796_458, 135_960),
}


def test_the_pyramid_joins_dilated_convolutions_and_the_mean_of_the_image():
    """The map is larger than twice the largest rate: every tap of every branch counts."""
    x, module = normal(1, 75, 79, 3), AtrousPyramidPooling(2)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    leaves = traverse_util.flatten_dict(shapes)
    variables = traverse_util.unflatten_dict(
        {
            path: np.abs(normal(*leaf.shape, seed=seed)) - 0.2 * (path[-1] in ("kernel", "mean"))
            for seed, (path, leaf) in enumerate(leaves.items())
        }
    )
    params, statistics = variables["params"], variables["batch_stats"]

    def branch(x, name, padding=0, dilation=1):
        return reference.conv_norm_relu(x, params[name], statistics[name], padding, dilation)

    x64 = x.astype(np.float64)
    branches = [branch(x64, "point")]
    branches += [branch(x64, f"rate{rate}", rate, rate) for rate in RATES]
    branches.append(branch(x64.mean((1, 2), keepdims=True), "image") + np.zeros((1, 75, 79, 2)))
    expected = branch(np.concatenate(branches, axis=-1), "project")
    y = jax.jit(module.apply)(variables, x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_classifiers_score_the_pyramid_and_in_training_res4():
    model = DeepLabV3(num_classes=3, backbone="_tiny", features=4, frozen_batch_norm=True)
    variables, images = random_variables(model), normal(2, 33, 47, 3)
    parts = {
        name: {collection: trees[name] for collection, trees in variables.items()}
        for name in variables["params"]
    }
    features = model.make_backbone().apply(parts["backbone"], images)
    pyramid = AtrousPyramidPooling(4).apply(parts["aspp"], features["res5"])

    def classify(x, name):
        params, statistics = parts[name]["params"], parts[name]["batch_stats"]
        return reference.score_head(np.asarray(x, np.float64), params, statistics, (33, 47))

    with without_dropout() as rates:
        logits, sown = jax.jit(lambda v, x: model.apply(v, x, train=True, mutable=[AUXILIARY]))(
            variables, images
        )
    assert rates == [0.1, 0.5, 0.0]
    weight, auxiliary = sown[AUXILIARY]["res4"]
    assert weight == 0.5
    np.testing.assert_allclose(logits, classify(pyramid, "head"), atol=1e-5)
    np.testing.assert_allclose(auxiliary, classify(features["res4"], "auxiliary_head"), atol=1e-5)

    for trees in variables.values():
        del trees["auxiliary_head"]  # prediction does without
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), logits, atol=1e-6)
