"""The paper's tables as data, trained on a few small images."""

import csv
import json

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from configs import stage1, stage2, stage3
from gcn_jax import models
from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.studies import recipes as settings
from gcn_jax.analysis.studies import runner, systems
from gcn_jax.analysis.studies.findings import Finding, accuracy_by_cue
from gcn_jax.analysis.studies.paper import STUDIES, study
from gcn_jax.analysis.studies.runner import CellRunner
from gcn_jax.analysis.studies.tables import write_table
from gcn_jax.cli.analysis import (
    compare as compare_command,
)
from gcn_jax.cli.analysis import (
    pictures as pictures_command,
)
from gcn_jax.cli.analysis import (
    table as table_command,
)
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from gcn_jax.models.registry import MODELS
from gcn_jax.training import default_config
from gcn_jax.training.config import flatten, json_settings, model_settings
from tests.helpers.published_data import make_camvid, make_sbd, make_voc


def published(number, row):
    return [cell.published["miou"] for cell in study(number).cells if cell.row == row]


def test_the_paper_s_scores_are_those_of_the_slides():
    assert published(1, "baseline") + published(1, "GCN") == [
        69.0, 70.1, 71.1, 72.8, 73.4, 73.7, 74.0, 74.5,
    ]  # fmt: skip
    assert published(2, "GCN") == [70.1, 71.1, 72.8, 73.4]
    assert published(2, "Conv") == [69.8, 70.4, 69.6, 68.8]
    assert published(3, "GCN") == [70.1, 71.1, 72.8, 73.4, 73.7]
    assert published(3, "Stack") == [69.8, 71.8, 71.3, 69.5, 67.5]
    assert published(4, "Stack") + published(4, "GCN") == [71.3, 70.4, 68.8, 72.8]
    assert [tuple(cell.published.values()) for cell in study(5).cells] == [
        (71.3, 93.9, 69.0), (71.5, 95.0, 74.5), (73.4, 95.1, 74.7),
    ]  # fmt: skip
    assert published(7, "Baseline") == [69.6, 72.4, 74.0]
    assert published(7, "GCN") == [74.1, 77.6, 78.7]
    assert published(7, "GCN + BR") == [75.0, 78.6, 80.3, 80.4, 81.0]


def test_one_name_stands_for_one_network():
    networks = {}
    for cell in (cell for one in STUDIES.values() for cell in one.cells):
        fields = (cell.model_fields, cell.stack_channels(512), cell.stage)
        assert networks.setdefault(cell.run_name, fields) == fields
    # Tables 1 to 5: baseline, GCN at seven k, Conv at four, Stack at five and two m, GCN + BR.
    assert len([name for name in networks if "stage" not in name]) == 20


def test_a_stack_s_channels_are_a_share_of_the_backbone_s():
    stacks = [cell for cell in study(4).cells if cell.head == "stack"]
    assert [cell.stack_channels(2048) for cell in stacks] == [2048, 1024, 210]
    assert [cell.stack_channels(96) for cell in stacks] == [96, 48, 10]


def test_the_paper_s_counts_of_parameters_are_those_of_the_slides():
    counts = {
        number: [cell.published.get("parameters") for cell in study(number).cells]
        for number in (2, 4)
    }
    assert counts == {
        2: ["260K", "434K", "608K", "782K", "387K", "1075K", "2107K", "3484K"],
        4: ["75885K", "28505K", "4307K", "608K"],
    }


def test_there_is_no_table_6():
    with pytest.raises(UserError, match="there is no table 6; choose one of 1, 2, 3, 4, 5, 7"):
        study(6)


@pytest.mark.parametrize("data", settings.RECIPES)
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


def test_settings_are_set_by_name():
    config = settings.set_values(
        default_config(),
        ["optimizer.momentum=0.5", "augment.crop_size=(64, 32)", "model.head=conv"],
    )
    assert config.optimizer.momentum == 0.5
    assert config.augment.crop_size == (64, 32)
    assert config.model.head == "conv"
    for wrong in ("optimizer.momentun=0.5", "num_steps", "num_steps=many", "nothing.at=1"):
        with pytest.raises(UserError, match=f"--set {wrong}: "):
            settings.set_values(default_config(), [wrong])


def test_accuracy_by_cue_of_all_seeds_and_of_no_pixel():
    results = ({"cue": [[4, 0, 1], [1, 0, 1]]}, {"cue": [[6, 0, 0], [4, 0, 0]]})
    pixels, share = accuracy_by_cue(results)
    assert pixels.tolist() == [10, 0, 1]
    np.testing.assert_array_equal(share, [0.5, np.nan, 1])


