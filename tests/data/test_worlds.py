"""Worlds beside that of `shapes`: what each has otherwise, and that nothing else changed."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from gcn_jax.data.builders.shapes import Shapes, ShapesLarge, ShapesOutlines, ShapesThin
from gcn_jax.data.classes import IGNORE_LABEL
from gcn_jax.data.shapes import world as shapes

COUNT = 40


@pytest.fixture(scope="module")
def drawn():
    """The first training images of the data sets, stacked."""
    found = {}
    for cls in (Shapes, ShapesOutlines, ShapesThin, ShapesLarge):
        examples = [shapes.render(1, index, cls.world) for index in range(COUNT)]
        found[cls] = {name: np.stack([e[name] for e in examples]) for name in examples[0]}
    return found


def digest(render, seed, count):
    arrays = [render(seed, i)[name] for i in range(count) for name in ("image", "label")]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.mark.parametrize(
    ("render", "seed", "count", "expected"),
    [
        (shapes.render, 1, 20, "65719b195a2f9d314276e38783e22f46f495547044f088dac82fc8226edb9ff2"),
        (shapes.render, 2, 20, "dce87675fe0b8044ea030084d34182612e40cae0caeb02daaca4e231754f1207"),
        (
            shapes.render_one,
            1,
            10,
            "c271b75ab9eed93089eedb15c9eb570750a3be0c3ca0c708c0cd5bb9154a0b7d",
        ),
    ],
)
def test_the_world_of_published_scores_is_as_it_was(render, seed, count, expected):
    assert digest(render, seed, count) == expected


def test_another_process_draws_the_same():
    code = (
        "import hashlib; from gcn_jax.data.shapes.world import World, render\n"
        f"image = render(1, 5, {ShapesThin.world})['image']\n"
        "print(hashlib.sha256(image.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    image = shapes.render(1, 5, ShapesThin.world)["image"]
    assert done.stdout.strip() == hashlib.sha256(image.tobytes()).hexdigest()


@pytest.mark.parametrize("cls", [ShapesOutlines, ShapesThin, ShapesLarge])
def test_every_class_is_in_a_fifth_of_the_images(drawn, cls):
    label = drawn[cls]["label"]
    assert label.shape == (COUNT, cls.world.size, cls.world.size)
    present = [(label == i).any(axis=(1, 2)).mean() for i in range(len(shapes.CLASSES))]
    assert min(present) > 0.2


def test_outlines_count_and_nothing_else_changes(drawn):
    with_void, without = drawn[Shapes], drawn[ShapesOutlines]
    np.testing.assert_array_equal(with_void["image"], without["image"])
    assert (without["label"] < len(shapes.CLASSES)).all()
    labelled = with_void["label"] != IGNORE_LABEL
    np.testing.assert_array_equal(with_void["label"][labelled], without["label"][labelled])
    for label, void in zip(without["label"], ~labelled, strict=True):
        cross = ndimage.generate_binary_structure(2, 1)
        low = ndimage.minimum_filter(label, footprint=cross)
        high = ndimage.maximum_filter(label, footprint=cross)
        np.testing.assert_array_equal(void, low != high)  # what was void are the outlines, exactly


def depths(label):
    """How far pixels of objects are from their outline, in pixels."""
    edges = np.zeros(label.shape, bool)
    for i in range(1, len(shapes.CLASSES)):
        body = label == i
        edges |= body & ~ndimage.binary_erosion(body, border_value=1)
    return ndimage.distance_transform_edt(~edges)[label != 0]


def test_thin_objects_are_thin_and_many(drawn):
    outlines, thin = (drawn[cls]["label"] for cls in (ShapesOutlines, ShapesThin))
    thick, fine = (np.concatenate([*map(depths, label)]) for label in (outlines, thin))
    assert fine.mean() < 0.45 * thick.mean()
    assert (fine < 2).mean() > 0.55  # most pixels of objects are at an outline
    assert (thick < 2).mean() < 0.35
    assert (thin != IGNORE_LABEL).all()

    def pieces(labels):
        return np.mean([sum(ndimage.label(x == i)[1] for i in range(1, 11)) for x in labels])

    assert pieces(thin) > 4 * pieces(outlines)


def test_large_images_hold_cues_that_are_twice_as_far(drawn):
    small, large = (drawn[cls]["cue_distance"] for cls in (Shapes, ShapesLarge))
    of_small, of_large = (d[d != shapes.NO_CUE].astype(float) for d in (small, large))
    for share in (0.25, 0.5, 0.75):
        ratio = np.quantile(of_large, share) / np.quantile(of_small, share)
        assert 1.8 < ratio < 2.2
    # Distances do not wrap around where they exceed a byte: those of a bar or rod grow evenly.
    jumps = np.abs(np.diff(large.astype(int), axis=2))
    assert not ((jumps > 200) & (large[..., 1:] != shapes.NO_CUE) & (large[..., :-1] != 255)).any()
    objects = [(drawn[cls]["label"] != 0).mean() for cls in (Shapes, ShapesLarge)]
    assert abs(objects[0] - objects[1]) < 0.03
