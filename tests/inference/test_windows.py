import itertools

import jax
import numpy as np
import pytest

from gcn_jax.inference import windows
from gcn_jax.mesh import batch_sharding, data_mesh

origins = jax.jit(windows.origins, static_argnums=(2, 3))


def all_origins(sizes, window, grid):
    return np.stack([origins(i, sizes, window, grid) for i in range(grid[0] * grid[1])])


def test_four_crops_of_a_cityscapes_image_as_in_the_paper():
    grid = windows.make_grid((1024, 2048), (1024, 1024), overlap=0.66)
    assert grid == (1, 4)
    starts = all_origins(np.array([[1024, 2048]]), (1024, 1024), grid)
    np.testing.assert_array_equal(starts[:, 0], [[0, 0], [0, 341], [0, 683], [0, 1024]])


@pytest.mark.parametrize(
    ("length", "size", "overlap", "expected"),
    [(64, 64, 0.5, 1), (65, 64, 0.5, 2), (96, 64, 0.5, 2), (97, 64, 0.5, 3), (64, 32, 0, 2)]
    + [(768 + 512, 768, 1 / 3, 2), (40, 32, 0.99, 9)],
)
def test_number_of_windows_by_hand(length, size, overlap, expected):
    assert windows.make_grid((length, 64), (size, 64), overlap) == (expected, 1)


@pytest.mark.parametrize("overlap", [0.0, 1 / 3, 0.7])
def test_windows_cover_each_image_evenly(overlap):
    window, shape = (24, 32), (64, 96)
    sizes = np.array([(1, 1), (24, 32), (25, 33), (40, 96), (64, 50), (64, 96), (63, 95)])
    grid = windows.make_grid(shape, window, overlap)
    starts = all_origins(sizes, window, grid)
    covered = np.zeros((len(sizes), *shape))
    for number, (row, column) in enumerate(itertools.product(*map(range, grid))):
        for i, (top, left) in enumerate(starts[number]):
            covered[i, top : top + window[0], left : left + window[1]] += 1
            # Even: no window is more than half a pixel from its place.
            for place, count, room, start in (
                (row, grid[0], sizes[i, 0] - window[0], top),
                (column, grid[1], sizes[i, 1] - window[1], left),
            ):
                assert abs(start - place * max(room, 0) / max(count - 1, 1)) <= 0.5
    for i, (height, width) in enumerate(sizes):
        assert (covered[i, :height, :width] >= 1).all()
    coverage = jax.jit(windows.coverage, static_argnums=(1, 2, 3))(sizes, shape, window, grid)
    np.testing.assert_array_equal(coverage, np.maximum(covered, 1))
    last = starts[-1] + window
    np.testing.assert_array_equal(last, np.maximum(sizes, window))


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.8])
def test_neighbours_share_what_was_asked_for(overlap):
    for width in range(33, 97):
        grid = windows.make_grid((32, 96), (32, 32), overlap)
        left = all_origins(np.array([[32, width]]), (32, 32), grid)[:, 0, 1]
        assert (32 - np.diff(left) >= np.floor(32 * overlap)).all()


def test_what_is_cut_out_and_added_again_is_the_image_times_the_coverage():
    window, grid = (24, 32), (2, 3)
    sizes = np.array([(40, 50), (24, 80)])
    arrays = np.random.default_rng(0).normal(size=(2, 48, 96, 3)).astype(np.float32)
    total = np.zeros_like(arrays)
    for starts in all_origins(sizes, window, grid):
        total = windows.add(total, windows.crop(arrays, starts, window), starts)
    coverage = windows.coverage(sizes, arrays.shape[1:3], window, grid)
    for i, (height, width) in enumerate(sizes):
        expected = arrays[i] * np.asarray(coverage)[i, ..., None]
        np.testing.assert_allclose(
            np.asarray(total)[i, :height, :width], expected[:height, :width], rtol=1e-5
        )


def test_devices_send_each_other_nothing():
    split = batch_sharding(data_mesh(jax.devices()[:4]))
    arrays, starts = np.zeros((4, 48, 96, 3), np.float32), np.zeros((4, 2), np.int32)
    arrays, starts = jax.device_put((arrays, starts), split)

    def cut_and_add(arrays, starts):
        return windows.add(arrays, windows.crop(arrays, starts, (24, 32)), starts)

    text = jax.jit(cut_and_add).lower(arrays, starts).compile().as_text()
    assert not [name for name in ("all-gather", "all-reduce") if name in text]
