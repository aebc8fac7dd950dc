"""Foreign weights are used totally, or refused with what differs."""

import jax
import numpy as np
import pytest
from models import torchvision_weights

from gcn_jax.errors import UserError
from gcn_jax.models.importers import import_resnet
from gcn_jax.models.resnet import ResNet


@pytest.fixture(scope="module")
def weights():
    return torchvision_weights.state_dict(18)


def test_every_tensor_is_in_its_place(weights):
    variables = import_resnet(weights, ResNet(depth=18, num_classes=1000))
    params, stats = variables["params"], variables["batch_stats"]
    source = weights["layer2.0.conv1.weight"]
    np.testing.assert_array_equal(
        params["res3_block1"]["conv1"]["kernel"], np.einsum("oihw->hwio", source)
    )
    np.testing.assert_array_equal(
        params["res3_block1"]["shortcut_conv"]["kernel"][0, 0],
        weights["layer2.0.downsample.0.weight"][:, :, 0, 0].T,
    )
    np.testing.assert_array_equal(params["bn1"]["scale"], weights["bn1.weight"])
    np.testing.assert_array_equal(
        stats["res5_block2"]["bn2"]["var"], weights["layer4.1.bn2.running_var"]
    )
    np.testing.assert_array_equal(params["logits"]["kernel"], weights["fc.weight"].T)
    used = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert used == sum(v.size for k, v in weights.items() if "num_batches" not in k)


def test_a_backbone_leaves_the_classifier_out(weights):
    variables = import_resnet(weights, ResNet(depth=18))
    assert "logits" not in variables["params"]


def test_differences_are_listed_on_both_sides(weights):
    wrong = dict(weights)
    del wrong["layer3.1.bn2.running_mean"]
    wrong["layer9.weight"] = np.zeros((3, 3))
    wrong["conv1.weight"] = np.zeros((64, 3, 3, 3))
    with pytest.raises(UserError) as error:
        import_resnet(wrong, ResNet(depth=18))
    message = str(error.value)
    assert "1 missing tensors: layer3.1.bn2.running_mean;" in message
    assert "1 tensors without a use: layer9.weight;" in message
    assert "conv1.weight (3, 3, 3, 64) for (7, 7, 3, 64)" in message


def test_weights_of_another_depth_are_refused_briefly(weights):
    with pytest.raises(UserError, match=r"missing tensors: .* and \d+ more"):
        import_resnet(weights, ResNet(depth=34))


def test_a_classifier_of_other_classes_is_refused(weights):
    with pytest.raises(UserError, match=r"fc.weight \(512, 1000\) for \(512, 21\)"):
        import_resnet(weights, ResNet(depth=18, num_classes=21))
