"""The blocks of the paper, and the network made of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from gcn_jax.errors import UserError
from gcn_jax.models import GCN, BoundaryRefine, create_model
from gcn_jax.models.layers import formulation_for, plain_formulation
from gcn_jax.training.objective import MEAN_CROSS_ENTROPY
from tests.helpers.random_values import normal, random_params, random_variables

#: Name -> parameters with 21 classes, of the network and of its backbone.
# The head of a GCN on ResNet-152 has 2,472,456 in global convolutions (k = 15), 9 x 7,980 in
# refinements, and 35,280 in deconvolutions: the sum of these and its trunk is 60,723,364.
PARAMETERS = {
    "gcn_resnet18": (11_941_668, 11_176_512),
    "gcn_resnet34": (22_049_828, 21_284_672),
    "gcn_resnet50": (26_087_588, 23_508_032),
    "gcn_resnet101": (45_079_716, 42_500_160),
    "gcn_resnet152": (60_723_364, 58_143_808),
    "gcn_resnet50_caffe": (26_087_588, 23_508_032),
    "gcn_resnet101_caffe": (45_079_716, 42_500_160),
    "gcn_resnet152_caffe": (60_723_364, 58_143_808),
    "gcn_resnet50_gcn": (23_076_336, 20_496_780),
    "gcn_convnext_tiny": (28_889_028, 27_821_472),
    "gcn_convnext_small": (50_523_588, 49_456_032),
    "gcn_convnext_base": (88_938_212, 87_568_256),
    "gcn_mit_b0": (3_802_308, 3_319_392),
    "gcn_mit_b1": (13_956_900, 13_151_424),
    "gcn_mit_b2": (25_001_764, 24_196_288),
    "gcn_mit_b3": (44_877_604, 44_072_128),
    "gcn_mit_b4": (61_648_164, 60_842_688),
    "gcn_mit_b5": (82_248_484, 81_443_008),
    "gcn_dinov2_small": (23_148_024, 22_056_192),
    "gcn_dinov2_base": (88_639_224, 86_579_712),
    "gcn_dinov2_large": (307_072_248, 304_367_616),
    "gcn_plain4": (440_544, 135_960),
    "gcn_plain4_wide": (1_062_880, 496_216),
    "_tiny": (110_468, 1_604),
}


@pytest.fixture(scope="module")
def tiny_variables():
    """Return initial variables of `_tiny` with three classes."""
    model = create_model("_tiny", num_classes=3)
    return jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))


def test_levels_of_one_stride_are_added_and_enlarged():
    """A vision transformer's: 14 = 2 * 7 is doubled once."""
    model = GCN(num_classes=3, backbone="_dinov2", kernel_size=3)
    for height, width in ((1, 1), (33, 47)):
        images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
        logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
        assert logits.shape == (2, height, width, 3)
        layers = variables["params"].keys()
        assert {name for name in layers if name.startswith("deconv")} == {"deconv2"}
        assert {name for name in layers if name.startswith("refine_up")} == {"refine_up2"}


def test_boundary_refine_by_hand():
    scores = np.array([[1.0, -2.0], [3.0, 0.0]], "float32").reshape(1, 2, 2, 1)
    centre, ones = np.zeros((3, 3, 1, 1), "float32"), np.ones((3, 3, 1, 1), "float32")
    centre[1, 1] = 2
    params = {
        "conv1": {"kernel": centre, "bias": np.array([-1.0], "float32")},
        "conv2": {"kernel": ones, "bias": np.array([0.5], "float32")},
    }
    # 2 * scores - 1 = [[1, -5], [5, -1]]; ReLU [[1, 0], [5, 0]]; each 3 x 3 window holds all: 6.
    refined = BoundaryRefine().apply({"params": params}, scores)
    np.testing.assert_allclose(refined[0, :, :, 0], [[7.5, 4.5], [9.5, 6.5]])


def test_layers_are_those_of_figure_2():
    params = abstract_variables(create_model("gcn_resnet18", num_classes=3))["params"]
    assert sorted(params) == sorted(
        ["backbone", "gcn2", "gcn3", "gcn4", "gcn5"]
        + ["refine2", "refine3", "refine4", "refine5"]
        + ["refine_sum2", "refine_sum3", "refine_sum4", "refine_up1", "refine_up2"]
        + ["deconv1", "deconv2", "deconv3", "deconv4", "deconv5"]
    )


def test_the_finer_levels_may_have_another_head():
    model = create_model(
        "_tiny", num_classes=3, head="stack", finer_head="baseline", stack_channels=6
    )
    params = abstract_variables(model)["params"]
    assert {"stack5", "baseline4", "baseline3", "baseline2"} < params.keys()
    assert params["stack5"]["conv1"]["kernel"].shape == (3, 3, 8, 6)
    assert params["baseline2"]["conv"]["kernel"].shape == (1, 1, 4, 3)


