import numpy as np
import pytest

from gcn_jax.data.builders.voc_segmentation import VOC_CLASSES
from gcn_jax.data.classes import VOC_VOID_COLOR, ClassTable, distinct_palette, voc_palette
from tests.helpers.colors import ciede2000, lab, least_distance

#: Of Okabe and Ito (2008), in their order without black.
OKABE_ITO = [
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167),
]  # fmt: skip


def test_distances_are_the_published_ones():
    # Pairs 1, 7, 14, 17 and 25 of Sharma, Wu and Dalal (2005), table 1
    pairs = [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900), 4.7461),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for one, other, distance in pairs:
        assert ciede2000(np.array(one), np.array(other)) == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize(("count", "distance"), [(21, 20), (50, 13), (150, 8), (255, 6)])
def test_colours_without_a_palette_can_be_told_apart(count, distance):
    palette = ClassTable(tuple(f"class {number}" for number in range(count))).palette
    assert least_distance(palette[:count]) > distance
    assert least_distance([*palette[:count], VOC_VOID_COLOR]) > min(distance, 19)


def test_vocs_own_colours_are_closer():
    assert least_distance(voc_palette()[:21]) < 5


def test_background_and_void_are_as_everywhere():
    palette = distinct_palette()
    assert palette.shape == (256, 3)
    assert palette[0].tolist() == [0, 0, 0]
    assert tuple(palette[255]) == VOC_VOID_COLOR


def test_each_colour_is_the_farthest_from_those_before():
    steps = np.arange(0, 256, 17)
    colors = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = lab(colors)
    is_vivid = np.hypot(points[:, 1], points[:, 2]) >= 20
    is_clear = (points[:, 0] >= 25) & (points[:, 0] <= 90)
    colors, points = colors[is_vivid & is_clear], points[is_vivid & is_clear]
    distances = np.full(len(points), np.inf)
    for color in [(0, 0, 0), VOC_VOID_COLOR, (255, 255, 255), *OKABE_ITO]:
        distances = np.minimum(distances, ciede2000(points, lab(color)))
    expected = [*OKABE_ITO]
    while len(expected) < 40:
        farthest = distances.argmax()
        expected.append(tuple(colors[farthest].tolist()))
        distances = np.minimum(distances, ciede2000(points, points[farthest]))
    assert [tuple(color) for color in distinct_palette()[1:41].tolist()] == expected


def test_sets_with_their_own_colours_keep_them():
    np.testing.assert_array_equal(VOC_CLASSES.palette[:21], voc_palette()[:21])
    assert ClassTable(("a", "b"), ((1, 2, 3), (4, 5, 6))).palette[1].tolist() == [4, 5, 6]
