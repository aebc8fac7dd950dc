"""The order of objects, against a slow painter that looks at one pixel at a time."""

import numpy as np

from gcn_jax.data.convert.drawing import drawn, in_order, larger_first


def test_smaller_objects_lie_on_top_and_crowds_below():
    random = np.random.default_rng(0)
    for _ in range(30):
        masks = random.random((6, 5, 7)) < random.random((6, 1, 1))
        masks[5] = masks[4]  # of equal area the later one is on top
        labels = [1, 2, None, 3, 4, 5]
        below = [False, True, False, False, False, False]
        objects = [drawn(*one) for one in zip(masks, labels, below, strict=True)]
        expected = np.zeros((5, 7), int)
        for y, x in np.ndindex(5, 7):
            on_top = [(not below[i], -masks[i].sum(), i) for i in range(6) if masks[i][y, x]]
            if on_top:
                label = labels[max(on_top)[2]]
                expected[y, x] = 255 if label is None else label
        np.testing.assert_array_equal(larger_first(objects, (5, 7)), expected)
        order = [max((i for i in range(6) if masks[i][p]), default=-1) for p in np.ndindex(5, 7)]
        values = [0 if i < 0 else 255 if labels[i] is None else labels[i] for i in order]
        np.testing.assert_array_equal(in_order(objects, (5, 7)).ravel(), values)
