"""The paper's recipe as a user types it: three commands, on miniatures of the published data."""

import os

import numpy as np
import pytest
import safetensors.numpy

from gcn_jax.data import prepare
from gcn_jax.data.builders.registry import make_builder
from gcn_jax.models.pretrained.restore import load_pretrained
from tests.helpers import torchvision_weights
from tests.helpers.published_data import PERSON, make_coco, make_sbd, make_voc
from tests.helpers.verbs import ROOT, run

#: What makes the stages small; everything else is theirs.
SMALL = {
    "model.name": "gcn_resnet18",
    "model.kernel_size": 3,
    "model.boundary_refinement": False,
    "num_steps": 2,
    "log_every": 1,
    "eval_every": 2,
    "checkpoint_every": 2,
    "eval_batch_size": 1,
}


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    """Programs for eight devices take longer to compile."""
    flags = os.environ["XLA_FLAGS"].split()
    monkeypatch.setenv("XLA_FLAGS", " ".join(flag for flag in flags if "_count" not in flag))


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """The folder of a user who has the data sets, prepared, and the weights of a ResNet."""
    cwd = tmp_path_factory.mktemp("user")
    make_voc(cwd / "archives")
    make_sbd(cwd / "archives")
    make_coco(cwd / "archives", 2014, {"train": {9: [PERSON], 30: []}, "val": {42: [PERSON]}})
    options = {"manual_dir": str(cwd / "archives"), "data_dir": str(cwd / "data")}
    for name in ("voc_segmentation", "sbd", "coco_voc"):
        prepare(make_builder(name, options))
    safetensors.numpy.save_file(torchvision_weights.state_dict(18), cwd / "resnet18.safetensors")
    return cwd


def train(cwd, stage, **changes):
    settings = {"data.data_dir": "data", "data.manual_dir": "archives"} | SMALL | changes
    flags = [f"--config.{key}={value}" for key, value in settings.items()]
    config = ROOT / f"configs/stage{stage}.py"
    return run("train.py", "--config", config, *flags, cwd=cwd)


@pytest.mark.slow
def test_three_stages_each_from_the_one_before(user):
    for stage, (images, crop) in {1: (3 + 3 + 2, 40), 2: (3 + 3, 32), 3: (3, 32)}.items():
        changes = {"seed": stage, "augment.crop_size": f"({crop},{crop})"}
        if stage == 1:
            changes["backbone_weights"] = "resnet18.safetensors"
        out, _ = train(user, stage, **changes)
        assert f" {images} images of " in out
        assert "2 of voc_segmentation:val" in out

    # At their learning rates two steps hardly move what a stage starts from. What a stage would
    # make from its own seed is something else altogether.
    first, second, third = (
        load_pretrained(user / f"runs/stage{stage}").variables for stage in (1, 2, 3)
    )
    weights = torchvision_weights.state_dict(18)
    for variables in (first, second, third):
        stem = variables["params"]["backbone"]["conv1"]["kernel"]
        assert_near(stem, weights["conv1.weight"].transpose(2, 3, 1, 0))
        statistics = variables["batch_stats"]["backbone"]["bn1"]["mean"]
        np.testing.assert_allclose(statistics, weights["bn1.running_mean"], rtol=1e-6)
        head, start = (tree["params"]["gcn5"]["left_k1"]["kernel"] for tree in (variables, first))
        assert_near(head, start)


def assert_near(kernel, start):
    moved = np.abs(np.asarray(kernel) - start).max() / np.abs(start).max()
    assert moved < 0.05
