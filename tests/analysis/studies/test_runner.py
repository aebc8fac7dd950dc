"""The cells of tables as runs: their settings, and when a finished one is read again."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gcn_jax.configs import stage1, stage2, stage3

from gcn_jax import models
from gcn_jax.analysis.studies import recipes, runner
from gcn_jax.analysis.studies.cells import CellRunner
from gcn_jax.analysis.studies.paper import study
from gcn_jax.analysis.studies.runner import Job
from gcn_jax.data.builders.registry import BUILDERS
from gcn_jax.data.shapes.world import NO_CUE, render
from gcn_jax.errors import UserError
from gcn_jax.models.registry import MODELS
from gcn_jax.training import default_config
from gcn_jax.training.config import flatten, json_settings, model_settings

CELL = study(5).cells[1]


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


@pytest.mark.parametrize(
    ("data", "size"),
    [("shapes", 128), ("shapes_outlines", 128), ("shapes_thin", 128), ("shapes_large", 256)],
)
def test_kin_of_shapes_have_its_recipe_and_a_folder_of_their_own(data, size):
    cells, cell = CellRunner(data, "runs"), study(5).cells[0]
    assert cells.folder.name == data
    ours = flatten(cells.config(cell, 0).to_dict())
    theirs = flatten(CellRunner("shapes", "runs").config(cell, 0).to_dict())
    own = {key: value for key, value in ours.items() if value != theirs[key]}
    changed = {"data.train": (f"{data}:train",), "data.val": f"{data}:val"}
    changed |= {"augment.crop_size": (size, size)} if size != 128 else {}
    assert own == (changed if data != "shapes" else {})


@pytest.mark.parametrize("cell", study(4).cells)
def test_a_wide_top_map_carries_every_head(cell):
    config = CellRunner("shapes", "runs", ["model.name=gcn_plain4_wide"]).config(cell, 0)
    model = models.create_model(**config.model, num_classes=11)
    images = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    assert shapes["backbone"]["conv5"]["kernel"].shape == (3, 3, 96, 512)
    if cell.head == "stack":
        assert config.model.stack_channels == {"2048": 512, "1024": 256, "210": 52}[cell.column]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "size"), [("shapes_thin", 128), ("shapes_large", 256)])
def test_cues_of_kin_of_shapes_are_counted(data, size, tmp_path, monkeypatch):
    cls = BUILDERS[data]
    monkeypatch.setattr(cls, "splits", {"train": (4, 1), "val": (3, 2)})
    settings = ["num_steps=1", "batch_size=2", "num_devices=1", "eval_train_images=2"]
    settings += [f"data.data_dir={tmp_path}"]
    cells, job = CellRunner(data, tmp_path, [*settings, "model.name=_tiny"]), Job(CELL, 0)
    result = cells.run(job)
    total, right = np.array(result["cue"])
    drawn = [render(2, index, cls.world) for index in range(3)]
    distances = np.concatenate([d[d != NO_CUE] for d in (e["cue_distance"] for e in drawn)])
    assert total.shape == (14 * size // 128,)
    assert total[0] == (distances < 8).sum()
    assert total[-1] == (distances >= 8 * (len(total) - 1)).sum()
    assert total.sum() == len(distances)
    assert (right <= total).all()
    assert 0 <= result["boundary_accuracy"] <= 1
    other = CellRunner(data, tmp_path, [*settings, "model.name=gcn_plain4_wide"])
    with pytest.raises(UserError, match="was made with model.name = _tiny, not gcn_plain4_wide"):
        other.run(job)


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
