"""The world `shapes`: what is drawn, what is labelled, and what cannot be seen from nearby."""

import numpy as np
import pytest

from gcn_jax.data.classes import IGNORE_LABEL
from gcn_jax.data.shapes import objects as shapes_objects
from gcn_jax.data.shapes import world as shapes

COUNT = 200
KINDS = ("rod", "slab", "bar", "polygon", "disc", "ring", "star")


@pytest.fixture(scope="module")
def world():
    """The first images of one split, stacked."""
    examples = [shapes.render(7, index) for index in range(COUNT)]
    return {name: np.stack([e[name] for e in examples]) for name in examples[0]}


def labels_of(kind):
    return [i for i, c in enumerate(shapes.CLASSES) if c.kind == kind]


def test_format(world):
    assert world["image"].shape == (COUNT, 128, 128, 3)
    assert world["label"].shape == world["cue_distance"].shape == (COUNT, 128, 128)
    assert all(array.dtype == np.uint8 for array in world.values())
    assert set(np.unique(world["label"])) == {*range(len(shapes.CLASSES)), IGNORE_LABEL}


def test_an_image_is_a_function_of_seed_and_index(world):
    again = shapes.render(7, 3)
    for name, array in again.items():
        np.testing.assert_array_equal(array, world[name][3])
    for other in (shapes.render(8, 3), shapes.render(7, 4)):
        assert (other["image"] != again["image"]).mean() > 0.5


def test_class_table():
    assert shapes.CLASS_NAMES[0] == "background"
    assert len(set(shapes.CLASS_NAMES)) == len(shapes.CLASS_NAMES) == 11
    assert {c.kind for c in shapes.CLASSES[1:]} == set(KINDS)
    for kind in KINDS:  # a kind has one class, or twins that their cues tell apart
        cues = [shapes.CLASSES[i].cue for i in labels_of(kind)]
        assert cues == [""] or (len(cues) == 2 and len({*cues, ""}) == 3)


def test_every_class_is_frequent(world):
    present = np.stack([(world["label"] == i).any(axis=(1, 2)) for i in range(11)])
    frequency = present.mean(axis=1)
    assert frequency[0] == 1
    assert frequency[1:].min() > 0.2
    for warm, cool in (labels_of("rod"), labels_of("slab"), labels_of("bar")):
        assert abs(frequency[warm] - frequency[cool]) < 0.15  # neither twin is the better guess


@pytest.mark.parametrize("kind", ["rod", "slab", "bar"])
def test_twins_are_never_in_one_image(world, kind):
    first, second = ((world["label"] == i).any(axis=(1, 2)) for i in labels_of(kind))
    assert first.any()
    assert second.any()
    assert not (first & second).any()


def test_void_lies_between_regions_of_different_classes(world):
    label = world["label"].astype(int)
    for a, b in ((label[:, 1:], label[:, :-1]), (label[:, :, 1:], label[:, :, :-1])):
        touching = (a != b) & (a != IGNORE_LABEL) & (b != IGNORE_LABEL)
        assert not touching.any()
    share = (label == IGNORE_LABEL).mean()
    assert 0.04 < share < 0.12


def test_cue_distance_is_given_where_a_cue_decides(world):
    with_cue = [i for i, c in enumerate(shapes.CLASSES) if c.cue]
    np.testing.assert_array_equal(
        world["cue_distance"] != shapes.NO_CUE, np.isin(world["label"], with_cue)
    )


def test_cue_distances_are_spread(world):
    distance = world["cue_distance"][world["cue_distance"] != shapes.NO_CUE]
    counts = np.histogram(distance, bins=[0, 20, 40, 60, 80, 100, 120])[0] / distance.size
    assert counts[:4].min() > 0.08
    assert counts[4:].min() > 0.002
    assert distance.max() < 150  # no larger than the image allows, so never capped


def test_cue_distance_of_a_rod_starts_at_its_head(world):
    rods = np.isin(world["label"], labels_of("rod"))
    head = world["image"][rods & (world["cue_distance"] == 0)].astype(int)
    warm = world["label"][rods & (world["cue_distance"] == 0)] == labels_of("rod")[0]
    redder = head[:, 0] > head[:, 2]
    assert (redder == warm).mean() > 0.97


def test_cue_distance_of_a_bar_is_the_reach_that_settles_its_length():
    piece = shapes_objects.Piece([], cues=[(10.5, 0.5, 5.0), (110.5, 0.5, 5.0)])
    pixels = np.zeros(3, int), np.array([10, 30, 60])
    # No short bar is longer than 50: one must see 50 pixels from the end, 25 either way from amid.
    np.testing.assert_allclose(shapes_objects.cue_distance("long", piece, *pixels), [50, 30, 25])
    # A short bar is known to be one where its farther end is seen.
    np.testing.assert_allclose(shapes_objects.cue_distance("short", piece, *pixels), [100, 80, 50])


def test_cue_distance_of_a_rod_or_slab_is_that_to_the_rim_of_the_cue():
    piece = shapes_objects.Piece([], cues=[(0.5, 0.5, 5.0)])
    pixels = np.array([0, 3, 30]), np.array([0, 0, 40])
    np.testing.assert_allclose(shapes_objects.cue_distance("warm", piece, *pixels), [0, 0, 45])


@pytest.mark.parametrize("kind", ["rod", "slab", "bar"])
def test_twins_look_alike_far_from_the_cue(world, kind):
    far = (world["cue_distance"] > 15) & (world["cue_distance"] != shapes.NO_CUE)
    means = []
    for number in labels_of(kind):
        bodies = far & (world["label"] == number)
        colors = [
            image[body].mean(axis=0)
            for image, body in zip(world["image"], bodies, strict=True)
            if body.any()
        ]
        means.append((np.mean(colors, axis=0), np.std(colors, axis=0) / len(colors) ** 0.5))
    (first, first_error), (second, second_error) = means
    # Body colors are the same distribution: the means differ by chance only (4 standard errors).
    assert (np.abs(first - second) < 4 * np.hypot(first_error, second_error)).all()
