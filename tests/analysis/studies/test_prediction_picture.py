"""What several runs predict, as one picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gcn_jax import models
from gcn_jax.cli.analysis import pictures as pictures_command
from gcn_jax.cli.flags import run_names
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from gcn_jax.report.pictures import full_palette

#: What every pixel of the image, and of class 0 and 1, looks like.
GREY, RED, BLUE = [7] * 3, [200, 0, 0], [0, 0, 200]


class SmallSource:
    """A landscape and a portrait of one grey, all of class 1."""

    name, class_names = "small", ("ground", "thing")
    palette = full_palette([RED, BLUE])

    def __init__(self, is_labelled=True):
        self.is_labelled = is_labelled

    def __len__(self):
        return 2

    def __getitem__(self, index):
        size = ((10, 20), (20, 10))[index]
        sample = {"image": np.full((*size, 3), 7, np.uint8)}
        return sample | ({"label": np.ones(size, np.uint8)} if self.is_labelled else {})


@pytest.fixture
def source(monkeypatch):
    """Make runs of "small", each of which predicts one class: 1 for "truth", else 0."""
    source = SmallSource()
    classes = {"other": ("ground", "sky")}

    def load(path):
        name = Path(path).name
        info = models.ModelInfo(
            "_tiny", {}, classes.get(name, source.class_names), (), (0,) * 3, (1,) * 3
        )
        return models.Pretrained(None, name == "truth", info, 1)

    monkeypatch.setattr(pictures_command.models, "load_pretrained", load)
    monkeypatch.setattr(
        pictures_command.models,
        "predict",
        lambda model, class_number, image: np.full(image.shape[:2], class_number, int),
    )
    monkeypatch.setattr(pictures_command, "open_run_data", lambda path, split: source)
    return source


def drawn(tmp_path, *arguments) -> np.ndarray:
    path = tmp_path / "picture.png"
    call(pictures_command, [*arguments, f"--output={path}"])
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def test_each_run_is_a_row_under_the_truth(source, tmp_path):
    """Even if it is called as another row; portraits keep their shape."""
    picture = drawn(tmp_path, "--ckpt=runs/image,runs/truth", "--num_images=2")
    # Tiles are 240 wide, the second one 480 high; rows begin every 486 pixels.
    column = picture.shape[1] - 2 * 246
    assert picture[60, column + 10].tolist() == GREY
    assert (picture[130:480, column + 10] == 255).all()  # the first is a landscape
    for row, color in enumerate((GREY, BLUE, RED, BLUE)):
        assert picture[486 * row + 470, column + 246 + 230].tolist() == color


def test_what_is_right_may_be_faint(source, tmp_path):
    picture = drawn(tmp_path, "--ckpt=runs/a,runs/truth", "--num_images=1", "--errors")
    column = picture.shape[1] - 246
    wrong, right = (picture[126 * row + 60, column + 10].tolist() for row in (2, 3))
    assert wrong == RED
    assert right == [255 - (255 - value) // 5 for value in BLUE]
    source.is_labelled = False
    with pytest.raises(UserError, match="small has no labels, so no errors are known"):
        drawn(tmp_path, "--ckpt=runs/a", "--num_images=1", "--errors")


def test_images_from_an_index_on_without_labels(source, tmp_path):
    source.is_labelled = False
    picture = drawn(tmp_path, "--ckpt=runs/a", "--index=1", "--num_images=1")
    for row, color in enumerate((GREY, RED)):  # the portrait
        assert picture[486 * row + 470, -16].tolist() == color


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--num_images=3"], "small has 2 images, not 3"),
        (["--ckpt=runs/a,runs/a"], "the run runs/a is named twice"),
        (["--ckpt="], "pictures needs --ckpt=DIR,DIR"),
        (["--ckpt=runs/a,runs/other"], "runs/other has other classes than small"),
    ],
)
def test_wrong_arguments_are_refused(source, tmp_path, wrong, message):
    with pytest.raises(UserError, match=message):
        drawn(tmp_path, "--ckpt=runs/a,runs/b", "--num_images=2", *wrong)


def test_runs_are_called_as_their_folders():
    assert run_names(["runs/a", "other/b"]) == ["a", "b"]
    tables = ["runs/a/shapes/gcn_k15_seed0", "runs/b/shapes/gcn_k15_seed0"]
    assert run_names(tables) == ["a_shapes_gcn_k15_seed0", "b_shapes_gcn_k15_seed0"]
    with pytest.raises(UserError, match="the run runs/b/../a is named twice"):
        run_names(["runs/a", "runs/b/../a"])
