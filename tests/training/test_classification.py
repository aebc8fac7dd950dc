"""A classifier is trained, scored and handed on by what trains and scores segmentation."""

import numpy as np
import pytest
from PIL import Image

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.models.network import variable_shapes
from gcn_jax.training import default_config, train_and_evaluate
from gcn_jax.training.config import model_settings
from gcn_jax.training.initial_weights import start_variables, with_preprocessing
from gcn_jax.workdir import Workdir


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run on reddish and bluish noise, of two sizes, one of which is padded."""
    root = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for name, color in (("red", (160, 90, 90)), ("blue", (90, 90, 160))):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                image = np.clip(rng.normal(color, 30, (31 + i % 2, 32, 3)), 0, 255)
                Image.fromarray(image.astype(np.uint8)).save(root / split / name / f"{i}.png")
    config = default_config()
    config.num_devices = 1
    config.model = model_settings("classifier")
    config.model.backbone = "_tiny"
    config.data.train, config.data.val = ("image_folder:train",), "image_folder:val"
    config.data.manual_dir = str(root)
    config.data.data_dir = str(tmp_path_factory.mktemp("data"))
    config.data.mean = (100.0, 100.0, 100.0)
    config.augment.crop_size = (32, 32)
    config.batch_size = config.eval_batch_size = 8
    config.num_steps = config.eval_every = config.checkpoint_every = 40
    config.optimizer.learning_rate = 0.1
    train_and_evaluate(config, root / "run")
    return root / "run"


def test_pixel_accuracy_is_the_share_of_images_of_the_right_class(workdir):
    assert Workdir(workdir).read_metrics()[-1]["val/pixel_accuracy"] == 1
    model, variables = models.from_pretrained(workdir)
    for name, expected in (("blue", 0), ("red", 1)):
        image = np.asarray(Image.open(workdir.parent / "val" / name / "2.png"))
        labels = models.predict(model, variables, image)
        np.testing.assert_array_equal(labels, np.full(image.shape[:2], expected))


def test_a_backbone_starts_another_network(workdir, tmp_path):
    config = default_config()
    config.backbone_weights = str(workdir)
    model = models.create_model("_tiny", num_classes=3)
    shapes = variable_shapes(model)
    start = start_variables(config, model, shapes)
    _, expected = models.from_pretrained(workdir)
    for name in ("params", "batch_stats"):
        for layer, leaves in expected[name]["backbone"].items():
            for leaf, value in leaves.items():
                np.testing.assert_array_equal(start[name]["backbone"][layer][leaf], value)
    assert start["params"]["gcn5"] is shapes["params"]["gcn5"]
    assert with_preprocessing(config, tmp_path).data.mean == (100.0, 100.0, 100.0)
    other = models.create_model("gcn_plain4", num_classes=3)
    with pytest.raises(UserError, match=r"backbone of backbone_weights=.* does not fit"):
        start_variables(config, other, variable_shapes(other))


def test_excepted_layers_of_a_backbone_start_anew(workdir):
    config = default_config()
    config.backbone_weights = str(workdir)
    model = models.create_model("_tiny", num_classes=3)
    shapes = variable_shapes(model)
    layers = shapes["params"]["backbone"]
    new = next(iter(layers))
    config.backbone_except = (f"{new[:-1]}?",)
    start = start_variables(config, model, shapes)["params"]["backbone"]
    assert start[new] is layers[new]
    assert start.keys() == layers.keys()
    config.backbone_except = ("res9*",)
    with pytest.raises(UserError, match=r"backbone_except: no layer fits res9\*; there are "):
        start_variables(config, model, shapes)