def test_layers_of_a_backbone_whose_last_levels_are_equal_in_stride():
    params = abstract_variables(create_model("_tiny", num_classes=3))["params"]
    assert sorted(name for name in params if "deconv" in name) == ["deconv2", "deconv3", "deconv4"]
    assert [name for name in params if "refine_up" in name] == ["refine_up2"]


def test_without_refinement_or_deconvolution_only_backbone_and_heads_have_parameters():
    model = create_model("_tiny", num_classes=3, boundary_refinement=False, upsampling="bilinear")
    assert sorted(abstract_variables(model)["params"]) == [
        "backbone",
        "gcn2",
        "gcn3",
        "gcn4",
        "gcn5",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(32, 48), (34, 48), (33, 47)])
def test_blocks_of_pixels_on_a_tpu_change_no_logits_and_no_gradient(size):
    """Of sizes that are multiples of the finest scores' stride, 4; of others there are none."""
    model = GCN(num_classes=3, backbone="_convnext", kernel_size=3)
    variables, images = random_variables(model), normal(2, *size, 3)
    labels = np.random.default_rng(0).integers(0, 3, (2, *size), "uint8")
    labels[:, :5] = 255

    def loss(params):
        logits = model.apply({**variables, "params": params}, images)
        counts = MEAN_CROSS_ENTROPY.counts(labels)
        return MEAN_CROSS_ENTROPY(logits=logits, labels=labels, counts=counts), logits

    def lowered():
        return jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(variables["params"])

    with plain_formulation():
        plain = lowered()
    with formulation_for("tpu"):
        blocks = lowered()
    in_blocks = [f"tensor<2x8x12x{channels}xf32>" in blocks.as_text() for channels in (12, 48)]
    assert in_blocks == [size == (32, 48)] * 2

    expected, found = (program.compile()(variables["params"]) for program in (plain, blocks))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_blocks_of_pixels_change_no_parameter():
    model = GCN(num_classes=3, backbone="_convnext")
    expected = abstract_variables(model)
    with formulation_for("tpu"):
        assert abstract_variables(model) == expected


def abstract_variables(model, height=32, width=32):
    images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


@pytest.mark.parametrize("name", ["gcn_resnet18", "_tiny"])
@pytest.mark.parametrize("upsampling", ["deconv", "bilinear"])
def test_logits_have_the_size_of_the_images_and_parameters_do_not_depend_on_it(name, upsampling):
    model = create_model(name, num_classes=3, upsampling=upsampling)
    variables = abstract_variables(model)
    for size in [(1, 1), (65, 97), (7, 130)]:
        assert abstract_variables(model, *size) == variables
        images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
        logits = jax.eval_shape(model.apply, variables, images)
        assert (logits.shape, logits.dtype) == ((2, *size, 3), jnp.float32)


def test_fusion_adds_the_scores_of_all_levels(tiny_variables):
    model = create_model("_tiny", num_classes=3, boundary_refinement=False, upsampling="bilinear")
    params = {"backbone": tiny_variables["params"]["backbone"]}
    for level in (2, 3, 4, 5):
        head = jax.tree.map(jnp.zeros_like, tiny_variables["params"][f"gcn{level}"])
        head["left_1k"]["bias"] = jnp.array([10.0**level, 0.5, 0.0])
        params[f"gcn{level}"] = head
    logits = jax.jit(model.apply)({**tiny_variables, "params": params}, normal(2, 17, 19, 3))
    expected = np.broadcast_to(np.float32([111_100, 2, 0]), (2, 17, 19, 3))
    np.testing.assert_allclose(logits, expected, rtol=1e-6)


def assert_every_parameter_learns(model, variables):
    """Check that no gradient is zero and that training updates all batch_stats."""

    @jax.jit
    def gradients(variables, images, weights):
        def loss(params):
            logits, updates = model.apply(
                {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
            )
            return (weights * logits).mean(), updates["batch_stats"]

        return jax.grad(loss, has_aux=True)(variables["params"])

    shape = (2, 64, 64, 3)
    grads, batch_stats = gradients(variables, normal(*shape), normal(*shape, seed=1))
    for path, gradient in traverse_util.flatten_dict(grads, sep="/").items():
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 0, path
    before = traverse_util.flatten_dict(variables["batch_stats"], sep="/")
    for path, statistic in traverse_util.flatten_dict(batch_stats, sep="/").items():
        assert not np.array_equal(statistic, before[path]), path


def test_every_parameter_learns_from_its_initial_value(tiny_variables):
    assert_every_parameter_learns(create_model("_tiny", num_classes=3), tiny_variables)


@pytest.mark.slow
def test_every_parameter_on_a_resnet_learns():
    model = create_model("gcn_resnet18", num_classes=3, kernel_size=3)
    variables = {
        "params": random_params(model, jnp.zeros((1, 32, 32, 3))),
        "batch_stats": jax.tree.map(
            lambda leaf: np.ones(leaf.shape, "float32"), abstract_variables(model)["batch_stats"]
        ),
    }
    assert_every_parameter_learns(model, variables)


def test_frozen_batch_norm_keeps_batch_stats_and_trains_as_it_predicts(tiny_variables):
    images = normal(2, 17, 19, 3)
    model = create_model("_tiny", num_classes=3, frozen_batch_norm=True)
    logits, updates = model.apply(tiny_variables, images, train=True, mutable=["batch_stats"])
    before = tiny_variables["batch_stats"]
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], before)
    np.testing.assert_allclose(logits, model.apply(tiny_variables, images), atol=1e-6)


