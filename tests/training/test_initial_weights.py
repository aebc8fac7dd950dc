"""What a new run starts from, without running it (see `test_loop.py` for runs)."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.models.backbones import ResNet
from gcn_jax.models.network import variable_shapes
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.pretrained.info import ModelInfo, write_info
from gcn_jax.models.pretrained.restore import Pretrained
from gcn_jax.training import default_config
from gcn_jax.training import initial_weights as start
from gcn_jax.training.config import check_config
from gcn_jax.training.initial_weights import start_variables, with_preprocessing
from gcn_jax.weights.resnet import import_resnet
from tests.helpers import torchvision_weights
from tests.helpers.random_values import normal, random_variables

ONE, TWO, FOUR = ((number,) * 3 for number in (1.0, 2.0, 4.0))


def test_backbone_weights_leave_the_head_as_it_is(tmp_path):
    config = default_config()
    config.backbone_weights = str(tmp_path / "resnet18.safetensors")
    weights = torchvision_weights.state_dict(18)
    safetensors.numpy.save_file(weights, config.backbone_weights)
    model = models.create_model("gcn_resnet18", num_classes=3)
    before = variable_shapes(model)
    variables = start_variables(config, model, before)
    expected = import_resnet(weights, ResNet(depth=18))
    for name in ("params", "batch_stats"):
        backbone = variables[name].pop("backbone")
        jax.tree.map(np.testing.assert_array_equal, backbone, expected[name])
        head = {key: leaf for key, leaf in before[name].items() if key != "backbone"}
        assert variables[name] == head


def test_a_backbone_without_batch_norm_has_no_statistics(tmp_path):
    config = default_config()
    config.backbone_weights = str(tmp_path / "vgg16.safetensors")
    weights = torchvision_weights.vgg_state_dict(batch_norm=False, divisor=32)
    safetensors.numpy.save_file(weights, config.backbone_weights)
    model = models.create_model("deeplab_largefov", num_classes=3, width=1 / 32)
    before = {"batch_stats": {}, **variable_shapes(model)}
    variables = start_variables(config, model, before)
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, before)
    kernel = variables["params"]["backbone"]["stage1"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, weights["features.0.weight"].transpose(2, 3, 1, 0))


@pytest.fixture
def stage_before(monkeypatch):
    """Make `init_from` stand for a network with random weights; return them."""

    def make(model):
        variables = {"batch_stats": {}, **random_variables(model)}
        pretrained = Pretrained(model, variables, None, 1)
        monkeypatch.setattr(start, "load_pretrained", lambda workdir: pretrained)
        return variables

    return make


def fcn(stride):
    return models.FCN(num_classes=3, stride=stride, width=1 / 32)


@pytest.mark.parametrize("stride", [16, 8])
def test_a_finer_fcn_begins_with_the_predictions_of_the_coarser(stage_before, stride):
    """Its new scores are zero. Two interpolations by 2 and s are one by 2 s between the quarters of
    a cell: there the first has points on the same line, elsewhere it cuts the corners off."""
    coarser, finer = fcn(2 * stride), fcn(stride)
    variables = stage_before(coarser)
    new = f"score_pool{ {16: 4, 8: 3}[stride] }"
    config = default_config()
    config.init_from, config.init_except = "before", (new,)
    images = normal(1, 90, 110, 3)
    before = {"batch_stats": {}, **jax.jit(finer.init)(jax.random.key(1), images)}
    after = start_variables(config, finer, before)
    assert after["params"].keys() == before["params"].keys()
    for name, layer in after["params"].items():
        expected = before["params"][name] if name == new else variables["params"][name]
        jax.tree.map(np.testing.assert_array_equal, layer, expected)

    # Scores lie at pixels 32 i + 12.5, or 16 i + 4.5.
    first = {16: 12.5, 8: 4.5}[stride]
    in_cell = [(np.arange(n) - first) / (2 * stride) % 1 for n in images.shape[1:3]]
    middle = np.ix_(*(np.abs(place - 0.5) < 0.25 for place in in_cell))
    expected, logits = (
        np.asarray(jax.jit(model.apply)(values, images))[:, *middle]
        for model, values in ((coarser, variables), (finer, after))
    )
    assert expected.shape[1] > 30
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


def test_a_layer_that_is_not_there_is_missed_unless_it_is_excepted(stage_before):
    stage_before(fcn(32))
    finer = fcn(16)
    before = {"batch_stats": {}, **variable_shapes(finer)}
    config = default_config()
    config.init_from = "before"
    with pytest.raises(UserError, match=r"score_pool4/bias: \(3,\) here, none there"):
        start_variables(config, finer, before)
    config.init_except = ("score_pool3",)
    with pytest.raises(UserError, match=r"init_except 'score_pool3' .*mean score_pool4"):
        start_variables(config, finer, before)


def test_an_excepted_layer_may_have_another_shape(stage_before):
    """Another number of classes: the same network but for its last layer."""
    variables = stage_before(fcn(32))
    config = default_config()
    config.init_from, config.init_except = "before", ("score_fr",)
    other = fcn(32).clone(num_classes=7)
    before = {"batch_stats": {}, **variable_shapes(other)}
    params = start_variables(config, other, before)["params"]
    assert params["score_fr"] == before["params"]["score_fr"]
    jax.tree.map(np.testing.assert_array_equal, params["backbone"], variables["params"]["backbone"])
    config.init_from = None
    with pytest.raises(UserError, match="there is no init_from"):
        check_config(config)


def test_a_layer_that_only_the_other_network_has_is_left_out(stage_before):
    variables = stage_before(fcn(8))
    config = default_config()
    config.init_from, config.init_except = "before", ("score_pool3",)
    start = start_variables(config, fcn(16), {"batch_stats": {}, **variable_shapes(fcn(16))})
    del variables["params"]["score_pool3"]
    jax.tree.map(np.testing.assert_array_equal, start, variables)


def test_an_excepted_layer_keeps_its_statistics_too(stage_before):
    model = models.create_model("_tiny", num_classes=3)
    variables = stage_before(model)
    config = default_config()
    config.init_from, config.init_except = "before", ("backbone",)
    before = variable_shapes(model)
    start = start_variables(config, model, before)
    for name in ("params", "batch_stats"):
        assert start[name].pop("backbone") == before[name]["backbone"]
        del variables[name]["backbone"]
        jax.tree.map(np.testing.assert_array_equal, start[name], variables[name])


@pytest.mark.parametrize(
    ("named", "advice"),
    [((), r"\(\"score_pool4\"\)"), (("score_fr",), r"\(\"score_fr\", \"score_pool4\"\)")],
)
def test_the_advice_has_the_layers_that_are_named_already(stage_before, named, advice):
    stage_before(fcn(32))
    config = default_config()
    config.init_from, config.init_except = "before", named
    with pytest.raises(UserError, match=rf"the seed: --config.init_except='{advice}'$"):
        start_variables(config, fcn(16), {"batch_stats": {}, **variable_shapes(fcn(16))})


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A workdir whose images have mean ONE, another with TWO, and weights with FOUR."""
    for name, mean in (("workdir", ONE), ("stage1", TWO)):
        (tmp_path / name).mkdir()
        write_info(
            tmp_path / name, ModelInfo("_tiny", {"num_classes": 1}, ("a",), ((0, 0, 0),), mean, TWO)
        )
    monkeypatch.setattr(start, "read_backbone_preprocessing", lambda source: (FOUR, FOUR))
    return tmp_path


@pytest.mark.parametrize(
    ("workdir", "settings", "mean", "std"),
    [
        ("new", {}, IMAGENET_MEAN, IMAGENET_STD),
        ("new", {"backbone_weights": "hf://a/b"}, FOUR, FOUR),
        ("new", {"backbone_weights": "hf://a/b", "data.mean": ONE}, ONE, FOUR),
        ("new", {"backbone_weights": "hf://a/b", "init_from": "stage1"}, TWO, TWO),
        ("workdir", {"backbone_weights": "hf://a/b", "init_from": "stage1"}, ONE, TWO),
        ("workdir", {"data.mean": FOUR, "data.std": FOUR}, FOUR, FOUR),
    ],
)
def test_preprocessing_travels_with_the_weights(folders, workdir, settings, mean, std):
    config = default_config()
    config.update_from_flattened_dict(settings)
    if config.init_from:
        config.init_from = str(folders / config.init_from)
    config = with_preprocessing(config, folders / workdir)
    assert (config.data.mean, config.data.std) == (mean, std)
