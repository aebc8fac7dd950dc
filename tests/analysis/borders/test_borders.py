"""Where two networks differ along borders: the rule, the curves, the picture and the command."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from gcn_jax import models
from gcn_jax.analysis.borders.differences import find_differences
from gcn_jax.analysis.borders.picture import draw, trimap_curves
from gcn_jax.cli.analysis import borders
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from gcn_jax.report.pictures import full_palette
from tests.helpers.fakes import INFO, random_source, tiny_pretrained

HALF = np.repeat(np.array([[0] * 20 + [1] * 20], np.uint8), 32, axis=0)


def moved(columns):
    """The map whose border is so many columns away from that of the truth."""
    return np.roll(np.pad(HALF, ((0, 0), (40, 40)), mode="edge"), columns, axis=1)[:, 40:80]


def test_images_are_chosen_by_their_gain_near_borders_and_all_are_summed():
    # Of 14 columns within 7 px of the border those between both borders are wrong.
    pairs = [(moved(4), moved(1)), (moved(2), moved(2)), (moved(0), moved(3)), (moved(1), moved(3))]
    found = find_differences([(HALF, *pair) for pair in pairs], 2)
    assert [(one.why, one.index) for one in found.chosen] == [
        ("most gained", 0),
        ("least difference", 1),
        ("most lost", 2),
    ]
    np.testing.assert_allclose([one.gain for one in found.chosen], [3 / 14, 0, -3 / 14])
    first, second = trimap_curves(found)["pixel accuracy"]
    # The borders are 4, 2, 0 and 1 columns off, and 1, 2, 3 and 3, all on one side.
    for width in (1, 2, 3, 7, 20):
        wrong = [
            sum(min(columns, width) for columns in off) for off in ((4, 2, 0, 1), (1, 2, 3, 3))
        ]
        of = 4 * min(2 * width, 40)
        np.testing.assert_allclose(
            [first[width - 1], second[width - 1]], [1 - n / of for n in wrong]
        )


def test_one_image_may_be_all_that_is_chosen():
    flat = np.zeros_like(HALF)
    found = find_differences([(flat, flat, flat), (HALF, moved(0), moved(2))], 2)
    assert [(one.why, one.index) for one in found.chosen] == [("least lost", 1)]
    assert found.num_images == 1
    with pytest.raises(UserError, match="no image has a border"):
        find_differences([(flat, flat, flat)], 2)


def test_errors_and_outlines_are_drawn():
    example = {"image": np.full((32, 40, 3), 200, np.uint8), "label": HALF}
    pictures = []
    for second in (moved(0), moved(6)):
        maps = (moved(0), second)
        found = find_differences([(HALF, *maps)], 2)
        with Image.open(io.BytesIO(draw(found, [example], [maps], ("a", "b")))) as file:
            pictures.append(np.asarray(file.convert("RGB")).astype(int))
    right, wrong = pictures
    rows = slice(0, round(right.shape[0] * 0.35))
    third = right.shape[1] // 3

    def colored(picture, column):
        panel = picture[rows, column * third : (column + 1) * third]
        return int((np.ptp(panel, axis=-1) > 60).sum())

    # Errors are the only colours of the middle panel.
    assert colored(right, 1) == colored(wrong, 1) == 0
    assert colored(wrong, 2) > colored(right, 2) + 500  # the bar of colours is there in both


@pytest.fixture
def runs(monkeypatch):
    """Two networks of other seeds, by the names of their workdirs, and a source of three images."""
    source = random_source([(40, 60), (33, 64), (48, 50)])

    class Labelled:
        name, class_names, is_labelled = "small", INFO.class_names, True
        palette = full_palette(INFO.palette)

        def __len__(self):
            return len(source)

        def __getitem__(self, index):
            label = np.zeros(source[index]["image"].shape[:2], np.uint8)
            label[:, 20:] = 1 + index
            return {**source[index], "label": label}

    monkeypatch.setattr(borders, "open_run_data", lambda path, split: Labelled())
    monkeypatch.setattr(
        models, "load_pretrained", lambda path: tiny_pretrained(seed=len(path.split("/")[-1]))
    )
    return Labelled


def test_the_command_writes_a_picture_and_its_curves(runs, tmp_path, capsys):
    path = tmp_path / "out/b.png"
    path.parent.mkdir()
    call(borders, ["--ckpt=runs/a,runs/bb", f"--output={path}"])
    assert f"wrote {path} and {path.with_suffix('.csv')}" in capsys.readouterr().out
    with Image.open(path) as picture:
        assert picture.width == 990
    rows = [*csv.DictReader(io.StringIO(path.with_suffix(".csv").read_text()))]
    assert [*rows[0]] == [
        "within_px", "pixel accuracy a", "pixel accuracy bb", "mIoU a", "mIoU bb",
    ]  # fmt: skip
    assert [int(row["within_px"]) for row in rows] == [*range(1, 41)]
    assert rows[-1]["pixel accuracy a"] != rows[-1]["pixel accuracy bb"]


def test_a_picture_is_not_written_over_by_its_curves(runs, tmp_path):
    with pytest.raises(UserError, match="it is a picture; name a file that ends in .png"):
        call(borders, ["--ckpt=runs/a,runs/bb", f"--output={tmp_path / 'b.csv'}"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("--ckpt=runs/a", "borders needs --ckpt=DIR,DIR"),
        ("--ckpt=runs/a,runs/a", "the run runs/a is named twice"),
    ],
)
def test_wrong_arguments_are_refused(runs, tmp_path, wrong, message):
    with pytest.raises(UserError, match=message):
        call(borders, [wrong, f"--output={tmp_path / 'b.png'}"])
    runs.is_labelled = False
    with pytest.raises(UserError, match="small has no labels"):
        call(borders, ["--ckpt=runs/a,runs/b", f"--output={tmp_path / 'b.png'}"])
