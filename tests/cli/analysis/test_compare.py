"""The command `analysis compare`, on a few small images."""

import csv
import json

import jax
import pytest

from gcn_jax import models
from gcn_jax.analysis.studies.systems import System
from gcn_jax.cli.analysis import compare
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from tests.helpers.published_data import make_sbd, make_voc


@pytest.mark.slow
def test_systems_are_compared(tiny_recipe, tmp_path, monkeypatch, capsys):
    reduced = {"name": "_tiny", "upsampling": "bilinear"}
    tiny = System("gcn", {"name": "_tiny"}, reduced, {"miou": 12.3})
    monkeypatch.setattr(compare, "SYSTEMS", {"gcn": tiny})
    arguments = ["--data=shapes", "--models=gcn", "--size=reduced", f"--output={tmp_path}"]
    call(compare, [*arguments, "--until_flat=99", "--max_steps=4", "--tune_rates=0.5,1"])
    folder = tmp_path / "shapes_reduced"
    trials = json.loads((folder / "rates.json").read_text())["gcn"]
    best = "" if trials["best"] == 1 else "_0.5x_rate"
    run = folder / f"2x_steps{best}" / "gcn_seed0"
    result = json.loads((run / "gcn.json").read_text())
    assert f"| gcn | 12.3 | {100 * result['miou']:.1f} |" in (folder / "compare.md").read_text()
    with (folder / "compare.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["equal"], row["steps"]) == ("images", "4")
    assert (folder / "compare_budgets.svg").read_text().startswith("<?xml")
    params = jax.tree.leaves(models.load_pretrained(run).variables["params"])
    assert int(row["parameters"]) == sum(leaf.size for leaf in params)
    assert float(row["images_per_second"]) > 0
    # The state alone, parameters and momentum, is 8 bytes a parameter.
    assert float(row["training_bytes"]) > 8 * int(row["parameters"])
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_systems_are_compared_in_equal_time(tiny_recipe, tmp_path, monkeypatch):
    tiny = {name: System(name, {"name": "_tiny"}, {"name": "_tiny"}) for name in ("gcn", "fpn")}
    monkeypatch.setattr(compare, "SYSTEMS", tiny)
    speeds = {"gcn_seed0": 10.0, "fpn_seed0": 15.0}
    monkeypatch.setattr(compare, "training_speed", lambda workdir: speeds[workdir.name])
    arguments = ["--data=shapes", "--models=gcn,fpn", "--size=reduced", f"--output={tmp_path}"]
    call(compare, [*arguments, "--equal_time"])
    folder = tmp_path / "shapes_reduced"
    with (folder / "compare.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [(row["equal"], row["system"], row["steps"]) for row in rows] == [
        ("images", "gcn", "2"),
        ("images", "fpn", "2"),
        ("time", "gcn", "2"),
        ("time", "fpn", "3"),
    ]
    text = (folder / "compare.md").read_text()
    assert "In equal time each system trains for as long as gcn does" in text
    assert f"| {100 * float(rows[3]['miou']):.1f} | 3 |" in text


@pytest.mark.slow
def test_a_comparison_on_voc(short_run, tmp_path):
    for make in (make_voc, make_sbd):
        make(tmp_path)
    arguments = ["--data=voc", "--models=gcn,fcn8s", "--size=reduced", f"--output={tmp_path}"]
    call(compare, [*arguments, *short_run(tmp_path)])
    folder = tmp_path / "voc_reduced"
    with (folder / "compare.csv").open() as file:
        assert [row["system"] for row in csv.DictReader(file)] == ["gcn", "fcn8s"]
    assert len(json.loads((folder / "gcn_seed0/gcn.json").read_text())["per_class_iou"]) == 21


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models=gnc"], "unknown --models 'gnc' .did you mean gcn?"),
        (["--models="], "--models is empty; name some of gcn, fcn8s"),
        (["gcn"], "unexpected argument 'gcn'"),
        (["--data=coco"], "unknown --data 'coco'; choose one of: shapes, .*, camvid, voc"),
        (["--size=small"], "unknown --size 'small'; choose one of: reduced, full"),
    ],
)
def test_wrong_arguments_of_compare_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        call(compare, arguments)
