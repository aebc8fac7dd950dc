"""Whole networks as others publish them: recognised, converted, with the authors' logits."""

import jax
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.models.layers import bilinear_kernel_init
from gcn_jax.weights.published.registry import FAMILIES, identify
from tests.helpers import published_networks as published
from tests.helpers import reference
from tests.helpers.random_values import normal

NETWORKS = {
    "fcn32s": ("fcn32s_vgg16", {"learn_upsampling": True}, ""),
    "fcn16s": ("fcn16s_vgg16", {"learn_upsampling": True}, ""),
    "fcn8s": ("fcn8s_vgg16", {"learn_upsampling": True}, ""),
    "deeplab_v2_resnet101": ("deeplab_v2_resnet101_caffe", {"multi_scale": False}, "base."),
    "pspnet_resnet50": ("pspnet_resnet50", {}, "module."),
    "pspnet_resnet101": ("pspnet_resnet101", {}, "module."),
}


def convert(tensors, network=None):
    """Return the network of some tensors, and its variables."""
    found = identify(tensors, network)
    model = create_model(found.identity.network, **found.identity.fields)
    return model, found.family.convert(found.tensors, model)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_is_recognised_by_names_and_shapes(name):
    network, fields, prefix = NETWORKS[name]
    hollow = published.hollow(published.shapes(name))
    for before in ("", prefix, f"module.model.{prefix}"):
        found = identify({before + key: array for key, array in hollow.items()})
        assert found.identity == (network, {"num_classes": 21, **fields})
        assert [*found.tensors] == [*hollow]
        assert {*found.family.names} <= {*hollow}
    assert identify(hollow, network).identity.network == network


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_the_authors_code(name):
    """Their images are BGR where their networks are; ours are RGB."""
    _, _, prefix = NETWORKS[name]
    model, variables = convert(published.tensors(published.shapes(name), prefix))
    with np.load(published.FOLDER / f"{name}.npz") as file:
        expected = {key: file[key] for key in file if key.endswith("/logits")}
    assert expected
    for key, logits in expected.items():
        height, width = map(int, key.removesuffix("/logits").split("x"))
        images = normal(1, height, width, 3, seed=height)
        # Not under jit: as in the test of ResNet, layers one by one are faster than compiled.
        found = model.apply(variables, images if prefix == "module." else images[..., ::-1])
        step = 8 if prefix == "base." else 3
        np.testing.assert_allclose(found[:, ::step, ::step], logits, rtol=0, atol=1e-5)


def torch_layer(tensors, name):
    kernel = tensors[f"{name}.weight"].transpose(2, 3, 1, 0)
    return {"kernel": kernel, "bias": tensors[f"{name}.bias"]}


