import jax
import numpy as np
import pytest

from gcn_jax.inference import resizing
from gcn_jax.mesh import batch_sharding, data_mesh
from tests.helpers.reference import interpolate

#: (height, width) of images in one array of 64 x 64.
SIZES = np.array([(17, 31), (20, 64), (64, 33), (1, 1), (40, 2), (64, 64), (5, 60)], np.int32)
resize = jax.jit(resizing.resize, static_argnums=3)


def noise(seed=0):
    """Arrays whose padding is so large that it shows wherever it leaks."""
    rng = np.random.default_rng(seed)
    arrays = np.full((len(SIZES), 64, 64, 3), 1e6, np.float32)
    for array, (height, width) in zip(arrays, SIZES, strict=True):
        array[:height, :width] = rng.normal(size=(height, width, 3))
    return arrays


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("scale", [0.5, 0.75, 1.0, 1.3, 2.0])
def test_each_image_is_resized_as_if_alone(scale, mirror):
    arrays, new_sizes = noise(), np.maximum(np.rint(SIZES * scale), 1).astype(np.int32)
    resized = np.asarray(resize(arrays, SIZES, new_sizes, (128, 128), mirror))
    for i, ((height, width), (new_height, new_width)) in enumerate(
        zip(SIZES, new_sizes, strict=True)
    ):
        expected = interpolate(arrays[i, :height, :width], (new_height, new_width))
        expected = expected[:, ::-1] if mirror else expected
        np.testing.assert_allclose(resized[i, :new_height, :new_width], expected, atol=2e-5)


def test_to_the_same_size_and_larger_arrays_changes_no_bit():
    arrays = noise()
    resized = np.asarray(resize(arrays, SIZES, SIZES, (80, 96), False))
    for before, after, (height, width) in zip(arrays, resized, SIZES, strict=True):
        np.testing.assert_array_equal(after[:height, :width], before[:height, :width])


def test_what_is_beyond_an_image_is_filled():
    arrays = noise()
    filled = np.asarray(resizing.fill_outside(arrays, SIZES, np.float32([7, 8, 9])))
    for before, after, (height, width) in zip(arrays, filled, SIZES, strict=True):
        expected = np.full_like(before, [7, 8, 9])
        expected[:height, :width] = before[:height, :width]
        np.testing.assert_array_equal(after, expected)


def test_devices_send_each_other_nothing():
    split = batch_sharding(data_mesh(jax.devices()[:7]))
    arrays, sizes = jax.device_put((noise(), SIZES), split)
    compiled = resize.lower(arrays, sizes, sizes, (96, 96), True).compile()
    assert not [name for name in ("all-gather", "all-reduce") if name in compiled.as_text()]
