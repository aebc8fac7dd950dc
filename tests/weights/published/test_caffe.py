"""Networks of Caffe: their logits, by public prototxt files run layer by layer, and their tensors.

The reference's images are BGR, ours RGB.
"""

import hashlib

import jax
import numpy as np
import pytest

from gcn_jax.errors import UserError
from gcn_jax.models import FCN, DeepLabLargeFOV, SegNet, create_model
from gcn_jax.models.layers import BatchNorm
from gcn_jax.weights.published.caffe import FAMILIES
from gcn_jax.weights.published.load import load_published
from tests.helpers.caffe_weights import REFERENCE, tensors, write_caffemodel

FCN_FAMILY, LARGEFOV_FAMILY, SEGNET_FAMILY = FAMILIES

IDENTITIES = {
    "fcn32s": (FCN_FAMILY, "fcn32s_vgg16", 21),
    "fcn16s": (FCN_FAMILY, "fcn16s_vgg16", 21),
    "fcn8s": (FCN_FAMILY, "fcn8s_vgg16", 21),
    "fcn8s_atonce": (FCN_FAMILY, "fcn8s_vgg16", 21),
    "deeplab_largefov": (LARGEFOV_FAMILY, "deeplab_largefov", 21),
    "segnet": (SEGNET_FAMILY, "segnet", 11),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_each_file_is_of_one_family(name):
    family, network, num_classes = IDENTITIES[name]
    arrays = tensors(name, values=False)
    found = [(one, one.identify(arrays)) for one in FAMILIES]
    assert [one for one, identity in found if identity] == [family]
    assert family.identify(arrays) == (network, {"num_classes": num_classes})


def test_learned_upsampling_is_seen_in_the_kernels():
    arrays = tensors("fcn8s", values=False)
    changed = arrays["upscore2/0"].copy()
    changed[3, 4, 0, 0] = 1e-5
    arrays["upscore2/0"] = changed
    fields = {"num_classes": 21, "learn_upsampling": True}
    assert FCN_FAMILY.identify(arrays) == ("fcn8s_vgg16", fields)


def test_other_endings_and_numbers_of_classes():
    arrays = tensors("deeplab_largefov", values=False)
    for blob in (0, 1):
        arrays[f"fc8_coco/{blob}"] = arrays.pop(f"fc8_voc12/{blob}")[:9]
    assert LARGEFOV_FAMILY.identify(arrays) == ("deeplab_largefov", {"num_classes": 9})
    arrays = tensors("segnet", values=False)
    arrays["conv1_1_D/0"] = np.zeros((12, 64, 3, 3))
    assert SEGNET_FAMILY.identify(arrays) == ("segnet", {"num_classes": 12})


def test_other_networks_are_of_no_family():
    vgg_7x7 = tensors("deeplab_largefov", values=False) | {"fc6/0": np.zeros((4096, 512, 1, 1))}
    scalars = dict.fromkeys(tensors("fcn8s", values=False), np.array(1, "float32"))
    for arrays in ({}, {"conv1/0": np.zeros((1, 2))}, vgg_7x7, scalars):
        assert [family.identify(arrays) for family in FAMILIES] == [None, None, None]


def test_vgg_alone_is_named():
    arrays = {k: v for k, v in tensors("fcn32s", values=False).items() if "score" not in k}
    arrays |= {"fc6/0": np.zeros((4096, 1)), "fc8/0": np.zeros((1000, 1)), "fc8/1": np.zeros(1000)}
    with pytest.raises(UserError, match="VGG-16 alone, which is a backbone and no network"):
        FCN_FAMILY.identify(arrays)


# ------------------------------------------------------------------------ tensors, small, by place
def check_vgg(arrays, params):
    """Look at the first kernel, turned to RGB, and one of each later stage."""
    np.testing.assert_array_equal(
        params["stage1"]["conv1"]["kernel"],
        np.stack([arrays["conv1_1/0"][:, 2 - c] for c in range(3)]).transpose(2, 3, 0, 1),
    )
    for stage, conv in ((1, 2), (2, 1), (3, 3), (4, 2), (5, 3)):
        layer = params[f"stage{stage}"][f"conv{conv}"]
        source = arrays[f"conv{stage}_{conv}/0"]
        np.testing.assert_array_equal(layer["kernel"], np.einsum("oihw->hwio", source))
        np.testing.assert_array_equal(layer["bias"], arrays[f"conv{stage}_{conv}/1"])


def test_scales_of_at_once_are_folded_and_dense_layers_become_convolutions():
    arrays = tensors("fcn8s_atonce", divisor=32)
    expected = arrays["fc6/0"]
    arrays["fc6/0"] = expected.reshape(len(expected), -1)  # as an inner product
    identity = FCN_FAMILY.identify(arrays)
    assert identity == ("fcn8s_vgg16", {"num_classes": 21, "width": 1 / 32})
    params = FCN_FAMILY.convert(arrays, create_model(identity.network, **identity.fields))["params"]
    check_vgg(arrays, params["backbone"])
    np.testing.assert_array_equal(
        params["backbone"]["fc6"]["kernel"], np.einsum("oihw->hwio", expected)
    )
    for pool in ("pool3", "pool4"):
        kernel = arrays[f"score_{pool}/0"][:, :, 0, 0] * arrays[f"scale_{pool}/0"]
        np.testing.assert_array_equal(params[f"score_{pool}"]["kernel"][0, 0], kernel.T)
        np.testing.assert_array_equal(params[f"score_{pool}"]["bias"], arrays[f"score_{pool}/1"])
    assert "upscore8" not in params


def test_from_the_file_to_the_variables(tmp_path):
    arrays = tensors("fcn16s", divisor=32)
    write_caffemodel(tmp_path / "fcn16s.caffemodel", arrays)
    found = load_published(str(tmp_path / "fcn16s.caffemodel"))
    assert (found.family, found.identity) == (FCN_FAMILY, FCN_FAMILY.identify(arrays))
    model = create_model(found.identity.network, **found.identity.fields)
    expected = FCN_FAMILY.convert(arrays, model)
    jax.tree.map(np.testing.assert_array_equal, found.variables, expected)
    digest = hashlib.sha256((tmp_path / "fcn16s.caffemodel").read_bytes())
    assert found.sha256 == digest.hexdigest()


def test_learned_deconvolutions_are_flipped():
    arrays = tensors("fcn32s", divisor=32, learned=True)
    model = FCN(21, stride=32, width=1 / 32, learn_upsampling=True)
    kernel = FCN_FAMILY.convert(arrays, model)["params"]["upscore32"]["kernel"]
    source = arrays["upscore/0"]
    for i, j, c, o in [(0, 0, 0, 0), (5, 60, 3, 20), (63, 1, 20, 7)]:
        assert kernel[i, j, c, o] == source[c, o, 63 - i, 63 - j]
    with pytest.raises(UserError, match="1 tensors without a use: upscore/0"):
        FCN_FAMILY.convert(arrays, FCN(21, stride=32, width=1 / 32))


def test_largefov_in_place():
    arrays = tensors("deeplab_largefov", divisor=32)
    fields = {"num_classes": 21, "width": 1 / 32}
    assert LARGEFOV_FAMILY.identify(arrays) == ("deeplab_largefov", fields)
    params = LARGEFOV_FAMILY.convert(arrays, DeepLabLargeFOV(**fields))["params"]
    check_vgg(arrays, params["backbone"])
    np.testing.assert_array_equal(params["fc8"]["kernel"][0, 0], arrays["fc8_voc12/0"][..., 0, 0].T)
    del arrays["conv4_2/1"]
    with pytest.raises(UserError, match="1 missing tensors: conv4_2/1;"):
        LARGEFOV_FAMILY.convert(arrays, DeepLabLargeFOV(21, width=1 / 32))


def test_batch_norms_of_segnet_scale_and_shift_exactly():
    arrays = tensors("segnet", divisor=32)
    variables = SEGNET_FAMILY.convert(arrays, SegNet(11, width=1 / 32))
    params, stats = variables["params"], variables["batch_stats"]
    check_vgg(arrays, params["backbone"])
    for stack, i, layer in ((3, 1, "conv3_3_D"), (3, 3, "conv3_1_D"), (1, 1, "conv1_2_D")):
        stack = f"decoder{stack}"
        kernel = np.einsum("oihw->hwio", arrays[f"{layer}/0"])
        np.testing.assert_array_equal(params[stack][f"conv{i}"]["kernel"], kernel)
        norm = {"params": params[stack][f"bn{i}"], "batch_stats": stats[stack][f"bn{i}"]}
        x = np.linspace(-2, 2, 7, dtype="float32")[:, None, None, None]
        x = np.broadcast_to(x, (7, 1, 1, kernel.shape[3]))
        scale, shift = (arrays[f"{layer}_bn/{blob}"].reshape(-1) for blob in (0, 1))
        np.testing.assert_allclose(BatchNorm(True).apply(norm, x), x * scale + shift, rtol=2e-7)
    np.testing.assert_array_equal(params["score"]["bias"], arrays["conv1_1_D/1"])


def test_batch_norms_of_segnet_that_are_folded_change_nothing():
    """The same function by scale and shift in layers of their own, and in the kernels."""
    arrays = tensors("segnet", divisor=32)
    folded = {name: array for name, array in arrays.items() if "_bn/" not in name}
    for name in arrays:
        if name.endswith("_bn/0"):
            layer = name.removesuffix("_bn/0")
            scale, shift = (arrays[f"{layer}_bn/{blob}"].reshape(-1) for blob in (0, 1))
            folded[f"{layer}/0"] = arrays[f"{layer}/0"] * scale[:, None, None, None]
            folded[f"{layer}/1"] = arrays[f"{layer}/1"] * scale + shift
    model = SegNet(11, width=1 / 32)
    assert SEGNET_FAMILY.identify(folded) == SEGNET_FAMILY.identify(arrays)
    images = np.random.default_rng(0).standard_normal((1, 64, 96, 3), "float32")
    apply = jax.jit(model.apply)
    apart, together = (
        apply(SEGNET_FAMILY.convert(each, model), images) for each in (arrays, folded)
    )
    assert np.abs(apart).max() > 1e-2
    np.testing.assert_allclose(together, apart, atol=1e-5 * np.abs(apart).max())
    del folded["conv3_2/1"]
    with pytest.raises(UserError, match="not of this model: 101 missing tensors: conv1_1_bn/mean,"):
        SEGNET_FAMILY.convert(folded, model)


# ---------------------------------------------------------------------------- logits, of full width
def predict(name, arrays, *sizes):
    """Return the logits of the reference's image of each size."""
    family, *_ = IDENTITIES[name]
    identity = family.identify(arrays)
    model = create_model(identity.network, **identity.fields)
    variables, apply = family.convert(arrays, model), jax.jit(model.apply)
    for height, width in sizes:
        bgr = np.random.default_rng(height).standard_normal((1, height, width, 3))
        yield f"{name}/{height}x{width}", apply(variables, bgr.astype("float32")[..., ::-1])


def test_segnet_restores_odd_sizes():
    for key, logits in predict("segnet", tensors("segnet"), (72, 96)):
        np.testing.assert_allclose(logits[:, ::3, ::3, ::5], REFERENCE[f"{key}/logits"], atol=1e-5)


@pytest.mark.slow
def test_segnet_at_other_sizes():
    """At (232, 448) two values in a window of the first pooling differ by 8e-8: either may win."""
    found = predict("segnet", tensors("segnet"), (96, 128), (360, 480))
    (key, logits), (large_key, large) = found
    np.testing.assert_allclose(logits[:, ::3, ::3, ::5], REFERENCE[f"{key}/logits"], atol=1e-5)
    difference = np.abs(large[:, ::8, ::8, ::5] - REFERENCE[f"{large_key}/logits_every8"])
    difference[:, 232 // 8, 448 // 8] = 0
    assert difference.max() < 3e-5


@pytest.mark.slow
def test_deeplab_largefov():
    arrays = tensors("deeplab_largefov")
    for key, logits in predict("deeplab_largefov", arrays, (97, 65), (129, 161)):
        np.testing.assert_allclose(logits[:, ::8, ::8], REFERENCE[f"{key}/logits"], atol=1e-5)
        np.testing.assert_allclose(logits[:, ::3, ::3, :3], REFERENCE[f"{key}/interp"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "learned", "sizes"),
    [
        ("fcn32s", False, [(65, 97)]),
        ("fcn16s", False, [(65, 97)]),
        ("fcn8s", False, [(65, 97), (96, 128)]),
        ("fcn8s", True, [(65, 97)]),
        ("fcn8s_atonce", False, [(65, 97)]),
    ],
)
def test_fcn(name, learned, sizes):
    for key, logits in predict(name, tensors(name, learned=learned), *sizes):
        expected = REFERENCE[f"{key}/logits{'_learned' * learned}"]
        np.testing.assert_allclose(logits[:, ::3, ::3, ::5], expected, atol=1e-5)
