"""Foreign weights are used totally, or refused with what differs."""

import jax
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import FCN, DeepLabLargeFOV, SegNet
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.weights.resnet import import_resnet
from gcn_jax.weights.vgg import import_vgg
from tests.helpers import torchvision_weights


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused_by_name(weights, value):
    broken = weights["layer2.0.bn1.running_var"].copy()
    broken[3] = value
    wrong = {**weights, "layer2.0.bn1.running_var": broken}
    with pytest.raises(UserError, match=r"NaN or infinity: layer2.0.bn1.running_var$"):
        import_resnet(wrong, ResNet(depth=18))


def test_weights_of_another_depth_are_refused_briefly(weights):
    with pytest.raises(UserError, match=r"missing tensors: .* and \d+ more"):
        import_resnet(weights, ResNet(depth=34))


def test_a_classifier_of_other_classes_is_refused(weights):
    with pytest.raises(UserError, match=r"fc.weight \(512, 1000\) for \(512, 21\)"):
        import_resnet(weights, ResNet(depth=18, num_classes=21))


@pytest.fixture(scope="module")
def vgg():
    return torchvision_weights.vgg_state_dict(batch_norm=False, divisor=32)


def test_dense_layers_become_convolutions(vgg):
    """Where an image of 224 x 224 has 7 x 7 features, fc6 gives one feature: the dense layer's."""
    params = import_vgg(vgg, FCN(num_classes=3, width=1 / 32).make_backbone())["params"]
    features = np.random.default_rng(0).standard_normal((7, 7, 16)).astype("float32")
    expected = vgg["classifier.0.weight"] @ features.transpose(2, 0, 1).ravel()
    fc6 = np.einsum("hwc,hwco->o", features, params["fc6"]["kernel"])
    np.testing.assert_allclose(fc6, expected, atol=1e-5)
    np.testing.assert_array_equal(params["fc7"]["kernel"][0, 0], vgg["classifier.3.weight"].T)
    np.testing.assert_array_equal(params["fc7"]["bias"], vgg["classifier.3.bias"])
    for layer, number in (("stage1/conv1", 0), ("stage2/conv1", 5), ("stage5/conv3", 28)):
        stage, conv = layer.split("/")
        source = vgg[f"features.{number}.weight"]
        np.testing.assert_array_equal(params[stage][conv]["kernel"], source.transpose(2, 3, 1, 0))
    used = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert used == sum(v.size for k, v in vgg.items() if not k.startswith("classifier.6"))


def test_a_large_field_of_view_takes_every_third_tap_and_every_fourth_channel(vgg):
    backbone = DeepLabLargeFOV(num_classes=3, width=1 / 32).make_backbone()
    params = import_vgg(vgg, backbone)["params"]
    kernel = params["fc6"]["kernel"]
    assert kernel.shape == (3, 3, 16, 32)
    for i, j, c, o in [(0, 0, 0, 0), (1, 2, 5, 7), (2, 0, 15, 31)]:
        column = 49 * c + 7 * (3 * i) + 3 * j
        assert kernel[i, j, c, o] == vgg["classifier.0.weight"][4 * o, column]
        assert params["fc6"]["bias"][o] == vgg["classifier.0.bias"][4 * o]
        assert params["fc7"]["kernel"][0, 0, c, o] == vgg["classifier.3.weight"][4 * o, 4 * c]


def test_timm_s_dense_layers_are_convolutions_already(vgg):
    timm = {name: array for name, array in vgg.items() if name.startswith("features")}
    for number, name, size in ((0, "pre_logits.fc1", 7), (3, "pre_logits.fc2", 1)):
        weight = vgg[f"classifier.{number}.weight"]
        timm[f"{name}.weight"] = weight.reshape(len(weight), -1, size, size)
        timm[f"{name}.bias"] = vgg[f"classifier.{number}.bias"]
    timm |= {"head.fc.weight": np.zeros((1000, 128)), "head.fc.bias": np.zeros(1000)}
    backbone = FCN(num_classes=3, width=1 / 32).make_backbone()
    imported = import_vgg(timm, backbone)
    jax.tree.map(np.testing.assert_array_equal, imported, import_vgg(vgg, backbone))


def test_an_encoder_has_batch_norm_and_no_dense_layers():
    weights = torchvision_weights.vgg_state_dict(batch_norm=True, divisor=32)
    backbone = SegNet(num_classes=3, width=1 / 32).make_backbone()
    variables = import_vgg(weights, backbone)
    params, stats = variables["params"], variables["batch_stats"]
    assert sorted(params) == [f"stage{number}" for number in range(1, 6)]
    kernel = weights["features.40.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(params["stage5"]["conv3"]["kernel"], kernel)
    np.testing.assert_array_equal(params["stage3"]["bn2"]["scale"], weights["features.18.weight"])
    var = weights["features.41.running_var"]
    np.testing.assert_array_equal(stats["stage5"]["bn3"]["var"], var)


def test_weights_without_batch_norm_are_refused_where_there_is_one(vgg):
    with pytest.raises(UserError, match=r"missing tensors: .*features.1.running_mean"):
        import_vgg(vgg, SegNet(num_classes=3, width=1 / 32).make_backbone())


def test_dense_layers_of_another_size_are_refused(vgg):
    small = {**vgg, "classifier.0.weight": np.zeros((128, 16))}
    for network in (FCN, DeepLabLargeFOV):
        with pytest.raises(UserError, match=r"fc6.weight \(\d+, \d+\) for \(\d, \d, 16, "):
            import_vgg(small, network(num_classes=3, width=1 / 32).make_backbone())
