"""The command `analysis table`, on a few small images."""

import csv
import json

import pytest
from PIL import Image

from gcn_jax.analysis.studies import runner
from gcn_jax.cli.analysis import pictures, table
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from tests.helpers.published_data import make_camvid


@pytest.mark.slow
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
        call(table, arguments)
    trained.clear()
    call(table, arguments)
    assert trained == ["gcn_k15_br_seed0"]
    call(table, arguments)
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
        call(table, [*arguments, "--set=num_steps=3"])
    call(table, [*arguments, "--set=checkpoint_every=1"])  # no score depends on it
    assert trained == ["gcn_k15_br_seed0"]


@pytest.mark.slow
def test_a_table_on_camvid(short_run, tmp_path):
    camvid = tmp_path / "CamVid"
    make_camvid(camvid)
    call(table, ["5", "--data=camvid", f"--output={tmp_path}", *short_run(camvid)])
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
    call(pictures, [runs, "--num_images=2", f"--output={folder}/br.png"])
    with Image.open(folder / "br.png") as picture:  # 36 x 48 px, each 240 wide, in four rows
        assert picture.height > 4 * 180


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
        call(table, arguments)


def test_advice_names_the_flag_that_the_command_has(tmp_path):
    data = f"--set=data.data_dir={tmp_path / 'data'}"
    with pytest.raises(UserError, match="--set data.manual_dir") as raised:
        call(table, ["1", "--data=voc", data, f"--output={tmp_path}"])
    assert "--config" not in str(raised.value)


@pytest.mark.slow
def test_a_table_until_flat_with_rates(tiny_recipe, tmp_path, capsys):
    arguments = ["5", f"--output={tmp_path}", "--until_flat=99", "--tune_rates=0.5,1", "--seeds=2"]
    call(table, [*arguments, "--max_steps=4"])
    text = (tmp_path / "shapes/table5.md").read_text()
    assert "Flat: from 2 to 4 steps no network gains more than 99 points" in text
    assert "| train mIoU | mIoU is | rate |" in text
    assert "| GCN over Baseline | internal accuracy | +1.1 |" in text
    with (tmp_path / "shapes/table5_budgets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["steps"] for row in rows] == ["2"] * 6 + ["4"] * 6
    assert all(0 <= float(row["train_miou"]) <= 1 for row in rows)
    assert (tmp_path / "shapes/table5_claims.csv").exists()
    assert "at most 17 runs and" in capsys.readouterr().out  # of 6 trials and 12 runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1", "--max_steps=9"], "--max_steps is for --until_flat; without it: --set num_steps=N"),
        (["1", "--until_flat", "--max_steps=700"], "allows no doubling of 600 steps"),
        (["1", "--until_flat=-1"], "until_flat.*is not a number of points"),
        (["1", "--tune_rates=1,x"], "--tune_rates=1,x: give different numbers above 0"),
        (["1", "--tune_rates=1,1"], "--tune_rates=1,1: give different numbers above 0"),
        (["7", "--tune_rates=1,2"], "--tune_rates is not for table 7"),
    ],
)
def test_wrong_budgets_and_rates_are_refused(arguments, message, tmp_path):
    with pytest.raises(UserError, match=message):
        call(table, [*arguments, f"--output={tmp_path}"])
