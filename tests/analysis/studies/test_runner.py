"""The cells of tables as runs: their settings, and when a finished one is read again."""

import json

import numpy as np
import pytest
from gcn_jax.configs import stage1, stage2, stage3

from gcn_jax import models
from gcn_jax.analysis.studies import recipes, runner
from gcn_jax.analysis.studies.paper import study
from gcn_jax.analysis.studies.runner import CellRunner
from gcn_jax.errors import UserError
from gcn_jax.models.registry import MODELS
from gcn_jax.training import default_config
from gcn_jax.training.config import flatten, json_settings, model_settings


@pytest.mark.parametrize("data", recipes.RECIPES)
def test_a_cell_is_a_network_of_every_recipe(data):
    cells = CellRunner(data, "runs")
    for cell in study(5).cells:
        config = cells.config(cell, seed=1)
        assert (config.seed, config.eval_every) == (1, config.num_steps)
        model = models.create_model(**config.model, num_classes=3)
        assert (model.head, model.boundary_refinement) == (cell.head, cell.boundary_refinement)
    if data == "camvid":  # ResNet-18: 512 channels
        assert cells.config(study(4).cells[2], seed=0).model.stack_channels == 52


def test_stages_start_from_the_one_before():
    cells = CellRunner("voc", "runs")
    of_br = [cell for cell in study(7).cells if cell.row == "GCN + BR"]
    first, second, third, several_scales, _ = (cells.config(cell, 0) for cell in of_br)
    assert first.init_from is None
    assert second.init_from.endswith("runs/voc/gcn_k15_br_stage1_seed0")
    assert third.init_from.endswith("runs/voc/gcn_k15_br_stage2_seed0")
    assert several_scales.to_dict() == third.to_dict()
    assert (len(first.data.train), len(second.data.train), len(third.data.train)) == (3, 2, 1)
    assert first.augment.crop_size == (640, 640)


@pytest.mark.parametrize("stage", [stage1, stage2, stage3])
def test_stages_on_voc_are_those_of_the_config_files(stage):
    number = int(stage.__name__[-1])
    cells = {cell.stage: cell for cell in study(7).cells if cell.row == "GCN + BR"}
    ours, theirs = CellRunner("voc", "runs").config(cells[number], 0), stage.get_config()
    own = ("init_from", "eval_every", "log_every", "model.finer_head")  # GCN on res-5 alone
    ours, theirs = (
        {key: value for key, value in flatten(config.to_dict()).items() if key not in own}
        for config in (ours, theirs)
    )
    assert ours == theirs


def test_stages_on_shapes_show_other_scales_and_then_none():
    cells = [cell for cell in study(7).cells if cell.row == "GCN"]
    first, second, third = (CellRunner("shapes", "runs").config(cell, 0) for cell in cells)
    assert [c.augment.scale for c in (first, second, third)] == [(0.5, 1.5), None, None]
    assert [c.num_steps for c in (first, second, third)] == [600, 300, 300]
    rates = [c.optimizer.learning_rate for c in (first, second, third)]
    np.testing.assert_allclose(rates, (0.1, 0.01, 0.001))


@pytest.mark.parametrize("key", ["seed", "model.kernel_size", "init_from"])
def test_what_is_compared_is_not_set(key):
    """Else every seed would be the same, or every k."""
    with pytest.raises(UserError, match=f"--set {key}=3: what is compared decides {key}"):
        CellRunner("shapes", "runs", [f"{key}=3"]).config(study(1).cells[1], 0)


def test_a_table_on_voc_with_a_smaller_network():
    weights = "hf://timm/resnet50.tv_in1k"
    cells = CellRunner("voc", "runs", ["model.name=gcn_resnet50", f"backbone_weights={weights}"])
    config = cells.config(study(4).cells[2], seed=0)
    assert (config.model.name, config.backbone_weights) == ("gcn_resnet50", weights)
    assert config.model.stack_channels == 210  # of 2048


@pytest.mark.parametrize("name", {module: name for name, (module, _) in MODELS.items()}.values())
def test_a_result_whose_settings_lack_a_younger_one_had_its_default(name, tmp_path):
    config = default_config()
    config.model = model_settings(name)
    old = {
        key: value
        for key, value in json_settings(config).items()
        if key == "model.name" or not key.startswith(("augment.", "model."))
    }
    (tmp_path / "old.json").write_text(json.dumps({"miou": 0.5, "settings": old}))
    config.eval_every = 7  # no score depends on it
    assert runner.run_once(config, tmp_path, "old")["miou"] == 0.5
    config.augment.rotation = 10.0
    with pytest.raises(
        UserError, match=r"made with augment.rotation = 0.0, not 10.0; name another"
    ):
        runner.run_once(config, tmp_path, "old")
