"""The command that draws valid fields above a noise floor."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from gcn_jax import models
from gcn_jax.analysis.receptive_field import figures
from gcn_jax.cli.analysis import valid_field
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from gcn_jax.workdir import Workdir
from tests.helpers.fakes import INFO, random_source, tiny_pretrained


@pytest.fixture
def source(monkeypatch):
    """Six images; and runs a_seed0, a_seed1 and b, of which the settings of b are others."""
    noise = random_source([(24, 30)] * 6)

    class Labelled:
        name, class_names, is_labelled = "small", INFO.class_names, True

        def __len__(self):
            return len(noise)

        def __getitem__(self, index):
            label = np.zeros((24, 30), np.uint8)
            label[6:18, 9:21] = 1 + index % 2
            return {**noise[index], "label": label}

    monkeypatch.setattr(valid_field, "open_run_data", lambda path, split: Labelled())

    def load(path):
        pretrained = tiny_pretrained(seed=len(path.split("/")[-1]))
        preprocessing = {"mean": np.float32(INFO.mean), "std": np.float32(INFO.std)}
        return pretrained._replace(
            variables={**pretrained.variables, "preprocessing": preprocessing}
        )

    monkeypatch.setattr(models, "load_pretrained", load)
    monkeypatch.setattr(models, "read_info", lambda path: INFO)
    monkeypatch.setattr(
        Workdir, "read_config", lambda self: {"seed": id(self), "head": self.path.name[0]}
    )
    return Labelled


def test_the_command_writes_a_picture_and_areas(source, tmp_path, monkeypatch, capsys):
    drawn = []
    png = figures._png
    monkeypatch.setattr(figures, "_png", lambda figure: drawn.append(figure) or png(figure))
    runs = "runs/a_seed0,runs/b,runs/a_seed1"
    call(
        valid_field,
        [f"--ckpt={runs}", "--images=6", "--scales=1,2", "--patch=4", f"--output={tmp_path}/out"],
    )
    printed = capsys.readouterr().out
    (figure,) = drawn
    assert [axes.get_title("left") for axes in figure.axes] == [
        f"{name}, image x {scale}" for scale in (1, 2) for name in ("A  a", "B  b")
    ]
    # A row of panels shows the same part of the scene, in its pixels.
    assert [axes.get_xlim()[1] for axes in figure.axes] == [15, 15, 30, 30]
    with Image.open(tmp_path / "out/valid_field.png") as picture:
        assert min(picture.size) > 300
    rows = [*csv.DictReader(io.StringIO((tmp_path / "out/valid_field.csv").read_text()))]
    every = [row for row in rows if row["objects"] == "all"]
    assert [(row["network"], row["runs"], row["scale"], row["share"]) for row in every] == [
        (name, runs, scale, share)
        for scale in "12"
        for name, runs in (("a", "2"), ("b", "1"))
        for share in ("0.5", "0.8", "0.95")
    ]
    assert {row["images"] for row in every} == {"6"}
    # These networks see 5 x 5 pixels, so no more than 3 x 3 places.
    assert all(int(row["area_px"]) <= 9 * (4 * int(row["scale"])) ** 2 for row in rows)
    assert all((row["runs_low"] == "") == (row["runs"] == "1") for row in every)
    assert "x 1: all runs are right at " in printed
    assert f"wrote {tmp_path}/out/valid_field.csv" in printed


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("--ckpt=", "valid-field needs --ckpt=DIR,DIR"),
        ("--ckpt=runs/a,runs/a", "the run runs/a is named twice"),
        ("--scales=0.5", "--scales=0.5: give factors from 1 on, such as 1,2,4"),
        ("--scales=1,two", "--scales=1,two: give factors"),
        ("--class=none", "unknown --class 'none'"),
        ("--class=car", "small has 0 images with car .*, not 6; lower --images"),
        ("--images=7", "small has 6 images with an object .*, not 7; lower --images"),
        ("--patch=25", "--patch=25 is larger than the smallest image"),
        ("more", "unexpected argument 'more'"),
    ],
)
def test_wrong_arguments_are_refused(source, wrong, message, tmp_path):
    arguments = ["--ckpt=runs/a", "--images=6", f"--output={tmp_path}", wrong]
    with pytest.raises(UserError, match=message):
        call(valid_field, arguments)


def test_labels_and_classes_of_the_first_run(source, monkeypatch):
    other = dataclasses.replace(INFO, class_names=("road", "sky"), palette=INFO.palette[:2])
    monkeypatch.setattr(models, "read_info", lambda path: other)
    with pytest.raises(UserError, match="the model of runs/b has other classes than small"):
        call(valid_field, ["--ckpt=runs/a,runs/b"])
    source.is_labelled = False
    with pytest.raises(UserError, match="small has no labels to find objects by"):
        call(valid_field, ["--ckpt=runs/a,runs/b"])


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["baseline_seed0", "baseline_seed12"], "baseline"),
        (["gcn_k15_seed0", "gcn_k15_seed1"], "gcn_k15"),
        (["gcn_k15_seed1000", "gcn_k15_seed1001"], "gcn_k15"),
        (["gcn_k15_0", "gcn_k15_1"], "gcn_k15"),
        (["gcn_k15_seed0"], "gcn_k15_seed0"),
        (["one", "two"], "one"),
    ],
)
def test_networks_are_called_what_their_runs_have_in_common(names, name):
    assert valid_field._common_name(names) == name
