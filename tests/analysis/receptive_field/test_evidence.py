"""The noise floor of valid fields, settled on networks whose field is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gcn_jax.analysis.receptive_field import evidence
from gcn_jax.analysis.receptive_field.evidence import (
    above_floor,
    inside,
    mass_above_floor,
    measure_area,
    respond,
)
from gcn_jax.analysis.receptive_field.sight import Scene, scenes_of_all_classes
from gcn_jax.analysis.receptive_field.units import Unit
from gcn_jax.errors import UserError

SIZE, PATCH, CLASSES = 48, 6, 5
REACH = SIZE // PATCH
VARIABLES = {"preprocessing": {"mean": jnp.full(3, 128.0), "std": jnp.full(3, 64.0)}}
OFFSETS = PATCH * np.arange(-REACH, REACH + 1)  # of the centres of places from the unit


class Known(nn.Module):
    """The score of class 1 is the mean of a window; any change of the image moves all by noise.

    Attributes:
        window: Its side in px, odd; 0 for a score that looks at nothing, -1 for the whole image.
        noise: The amplitude of the noise, which is another for every image and class.
        everywhere: What is added to every score for each unit of the mean of the image.
        constant: What is added to every score.
    """

    window: int
    noise: float
    everywhere: float = 0.0
    constant: float = 0.0
    num_classes: int = CLASSES

    @nn.compact
    def __call__(self, images, *, train=False):
        weights = np.random.default_rng(0).normal(size=(1, *images.shape[1:], CLASSES))
        phases = (images[..., None] * weights.astype(np.float32)).sum(axis=(1, 2, 3))
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        seen = mean
        if self.window > 0:
            seen = images.mean(axis=3, keepdims=True)
            for shape in ((self.window, 1), (1, self.window)):
                seen = nn.avg_pool(seen, shape, padding="SAME")
        own = np.float32(np.arange(CLASSES) == 1).reshape(1, 1, 1, -1) * bool(self.window)
        scores = self.noise * jnp.sin(20 * phases)[:, None, None] + self.everywhere * mean
        scores += self.constant + seen * own
        return jnp.broadcast_to(scores, (*images.shape[:3], CLASSES))


def scene(seed):
    """Coarse noise, with the unit on an object of 9 x 9 pixels."""
    rng = np.random.default_rng(seed)
    image = np.kron(rng.integers(0, 256, (12, 12, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    row, column = rng.integers(12, SIZE - 12, 2).tolist()
    body = np.zeros((SIZE, SIZE), bool)
    body[row - 4 : row + 5, column - 4 : column + 5] = True
    return Scene(image, body, Unit(row, column, 1), (0, 2, 3))


def excess_of(model, seeds, **how):
    how = {"patch": PATCH, "reach": REACH, **how}
    return np.stack(
        [respond(model, VARIABLES, scene(seed), seed=seed, **how).excess for seed in seeds]
    )


def square(side):
    """Places that overlap a window of so many pixels around the unit."""
    near = np.abs(OFFSETS) < (side + PATCH) / 2
    return near[:, None] & near


def whole(side):
    """Places that lie wholly within it."""
    within = np.abs(OFFSETS) <= (side - PATCH) / 2
    return within[:, None] & within


@pytest.mark.parametrize("noise", [1e-3, 1.0])
def test_a_network_that_looks_at_nothing_has_no_outline(noise):
    """But one in twenty: of 40 trials 5 or more have a probability of 0.05."""
    model = Known(0, noise)
    found = [above_floor(excess_of(model, range(8 * i, 8 * i + 8))).any() for i in range(40)]
    assert sum(found) <= 4


def test_rounding_is_no_change():
    excess = excess_of(Known(0, 1e-5, constant=10.0), range(8))
    assert not np.nan_to_num(excess).any()


@pytest.mark.parametrize("side", [7, 25])
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_known_window_is_enclosed_and_nothing_else(side, noise):
    excess = excess_of(Known(side, noise), range(50))
    above = above_floor(excess)
    assert above[whole(side)].all()
    if not noise:  # a rate holds in the mean of many trials: the test below
        assert not (above & ~square(side)).any()
    area = inside(mass_above_floor(excess), 0.95)
    assert area[whole(side)].all()
    assert not (area & ~square(side)).any()


def test_the_outline_of_a_whole_image_is_the_image():
    excess = excess_of(Known(-1, 0.0), range(50))
    count = np.isfinite(excess).sum(axis=0)
    np.testing.assert_array_equal(above_floor(excess), count >= 25)


@pytest.mark.slow  # 40 s
@pytest.mark.parametrize(("side", "noise"), [(15, 0.02), (25, 0.005)])
def test_noise_beside_a_window_is_found_at_the_stated_rate(side, noise):
    """Of all that is found, 1 in 20 in the mean; no seed is chosen."""
    shares = []
    for i in range(10):
        above = above_floor(excess_of(Known(side, noise), range(20 * i, 20 * i + 20)))
        assert above[REACH, REACH]
        shares.append((above & ~square(side)).sum() / above.sum())
    assert np.mean(shares) <= evidence.FALSE_DISCOVERIES


def test_what_moves_all_classes_alike_is_noise():
    above = above_floor(excess_of(Known(7, 0.0, everywhere=3.0), range(30)))
    assert above[REACH, REACH]
    assert not (above & ~square(7)).any()


def test_areas_by_hand():
    """The excess is 6, 3, 0.6 and 0.4, with a little noise there and beside."""
    excess = np.zeros((2, 20, 3, 3))
    rng = np.random.default_rng(0)
    excess[:, :, 0] = [6, 3, 0.6]
    excess[:, :, 1, 0] = 0.4
    excess += rng.normal(size=excess.shape) * 1e-3
    body = np.zeros((20, 3, 3), int)
    body[:, 0, 0], body[:, 2, 2] = 30, 10
    areas = [measure_area(excess, body, 5, share) for share in (0.5, 0.8, 0.95)]
    assert [area.pixels for area in areas] == [25, 50, 75]
    assert [area.object_share for area in areas] == [0.75] * 3
    assert areas[1].runs == areas[1].images == (50, 50)
    # Runs of areas of 25 and 75 px: their mean is 50, its standard error 25.
    excess[1, :, 0] = 3
    by_run = measure_area(excess, body, 5, 0.5).runs
    assert by_run == (0, pytest.approx(50 + 12.706 * 25, abs=0.1))
    assert np.isnan(measure_area(excess[:1], body, 5, 0.5).runs).all()


def test_nothing_above_the_floor_has_no_area():
    body = np.ones((6, 3, 3), int)
    area = measure_area(np.zeros((2, 6, 3, 3)), body, 4, 0.95)
    assert area == (0, (0, 0), (0, 0), 0)
    assert not above_floor(np.full((6, 3, 3), np.nan)).any()


def test_images_are_covered_with_themselves_place_by_place():
    """A network that looks at one place sees the pieces that are put there."""
    one = scene(3)
    found = respond(Known(-1, 0.0), VARIABLES, one, patch=PATCH, reach=REACH, draws=2, seed=7)
    side = 2 * REACH + 1
    pieces = np.random.default_rng(7).integers(0, SIZE - PATCH + 1, (2, side * side, 2))
    row, column = one.unit.row - PATCH // 2, one.unit.column - PATCH // 2 + PATCH
    number = REACH * side + REACH + 1  # right of the middle
    changes = []
    for top, left in pieces[:, number]:
        covered = one.image.copy()
        covered[row : row + PATCH, column : column + PATCH] = one.image[
            top : top + PATCH, left : left + PATCH
        ]
        changes.append(abs(covered.astype(float).mean() - one.image.mean()) / 64)
    assert found.excess[REACH, REACH + 1] == pytest.approx(np.mean(changes), rel=1e-2, abs=1e-5)
    assert found.body.sum() == 81
    assert found.body[REACH, REACH] == 36


def test_every_class_has_its_turn():
    """Background and void are no objects, nor does an image with every class say what noise is."""

    def example(*classes):
        label = np.zeros((8, 8), np.uint8)
        label[0, : len(classes)] = classes
        return {"image": np.zeros((8, 8, 3), np.uint8), "label": label}

    examples = [
        example(1, 2),
        example(),
        example(1, 2, 3),
        example(1, 3),
        example(255, 2),
        example(1),
    ]
    scenes = scenes_of_all_classes(examples, 4, 9)
    assert [(one.unit.class_number, one.absent) for one in scenes] == [
        (1, (3,)),
        (3, (2,)),
        (2, (1, 3)),
        (1, (2, 3)),
    ]
    assert scenes[0].enlarged(2).absent == (3,)
    assert len(scenes_of_all_classes(examples, 4, 2)) == 2
    only = scenes_of_all_classes(examples, 4, 9, class_number=3)
    assert [one.unit.class_number for one in only] == [3]


def test_too_large_patches():
    with pytest.raises(UserError, match="patches of 49 px do not fit into 48 x 48 pixels"):
        respond(Known(0, 1.0), VARIABLES, scene(0), patch=49, reach=1)
