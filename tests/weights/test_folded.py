"""Batch-norm that was folded into convolutions: another file, the same function."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from gcn_jax.errors import UserError
from gcn_jax.models import SegNet, create_model
from gcn_jax.models.backbones.resnet import ResNet
from gcn_jax.models.network import variable_shapes
from gcn_jax.weights.published.registry import identify
from gcn_jax.weights.resnet import import_resnet
from gcn_jax.weights.vgg import import_vgg
from tests.helpers import published_networks as published
from tests.helpers import torchvision_weights
from tests.helpers.random_values import normal


def fold(tensors, convolution_of):
    """Fold every batch-norm into the convolution before it, and leave none.

    Args:
        tensors: A state dict.
        convolution_of: Returns the convolution before a batch-norm, both by name.
    """
    folded = dict(tensors)
    for name in tensors:
        if not name.endswith(".running_var"):
            continue
        norm = name.removesuffix(".running_var")
        convolution = convolution_of(norm)
        scale, bias, mean, var = (
            folded.pop(f"{norm}.{leaf}").astype(np.float64)
            for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        folded.pop(f"{norm}.num_batches_tracked")
        factor = scale / np.sqrt(var + 1e-5)
        before = tensors.get(f"{convolution}.bias", np.zeros(len(bias)))
        weight = tensors[f"{convolution}.weight"] * factor[:, None, None, None]
        folded[f"{convolution}.weight"] = weight.astype("float32")
        folded[f"{convolution}.bias"] = (bias + factor * (before - mean)).astype("float32")
    return folded


def resnet_convolution(norm):
    return norm.replace("downsample.1", "downsample.0").replace("bn", "conv")


@pytest.fixture(scope="module")
def weights():
    return torchvision_weights.state_dict(18)


def test_a_network_without_its_norms_is_the_same_function(weights):
    model, images = ResNet(depth=18, num_classes=1000), normal(1, 33, 47, 3)
    expected = import_resnet(weights, model)
    found = import_resnet(fold(weights, resnet_convolution), model)
    assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, expected)
    apply = jax.jit(model.apply)
    left, right = apply(found, images), apply(expected, images)
    for name, features in right.items():
        scale = np.abs(features).max()
        np.testing.assert_allclose(left[name], features, rtol=0, atol=1e-5 * scale)


def test_identity_statistics_add_nothing_and_multiply_by_one(weights):
    found = import_resnet(fold(weights, resnet_convolution), ResNet(depth=18))
    norms = [norm for norm in (found["batch_stats"]["res4_block1"]).values()]
    assert len(norms) == 3
    for norm in norms:
        assert not norm["mean"].any()
        assert (norm["var"] + np.float32(1e-5) == 1).all()
    bias = weights["bn1.bias"] - weights["bn1.running_mean"] * weights["bn1.weight"] / np.sqrt(
        weights["bn1.running_var"] + 1e-5
    )
    np.testing.assert_allclose(found["params"]["bn1"]["bias"], bias, atol=1e-6)
    assert (found["params"]["bn1"]["scale"] == 1).all()


def test_layers_that_start_anew_need_no_bias(weights):
    folded = fold(weights, resnet_convolution)
    whole = import_resnet(folded, ResNet(depth=18))
    for cut in (folded, {k: a for k, a in folded.items() if not k.startswith("layer4.")}):
        part = import_resnet(cut, ResNet(depth=18), excepted=("res5_*",))
        assert not any(name.startswith("res5") for name in part["params"])
        jax.tree.map(np.testing.assert_array_equal, part["params"]["bn1"], whole["params"]["bn1"])


def test_a_convolution_that_has_a_bias_here_keeps_it():
    weights = torchvision_weights.vgg_state_dict(batch_norm=True, divisor=32)
    folded = fold(weights, lambda norm: f"features.{int(norm.rpartition('.')[2]) - 1}")
    found = import_vgg(folded, SegNet(num_classes=3, width=1 / 32).make_backbone())
    conv, norm = (found["params"]["stage2"][name] for name in ("conv1", "bn1"))
    statistics = found["batch_stats"]["stage2"]["bn1"]
    kernel = folded["features.7.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(conv["kernel"], kernel)
    np.testing.assert_array_equal(conv["bias"], folded["features.7.bias"])
    assert conv["bias"].any()
    assert not norm["bias"].any()
    assert not statistics["mean"].any()
    assert (norm["scale"] == 1).all()
    assert (statistics["var"] + np.float32(1e-5) == 1).all()


def test_a_file_that_lacks_one_bias_is_told_about_its_norms(weights):
    folded = fold(weights, resnet_convolution)
    del folded["layer2.0.conv1.bias"]
    with pytest.raises(UserError, match=r"80 missing tensors: .*; 19 tensors without a use: conv1"):
        import_resnet(folded, ResNet(depth=18))


def test_a_file_with_one_norm_is_told_about_the_others(weights):
    folded = fold(weights, resnet_convolution)
    folded["bn1.running_mean"] = weights["bn1.running_mean"]
    with pytest.raises(UserError, match=r"missing tensors: .*; \d+ tensors without a use: conv1"):
        import_resnet(folded, ResNet(depth=18))


def semseg_convolution(norm):
    """Return the convolution before a batch-norm of PSPNet: ppm.features.0.1 for ....2."""
    *head, last = norm.split(".")
    if last.startswith("bn"):
        return resnet_convolution(norm)
    return ".".join([*head, str(int(last) - 1)])


DEEPLAB = "deeplab_v2_resnet101", lambda norm: f"{norm.removesuffix('bn')}conv"
PSPNET = "pspnet_resnet50", semseg_convolution


@pytest.mark.parametrize(
    ("name", "convolution_of"), [pytest.param(*DEEPLAB, marks=pytest.mark.slow), PSPNET]
)
def test_whole_networks_have_all_their_norms_made(name, convolution_of):
    shapes = published.shapes(name)
    for norm in [n.removesuffix(".running_var") for n in shapes if n.endswith("running_var")]:
        shapes[f"{convolution_of(norm)}.bias"] = shapes[f"{norm}.running_var"]
        shapes = {n: shape for n, shape in shapes.items() if not n.startswith(f"{norm}.")}
    found = identify(published.hollow(shapes))
    model = create_model(found.identity.network, **found.identity.fields)
    variables = found.family.convert(found.tensors, model)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, variable_shapes(model))
    for path, array in traverse_util.flatten_dict(variables["batch_stats"]).items():
        assert (array == (0 if path[-1] == "mean" else np.float32(1 - 1e-5))).all()


@pytest.mark.slow
def test_a_whole_network_without_its_norms_has_the_authors_logits():
    name, convolution_of = PSPNET
    found = identify(fold(published.tensors(published.shapes(name)), convolution_of))
    model = create_model(found.identity.network, **found.identity.fields)
    logits = model.apply(found.family.convert(found.tensors, model), normal(1, 65, 97, 3, seed=65))
    with np.load(published.FOLDER / f"{name}.npz") as file:
        expected = file["65x97/logits"]
    np.testing.assert_allclose(logits[:, ::3, ::3], expected, rtol=0, atol=1e-5)