@pytest.mark.slow
def test_computing_again_keeps_less_and_changes_nothing_else(tiny_variables):
    def loss(variables, images, model):
        logits, _ = model.apply(variables, images, train=True, mutable=["batch_stats"])
        return jnp.mean(jnp.square(logits))

    gradient = jax.jit(jax.value_and_grad(loss), static_argnums=2)
    plain, again = (
        gradient(tiny_variables, normal(2, 32, 32, 3), create_model("_tiny", **fields))
        for fields in ({"num_classes": 3}, {"num_classes": 3, "remat": True})
    )
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(a).max())

    def kept(remat):
        """Return how many activations wait for the backward pass; nothing is computed."""
        model = GCN(num_classes=3, backbone="resnet18", kernel_size=3, remat=remat)
        images = jax.ShapeDtypeStruct((2, 256, 256, 3), jnp.float32)
        variables = jax.eval_shape(model.init, jax.random.key(0), images)
        args = (variables, images)
        pull = jax.eval_shape(lambda *args: jax.vjp(partial(loss, model=model), *args)[1], *args)
        count = [sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (pull, variables)]
        return count[0] - count[1]

    assert kept(True) < 0.6 * kept(False)


def test_bfloat16_logits_are_float32_and_close_to_those_of_float32(tiny_variables):
    images = normal(2, 17, 19, 3)
    exact, rough = (
        jax.jit(create_model("_tiny", num_classes=3, dtype=dtype).apply)(tiny_variables, images)
        for dtype in ("float32", "bfloat16")
    )
    assert rough.dtype == jnp.float32
    difference = np.abs(rough - exact).max() / np.abs(exact).max()
    assert 0 < difference < 0.05


def test_models_are_values_and_compile_with_a_static_train(tiny_variables):
    model = GCN(num_classes=3, backbone="_tiny", kernel_size=5)
    assert model == create_model("_tiny", num_classes=3)
    assert hash(model) == hash(create_model("_tiny", num_classes=3))
    assert model != GCN(num_classes=3, backbone="_tiny", kernel_size=7)
    images = normal(2, 17, 19, 3)
    apply = jax.jit(model.apply, static_argnames="train")
    logits = apply(tiny_variables, images, train=False)
    np.testing.assert_allclose(logits, model.apply(tiny_variables, images), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backbone": "resnet5"}, "unknown backbone 'resnet5' (did you mean resnet50"),
        (
            {"head": "gnc"},
            "unknown head 'gnc' (did you mean gcn?); choose one of: gcn, baseline, conv",
        ),
        ({"upsampling": "cubic"}, "unknown upsampling 'cubic'; choose one of: deconv, bilinear"),
        ({"kernel_size": 14}, "kernel_size is 14, but must be odd and positive"),
    ],
)
def test_wrong_fields_are_refused_when_the_model_is_built(fields, message):
    with pytest.raises(UserError) as error:
        GCN(num_classes=3, **fields)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "images", [np.zeros((16, 16, 3), "float32"), np.zeros((1, 16, 16, 3), "uint8")]
)
def test_images_that_are_no_batch_of_floats_are_refused(images):
    model = create_model("_tiny", num_classes=3)
    with pytest.raises(UserError, match=r"must be normalised floats \[N, H, W, 3\]"):
        jax.eval_shape(model.init, jax.random.key(0), images)


@pytest.mark.parametrize("size", [(65, 97), (62, 91), (1, 40)])
def test_maps_that_were_rounded_down_are_fused(size):
    """ConvNeXt's: the coarser one, doubled, may lack a row of the finer one."""
    model = GCN(num_classes=3, backbone="_convnext", kernel_size=3)
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    logits = jax.eval_shape(model.init_with_output, jax.random.key(0), images)[0]
    assert logits.shape == (1, *size, 3)