def torch_deconvolve(x, kernel):
    """Spread every pixel over the window of its kernel, `[in, out, 2f, 2f]`, at stride f."""
    size = kernel.shape[2]
    n, height, width, _ = x.shape
    y = np.zeros((n, size // 2 * (height + 1), size // 2 * (width + 1), kernel.shape[1]))
    for i, j in np.ndindex(height, width):
        window = np.einsum("ni,iohw->nhwo", x[:, i, j], kernel.astype(np.float64))
        top, left = size // 2 * i, size // 2 * j
        y[:, top : top + size, left : left + size] += window
    return y


def torch_fcn8s(tensors, images):
    """Compute FCN-8s from the tensors of its file, in numpy."""
    x, pooled = images.astype(np.float64), {}
    for number, count in enumerate((2, 2, 3, 3, 3), start=1):
        for i in range(1, count + 1):
            layer = torch_layer(tensors, f"conv{number}_{i}")
            padding = 100 if number == i == 1 else 1
            x = np.maximum(reference.convolve(x, layer, padding), 0)
        x = pooled[number] = reference.max_pool(x, 2, 2, 0, ceil_mode=True)
    for name in ("fc6", "fc7"):
        x = np.maximum(reference.convolve(x, torch_layer(tensors, name)), 0)
    x = reference.convolve(x, torch_layer(tensors, "score_fr"))
    levels = (("upscore2", "score_pool4", 4, 5), ("upscore_pool4", "score_pool3", 3, 9))
    for upscore, score, level, offset in levels:
        x = torch_deconvolve(x, tensors[f"{upscore}.weight"])
        finer = reference.convolve(pooled[level], torch_layer(tensors, score))
        x += finer[:, offset:, offset:][:, : x.shape[1], : x.shape[2]]
    x = torch_deconvolve(x, tensors["upscore8.weight"])
    return x[:, 31:, 31:][:, : images.shape[1], : images.shape[2]]


@pytest.mark.parametrize("bilinear", [True, False])
def test_kernels_of_deconvolutions_are_kept_where_they_do_more_than_interpolate(bilinear):
    tensors = published.small_fcn(8, 3, bilinear=bilinear)
    model, variables = convert(tensors)
    assert model.learn_upsampling is not bilinear
    assert model.width == 1 / 32
    assert ("upscore8" in variables["params"]) is not bilinear
    images = normal(1, 21, 34, 3)
    expected = torch_fcn8s(tensors, images[..., ::-1])
    found = jax.jit(model.apply)(variables, images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 + 1e-4 * np.ptp(expected))


def test_kernels_that_do_more_than_interpolate_are_not_dropped_in_silence():
    tensors = published.small_fcn(32, 3, bilinear=False)
    found = identify(tensors)
    model = create_model("fcn32s_vgg16", num_classes=3, width=1 / 32)
    with pytest.raises(UserError, match="1 tensors without a use: upscore.weight"):
        found.family.convert(tensors, model)
    interpolating = published.small_fcn(32, 3)
    model = model.clone(learn_upsampling=True)
    params = found.family.convert(interpolating, model)["params"]
    np.testing.assert_array_equal(
        params["upscore32"]["kernel"], bilinear_kernel_init(None, (64, 64, 3, 3), np.float32)
    )


def test_a_file_with_the_tensors_of_another_network_must_be_named():
    """FCN-8s at once multiplies pool4 by 0.01 and pool3 by 0.0001 before they are scored."""
    tensors = published.small_fcn(8, 3)
    assert identify(tensors).identity.network == "fcn8s_vgg16"
    staged, expected = convert(tensors)
    model, variables = convert(tensors, "fcn8s_atonce_vgg16")
    assert model == staged
    for layer, factor in (("score_pool4", 0.01), ("score_pool3", 0.0001)):
        kernel = expected["params"][layer]["kernel"]
        expected["params"][layer]["kernel"] = kernel * np.float32(factor)
    jax.tree.map(np.testing.assert_array_equal, variables, expected)
    with pytest.raises(UserError, match=r"weights of fcn16s_vgg16 .*, not of fcn8s_atonce_vgg16"):
        identify(published.small_fcn(16, 3), "fcn8s_atonce_vgg16")


def test_classes_and_heads_are_read_from_shapes():
    shapes = published.shapes("pspnet_resnet50")
    shapes |= {"cls.4.weight": (150, 512, 1, 1), "cls.4.bias": (150,)}
    shapes = {name: shape for name, shape in shapes.items() if not name.startswith("aux.")}
    assert identify(published.hollow(shapes)).identity == (
        "pspnet_resnet50",
        {"num_classes": 150, "auxiliary": False},
    )


def test_an_unknown_file_is_told_what_it_is_most_like():
    hollow = published.hollow(published.shapes("pspnet_resnet50"))
    for name in ("ppm.features.2.1.weight", "cls.0.weight"):
        del hollow[name]
    with pytest.raises(UserError) as error:
        identify({f"module.{name}": array for name, array in hollow.items()})
    titles = ", ".join(family.title for family in FAMILIES if not family.only_as)
    assert str(error.value) == (
        f"its 368 tensors are of no network that can be imported; there are {titles}. It is most "
        "like PSPNet of hszhao/semseg, but lacks 2 of its tensors: ppm.features.2.1.weight, "
        "cls.0.weight. Weights of a backbone alone are for the setting backbone_weights"
    )


def test_a_file_of_nothing_known_is_told_what_is_in_it():
    with pytest.raises(UserError, match=r"They are called a, b, c, d and so on\. Weights of a"):
        identify({f"x.{name}": np.zeros(2) for name in "abcde"})
    with pytest.raises(UserError, match=r"its 0 tensors .* They are called nothing"):
        identify({})


def test_a_depth_that_is_not_known_is_not_taken_for_another():
    shapes = published.shapes("pspnet_resnet50")
    shapes |= {"layer3.6.conv1.weight": (256, 1024, 1, 1)}
    with pytest.raises(UserError, match="the names of PSPNet of hszhao/semseg, but shapes or a"):
        identify(published.hollow(shapes))


def test_a_kernel_that_is_none_is_not_taken_for_one():
    hollow = published.hollow(published.shapes("fcn8s"))
    hollow["score_fr.weight"] = np.float32(1)
    with pytest.raises(UserError, match="the names of FCN of wkentaro/pytorch-fcn, but shapes"):
        identify(hollow)


def test_another_network_than_the_file_s_is_refused():
    hollow = published.hollow(published.shapes("fcn8s"))
    with pytest.raises(UserError, match=r"of fcn8s_vgg16 \(FCN of .*\), not of fcn16s_vgg16$"):
        identify(hollow, "fcn16s_vgg16")
    with pytest.raises(UserError, match=r"unknown network 'fcn8_vgg16' \(did you mean fcn8s_vgg16"):
        identify(hollow, "fcn8_vgg16")


def test_a_file_is_used_whole_or_not_at_all():
    tensors = published.small_fcn(16, 3, bilinear=False)
    del tensors["fc6.bias"], tensors["upscore2.weight"]
    tensors["score_dsn.weight"] = np.zeros((3, 3), np.float32)
    tensors["upscore16.weight"] = np.zeros((3, 3, 8, 8), np.float32)
    with pytest.raises(UserError) as error:
        convert(tensors)
    message = str(error.value)
    assert "2 missing tensors: fc6.bias, upscore2.weight;" in message
    assert "1 tensors without a use: score_dsn.weight;" in message
    assert "upscore16.weight (8, 8, 3, 3) for (32, 32, 3, 3)" in message


def test_no_two_families_know_the_same_file():
    for name in NETWORKS:
        hollow = published.hollow(published.shapes(name))
        families = [family for family in FAMILIES if not family.only_as]
        assert sum(family.identify(hollow) is not None for family in families) == 1