def test_cues_of_a_table_are_written(tmp_path):
    bins = runner.CUE_BINS
    counts = (
        [[4, 0, *[1] * (bins - 2)], [1, 0, *[1] * (bins - 2)]],
        [[6, 0, *[0] * (bins - 2)], [4, 0, *[0] * (bins - 2)]],
    )
    scores = dict.fromkeys(runner.METRICS, 0.5)
    results = tuple({"seed": seed, "cue": cue} | scores for seed, cue in enumerate(counts))
    findings = [Finding(cell, results, Cost()) for cell in study(5).cells]
    write_table(study(5), findings, tmp_path, seeds=2)
    lines = (tmp_path / "table5_cue.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 3 * bins
    assert lines[0] == "name,seed,from_px,to_px,pixels,accuracy"
    assert lines[1:3] == ["baseline,0,0,8,4,0.25", "baseline,0,8,16,0,"]
    assert lines[bins] == f"baseline,0,{8 * (bins - 1)},inf,1,1.0"
    assert lines[-bins] == "gcn_k15_br,pooled,0,8,10,0.5"
    assert (tmp_path / "table5_cue.svg").read_text().startswith("<?xml")


def test_mean_and_spread_by_hand():
    results = tuple({"miou": miou} for miou in (0.5, 0.6, 0.7))
    finding = Finding(study(1).cells[0], results, Cost())
    np.testing.assert_allclose(finding.mean_and_spread("miou"), (60, 10))
    assert finding.mean_text("miou") == "60.0 ± 10.0"
    for results in ([None], [None, 0.5]):  # no pixel was far from a border
        finding = Finding(study(5).cells[0], tuple({"miou": miou} for miou in results), Cost())
        assert finding.mean_text("miou") == "-"
        assert np.isnan(finding.mean_and_spread("miou")[0])


@pytest.fixture
def tiny_recipe(voc_folder, tmp_path_factory, monkeypatch):
    """A recipe "shapes" of two steps on twelve images."""
    prepared = str(tmp_path_factory.getbasetemp() / "studies_data")

    def recipe() -> ConfigDict:
        config = default_config()
        config.num_devices = 1
        config.model.name = "_tiny"
        config.data.train, config.data.val = ("folder:train",), "folder:val"
        config.data.manual_dir, config.data.data_dir = str(voc_folder), prepared
        config.augment.crop_size = (32, 48)
        config.batch_size = config.eval_batch_size = 4
        config.num_steps = 2
        return config

    monkeypatch.setitem(settings.RECIPES, "shapes", recipe)


def test_a_table_is_trained_once_and_written(tiny_recipe, tmp_path, monkeypatch, capsys):
    arguments = ["5", f"--output={tmp_path}", "--set=model.upsampling=bilinear"]
    trained = []
    train = runner.train_and_evaluate

    def train_twice(config, workdir):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(workdir.name)
        return train(config, workdir)

    monkeypatch.setattr(runner, "train_and_evaluate", train_twice)
    with pytest.raises(KeyboardInterrupt):
        call(table_command, arguments)
    trained.clear()
    call(table_command, arguments)
    assert trained == ["gcn_k15_br_seed0"]
    call(table_command, arguments)
    assert trained == ["gcn_k15_br_seed0"]

    folder = tmp_path / "shapes"
    result = json.loads((folder / "gcn_k15_seed0" / "gcn_k15.json").read_text())
    with (folder / "table5.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["Baseline", "GCN", "GCN + BR"]
    assert float(rows[1]["miou"]) == result["miou"]
    (line,) = [
        line for line in (folder / "table5.md").read_text().splitlines() if "| GCN |" in line
    ]
    assert f"| 95.0 | {100 * result['internal_accuracy']:.1f} |" in line
    assert (folder / "table5.svg").read_text().startswith("<?xml")

    capsys.readouterr()
    with pytest.raises(UserError, match="was made with num_steps = 2, not 3"):
        call(table_command, [*arguments, "--set=num_steps=3"])
    call(table_command, [*arguments, "--set=checkpoint_every=1"])  # no score depends on it
    assert trained == ["gcn_k15_br_seed0"]


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


def test_systems_are_compared(tiny_recipe, tmp_path, monkeypatch, capsys):
    tiny = systems.System({"name": "_tiny"}, {"name": "_tiny", "upsampling": "bilinear"}, 12.3)
    monkeypatch.setattr(systems, "SYSTEMS", {"gcn": tiny})
    arguments = ["--data=shapes", "--models=gcn", "--size=reduced", f"--output={tmp_path}"]
    call(compare_command, arguments)
    folder = tmp_path / "shapes_reduced"
    result = json.loads((folder / "gcn_seed0" / "gcn.json").read_text())
    assert f"| gcn | 83.6 | {100 * result['miou']:.1f} |" in (folder / "compare.md").read_text()
    with (folder / "compare.csv").open() as file:
        (row,) = csv.DictReader(file)
    params = jax.tree.leaves(models.load_pretrained(folder / "gcn_seed0").variables["params"])
    assert int(row["parameters"]) == sum(leaf.size for leaf in params)
    assert float(row["images_per_second"]) > 0
    # The state alone, parameters and momentum, is 8 bytes a parameter.
    assert float(row["training_bytes"]) > 8 * int(row["parameters"])
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")


#: Two steps of two small crops, of data as published.
_SHORT = ("num_steps=2", "batch_size=2", "num_devices=1", "augment.crop_size=(32, 48)")


def _short(folder, tmp_path) -> list[str]:
    settings = (*_SHORT, f"data.manual_dir={folder}", f"data.data_dir={tmp_path / 'data'}")
    return [f"--set={setting}" for setting in settings]


@pytest.mark.slow
def test_a_table_on_camvid(tmp_path):
    camvid = tmp_path / "CamVid"
    make_camvid(camvid)
    call(table_command, ["5", "--data=camvid", f"--output={tmp_path}", *_short(camvid, tmp_path)])
    folder = tmp_path / "camvid"
    with (folder / "table5.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["Baseline", "GCN", "GCN + BR"]
    for name, row in zip(("baseline", "gcn_k15", "gcn_k15_br"), rows, strict=True):
        assert 0 <= float(row["miou"]) <= 1
        result = json.loads((folder / f"{name}_seed0/{name}.json").read_text())
        assert len(result["per_class_iou"]) == 11
        assert result["parameters"] == int(row["parameters"])
    runs = f"--ckpt={folder}/gcn_k15_seed0,{folder}/gcn_k15_br_seed0"
    call(pictures_command, [runs, "--num_images=2", f"--output={folder}/br.png"])
    with Image.open(folder / "br.png") as picture:  # 36 x 48 px, each 240 wide, in four rows
        assert picture.height > 4 * 180


@pytest.mark.slow
def test_a_comparison_on_voc(tmp_path):
    for make in (make_voc, make_sbd):
        make(tmp_path)
    arguments = ["--data=voc", "--models=gcn,fcn8s", "--size=reduced", f"--output={tmp_path}"]
    call(compare_command, [*arguments, *_short(tmp_path, tmp_path)])
    folder = tmp_path / "voc_reduced"
    with (folder / "compare.csv").open() as file:
        assert [row["system"] for row in csv.DictReader(file)] == ["gcn", "fcn8s"]
    assert len(json.loads((folder / "gcn_seed0/gcn.json").read_text())["per_class_iou"]) == 21


@pytest.mark.parametrize("data", systems.DATA)
@pytest.mark.parametrize("size", systems.SIZES)
def test_systems_have_one_budget_and_start_from_nothing(data, size):
    flat = [flatten(systems.system_config(name, data, size).to_dict()) for name in systems.SYSTEMS]
    budgets = [{k: v for k, v in f.items() if not k.startswith("model.")} for f in flat]
    assert all(budget == budgets[0] for budget in budgets)
    assert budgets[0]["backbone_weights"] is None
    for name in systems.SYSTEMS:
        config = systems.system_config(name, data, size)
        model = models.create_model(**config.model, num_classes=21)
        assert not getattr(model, "frozen_batch_norm", False)  # of random weights


def test_a_comparison_on_voc_has_crops_and_no_images_in_memory():
    config = systems.system_config("gcn", "voc", "reduced")
    assert config.augment.crop_size == (224, 224)
    assert not config.data.cache_in_memory  # 10,582 images


def test_a_table_on_voc_with_a_smaller_network():
    weights = "hf://timm/resnet50.tv_in1k"
    cells = CellRunner("voc", "runs", ["model.name=gcn_resnet50", f"backbone_weights={weights}"])
    config = cells.config(study(4).cells[2], seed=0)
    assert (config.model.name, config.backbone_weights) == ("gcn_resnet50", weights)
    assert config.model.stack_channels == 210  # of 2048


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "table needs a number, one of 1, 2, 3, 4, 5, 7"),
        (["one"], "table needs a number, one of 1, 2, 3, 4, 5, 7"),
        (["6"], "there is no table 6"),
        (["1", "2"], "unexpected argument '2'"),
        *(
            ([n, "--params"], f"table {n} prints no counts of parameters; tables 2 and 4 do")
            for n in "1357"
        ),
    ],
)
def test_wrong_arguments_of_table_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        call(table_command, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models=gnc"], "unknown --models 'gnc' .did you mean gcn?"),
        (["--models="], "--models is empty; name some of gcn, fcn8s"),
        (["gcn"], "unexpected argument 'gcn'"),
        (["--data=coco"], "unknown --data 'coco'; choose one of: camvid, shapes, voc"),
        (["--size=small"], "unknown --size 'small'; choose one of: reduced, full"),
    ],
)
def test_wrong_arguments_of_compare_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        call(compare_command, arguments)


def test_advice_names_the_flag_that_the_command_has(tmp_path):
    data = f"--set=data.data_dir={tmp_path / 'data'}"
    with pytest.raises(UserError, match="--set data.manual_dir") as raised:
        call(table_command, ["1", "--data=voc", data, f"--output={tmp_path}"])
    assert "--config" not in str(raised.value)
