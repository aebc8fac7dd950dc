"""Effective and valid receptive fields of a linear network, by hand; and the command."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from gcn_jax.analysis.receptive_field import figures
from gcn_jax.analysis.receptive_field.effective import effective_field
from gcn_jax.analysis.receptive_field.sight import Scene, look, scene_on_object
from gcn_jax.analysis.receptive_field.tables import Network
from gcn_jax.analysis.receptive_field.units import (
    Unit,
    inmost_unit,
    level_holding,
    radius_holding,
    recentre,
    share_inside,
)
from gcn_jax.analysis.receptive_field.valid import valid_field
from gcn_jax.cli.analysis import receptive_field as receptive_field_command
from gcn_jax.cli.process import call
from gcn_jax.errors import UserError
from gcn_jax.models import ModelInfo, Pretrained
from gcn_jax.models.layers import Conv


class Linear(nn.Module):
    """Scores that are one 3 x 5 convolution of the image."""

    num_classes: int

    @nn.compact
    def __call__(self, images, *, train=False):
        return Conv(self.num_classes, (3, 5), name="conv")(images)


MODEL = Linear(2)
KERNEL = np.random.default_rng(0).normal(size=(3, 5, 3, 2)).astype(np.float32)
VARIABLES = {
    "params": {"conv": {"kernel": jnp.asarray(KERNEL), "bias": jnp.zeros(2)}},
    "preprocessing": {"mean": jnp.full(3, 100.0), "std": jnp.full(3, 50.0)},
}
IMAGE = np.random.default_rng(1).integers(0, 256, (9, 12, 3), np.uint8)


def logit(image, unit):
    """The score of a unit away from the borders."""
    window = image[unit.row - 1 : unit.row + 2, unit.column - 2 : unit.column + 3].astype(float)
    return ((window - 100) / 50 * KERNEL[..., unit.class_number]).sum()


def test_effective_field_is_the_kernel():
    units = [Unit(4, 6, 1), Unit(0, 11, 0)]
    fields = effective_field(MODEL, VARIABLES, np.stack([IMAGE, IMAGE]), units)
    expected = np.zeros((2, 9, 12))
    expected[0, 3:6, 4:9] = np.abs(KERNEL[..., 1]).sum(axis=2)
    expected[1, :2, 9:] = np.abs(KERNEL[1:, :3, :, 0]).sum(axis=2)  # beyond the corner is nothing
    np.testing.assert_allclose(fields, expected, rtol=1e-6)


def test_valid_field_is_what_covering_changes():
    unit, patch, stride = Unit(4, 6, 1), 3, 2
    total, count, most = np.zeros((9, 12)), np.zeros((9, 12)), 0
    places = [(row, column) for row in (0, 2, 4, 6) for column in (0, 2, 4, 6, 8, 9)]
    for number, (row, column) in enumerate(places):
        covered = IMAGE.copy()
        noise = jax.random.bits(jax.random.key(7 + number), (patch, patch, 3), jnp.uint8)
        covered[row : row + patch, column : column + patch] = noise
        change = logit(covered, unit) - logit(IMAGE, unit)
        total[row : row + patch, column : column + patch] += abs(change)
        count[row : row + patch, column : column + patch] += 1
        if abs(change) > abs(most):
            most, strongest, corner = change, covered, (row, column)
    how = {"patch": patch, "stride": stride, "seed": 7, "batch_size": 5}
    field, stimulus = valid_field(MODEL, VARIABLES, IMAGE, unit, **how)
    np.testing.assert_allclose(field, total / count, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(stimulus.image, strongest)
    assert stimulus.box == (*corner, corner[0] + 2, corner[1] + 2)
    scores = logit(IMAGE, unit), logit(strongest, unit)
    np.testing.assert_allclose((stimulus.plain, stimulus.covered), scores, rtol=1e-4)
    # The theoretical field says beforehand which patches change nothing.
    boxed, _ = valid_field(MODEL, VARIABLES, IMAGE, unit, box=(3, 4, 5, 8), **how)
    np.testing.assert_allclose(boxed, field, rtol=1e-4, atol=1e-4)


def test_fields_in_five_channels_of_16_bits():
    kernel = np.random.default_rng(2).normal(size=(3, 5, 5, 2)).astype(np.float32)
    variables = {
        "params": {"conv": {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(2)}},
        "preprocessing": {"mean": jnp.full(5, 100.0), "std": jnp.full(5, 50.0)},
    }
    image = np.random.default_rng(3).integers(0, 65536, (9, 12, 5), np.uint16)
    unit, inside = Unit(4, 6, 1), np.s_[3:6, 4:9]
    (effective,) = effective_field(MODEL, variables, image[None], [unit])
    np.testing.assert_allclose(effective[inside], np.abs(kernel[..., 1]).sum(2), rtol=1e-5)
    valid, stimulus = valid_field(MODEL, variables, image, unit, patch=3, stride=1)
    plain = ((image[inside] / 257 - 100) / 50 * kernel[..., 1]).sum()
    np.testing.assert_allclose(stimulus.plain, plain, rtol=1e-4)
    covered = (stimulus.image != image).any(axis=2)
    top, left, bottom, right = stimulus.box
    assert covered[top : bottom + 1, left : right + 1].all()
    assert covered.sum() == 9
    assert valid[inside].min() > 0
    assert not valid[:, 11].any()

    larger = Scene(image, np.ones((9, 12), bool), unit).enlarged(2)
    assert (larger.image.dtype, larger.image.shape) == (np.uint16, (18, 24, 5))
    np.testing.assert_array_equal(larger.image[0, 0], image[0, 0])
    between = 0.75 * image[0, 0] + 0.25 * image[0, 1].astype(float)
    np.testing.assert_allclose(larger.image[0, 1], between, atol=0.51)


@pytest.mark.parametrize(
    ("unit", "how", "message"),
    [
        (Unit(9, 0, 0), {}, "pixel 9,0 .* outside the image of 9 rows and 12 columns"),
        (Unit(0, 0, 2), {}, "classes 0 to 1, not 2"),
        (Unit(0, 0, 0), {"patch": 10}, "do not cover 12 x 9 pixels"),
        (Unit(0, 0, 0), {"patch": 3, "stride": 4}, "patches of 3 pixels at stride 4 do not cover"),
    ],
)
def test_impossible_units_and_patches(unit, how, message):
    with pytest.raises(UserError, match=message):
        valid_field(MODEL, VARIABLES, IMAGE, unit, **how)


def test_radius_and_level():
    field, unit = np.zeros((5, 5)), Unit(2, 2, 0)
    field[2, 2], field[2, 3], field[0, 2], field[4, 4] = 4, 3, 2, 1  # 0, 1, 2, sqrt(8) away
    assert [radius_holding(field, unit, share) for share in (0.4, 0.7, 0.71, 1)] == [
        0,
        1,
        2,
        8**0.5,
    ]
    assert [share_inside(field, unit, radius) for radius in (0, 1.9, 2)] == [0.4, 0.7, 0.9]
    assert [level_holding(field, share) for share in (0.3, 0.65, 0.95)] == [4, 3, 1]


def test_recentred_average():
    a, b = np.arange(6.0).reshape(2, 3), 10 * np.ones((2, 3))
    mean = recentre([a, b], [Unit(0, 0, 0), Unit(1, 2, 0)])
    expected = [[10, 10, 10, 0, 0], [10, 10, (10 + 0) / 2, 1, 2], [0, 0, 3, 4, 5]]
    assert mean.tolist() == expected


def test_inmost_unit():
    label = np.zeros((7, 9), int)
    label[1:6, 2:7] = 3  # its middle is (3, 4)
    label[0, 0] = 2
    assert inmost_unit(label, 3) == Unit(3, 4, 3)
    assert inmost_unit(label, 5) is None
    scene = scene_on_object(np.zeros((7, 9, 3), np.uint8), label, 4)
    assert scene.unit == Unit(3, 4, 3)
    larger = scene.enlarged(2)
    assert larger.image.shape == (14, 18, 3)
    assert larger.body.sum() == 4 * 25
    assert larger.unit == Unit(7, 9, 3)


def test_panels(monkeypatch):
    """Only narrow panels have two lines of title; the patch is framed in the stimulus alone."""
    monkeypatch.setattr(figures, "_png", lambda figure: figure)
    scene = scene_on_object(IMAGE, (IMAGE[..., 0] > 99).astype(int), 2)
    sight = look(MODEL, VARIABLES, scene, patch=3, stride=3)
    panels = [(f"{kind}, x 1, y", sight, kind) for kind in ("image", "stimulus", "valid")]
    wide, narrow = figures.panels(panels), figures.panels(2 * panels)
    assert [axes.get_title("left") for axes in wide.axes] == [title for title, *_ in panels]
    assert narrow.axes[3].get_title("left") == "image\nx 1, y"
    plain, stimulus, _ = wide.axes
    assert not plain.patches
    (frame,) = stimulus.patches
    top, left, *_ = sight.stimulus.box
    assert frame.get_bbox().bounds == (left - 0.5, top - 0.5, 3, 3)
    np.testing.assert_array_equal(plain.images[0].get_array(), IMAGE)
    np.testing.assert_array_equal(stimulus.images[0].get_array(), sight.stimulus.image)


def test_command(tmp_path, monkeypatch, capsys):
    """One image, two networks: every figure and number is written."""
    info = ModelInfo(
        "linear", {}, ("ground", "thing"), ((0, 0, 0), (9, 9, 9)), (100,) * 3, (50,) * 3
    )
    pretrained = Pretrained(MODEL, VARIABLES, info, 1)
    monkeypatch.setattr(receptive_field_command.models, "load_pretrained", lambda path: pretrained)
    monkeypatch.setattr(receptive_field_command.models, "predict", lambda *_: IMAGE[..., 0] // 128)
    Image.fromarray(IMAGE).save(tmp_path / "image.png")
    arguments = ["--ckpt=a", "--compare=b", f"--image={tmp_path}/image.png", "--patch=3"]
    call(receptive_field_command, [*arguments, "--stride=1", f"--output={tmp_path}/out"])
    for name in ("a.png", "b.png", "a_stimulus.png", "b_stimulus.png", "enlarged.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert min(picture.size) > 150
    numbers = json.loads((tmp_path / "out/receptive_field.json").read_text())
    assert numbers["layers"]["a"]["conv"] == {
        "vertical": {"size": 3, "stride": 1, "offset": 0},
        "horizontal": {"size": 5, "stride": 1, "offset": 0},
    }
    first, *_ = numbers["scores"]
    assert first["unit"]["class_number"] == 1
    assert 0 < first["effective_radius"] <= 5**0.5  # the corner of 3 x 5 pixels
    assert "3 x 5" in capsys.readouterr().out
    for wrong, message in (
        (["--layer=none"], "unknown layer 'none'"),
        (["--class=none"], "unknown class 'none'"),
        (["--num_images=2"], "drop --split and --num_images"),
        (["--sise=2"], "unknown flag --sise"),
        (["--compare=a"], "the run a is named twice"),
        (["more"], "unexpected argument 'more'"),
    ):
        with pytest.raises(UserError, match=message):
            call(receptive_field_command, [*arguments, *wrong])
    with pytest.raises(UserError, match="one of --ckpt=DIR, .*, --model=NAME and --stack=N"):
        call(receptive_field_command, [])
    with pytest.raises(UserError, match="one of --ckpt=DIR, .*, --model=NAME and --stack=N"):
        call(receptive_field_command, ["--ckpt=a", "--stack=3"])


def test_figures_show_the_network_that_they_are_called_after(monkeypatch):
    """And the stimulus is that of the image as it is."""
    monkeypatch.setattr(figures, "panels", lambda panels: [sight for _, sight, _ in panels])
    plain = {name: SimpleNamespace(of=name, stimulus=(None, None, 2.0, 1.0)) for name in "ab"}
    large = {name: SimpleNamespace(of=f"{name}, enlarged") for name in "ab"}
    sights = {(name, 1.0): [plain[name]] for name in "ab"}
    sights |= {(name, 2.0): [large[name]] for name in "ab"}
    files = receptive_field_command._figures([Network(name, None, {}) for name in "ab"], sights)
    for name in "ab":
        assert files[f"{name}_stimulus.png"] == 3 * [plain[name]]
        assert files[f"{name}.png"] == 2 * [plain[name]] + 2 * [large[name]]
    assert files["enlarged.png"] == [plain["a"], large["a"], large["b"]]


def test_command_of_a_model_by_name(capsys):
    call(
        receptive_field_command, ["--model=_tiny", "--field=kernel_size=3", "--layer=gcn4/left_k1"]
    )
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "left_k1" in line]
    assert [cell.strip() for cell in row.strip("│ ").split("│")[1:]] == ["31 x 15", "8", "0"]


def test_command_of_a_stack(tmp_path, monkeypatch, capsys):
    """Two 3 x 3 convolutions see 5 x 5 pixels of the image."""
    drawn = []
    png = figures._png
    monkeypatch.setattr(figures, "_png", lambda figure: drawn.append(figure) or png(figure))
    call(receptive_field_command, ["--stack=2", f"--output={tmp_path}"])
    ((axes,),) = (figure.axes for figure in drawn)
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["output: 1 x 1", "below 1 convolution: 3 x 3", "image: 5 x 5"]
    assert capsys.readouterr().out == f"wrote {tmp_path}/stack.png\n"
    assert (tmp_path / "stack.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="--stack draws no network: drop --layer"):
        call(receptive_field_command, ["--stack=2", "--layer=all"])
