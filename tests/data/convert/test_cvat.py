"""CVAT's annotations.xml: masks are compared with drawings by numpy, pixel by pixel."""

import numpy as np
import pytest

from tests.helpers.annotated import H, W, mask_of, photo, run

IMAGE = f'<image id="{{}}" name="{{}}" width="{W}" height="{H}"{{}}>{{}}</image>'


def save(root, *images, labels=("cat", "dog", "background")):
    names = "".join(f"<label><name>{name}</name></label>" for name in labels)
    root.mkdir(parents=True, exist_ok=True)
    (root / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
        f"<meta><task><labels>{names}</labels></task></meta>{''.join(images)}</annotations>"
    )


def image(content, number=0, name="0.jpg", more=""):
    return IMAGE.format(number, name, more, content)


def test_polygons_boxes_masks_by_z_order(tmp_path):
    root = tmp_path / "source"
    photo(root / "images/0.jpg")
    photo(root / "images/1.jpg", 1)
    save(
        root,
        image(
            '<polygon label="dog" points="2.00,2.0;14.00,2.0;14,20.0;2,20.0" z_order="1"/>'
            '<box label="cat" xtl="10" ytl="1" xbr="20" ybr="6" z_order="0"/>'
            '<mask label="cat" rle="1, 2, 3, 4" left="4" top="5" width="5" height="2" z_order="2"/>'
            '<polygon label="background" points="2,18;6,18;6,20;2,20" z_order="2"/>'
            '<tag label="dog"/>'
        ),
        image("", 1, "1.jpg"),
    )
    done = run(root)
    assert (done.format, done.class_names) == ("cvat", ("background", "cat", "dog"))
    assert (done.num_images, done.problems) == ({"": 2}, [])
    expected = np.zeros((H, W), np.uint8)
    expected[1:6, 10:20] = 1
    expected[2:20, 2:14] = 2
    expected[5, 5:7] = expected[6, 5:9] = 1  # 0 1 1 0 0 | 0 1 1 1 1
    expected[18:20, 2:6] = 0
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "0"), expected)
    assert "1 tags of whole images have no pixels and are left out" in done.remarks
    assert "1 images have no annotation: all background" in done.remarks


def test_a_box_is_turned_clockwise(tmp_path):
    root = tmp_path / "source"
    photo(root / "0.jpg")
    box = '<box label="cat" xtl="8" ytl="8" xbr="20" ybr="12" rotation="90.0"/>'
    save(root, image(box))
    run(root)
    expected = np.zeros((H, W), np.uint8)
    expected[4:16, 12:16] = 1
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "0"), expected)


def test_subsets_are_splits(tmp_path):
    root = tmp_path / "source"
    box = '<box label="cat" xtl="8" ytl="8" xbr="20" ybr="12"/>'
    for i, subset in enumerate(("Train", "Validation")):
        photo(root / f"images/{subset}/a.jpg", i)
    names = enumerate(("Train", "Validation"))
    save(root, *(image(box, i, "a.jpg", f' subset="{subset}"') for i, subset in names))
    assert run(root).num_images == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<polyline label="cat" points="1,1;5,5"/>', "polyline 2 ('cat'): it has no known area"),
        ('<polygon label="cat" points="1,1;5,5;x,3"/>', "could not convert string to float"),
        ('<polygon label="cat" points="1,1;nan,5;3,3"/>', "no number"),
        ('<polygon label="cat" points="1,1;1e9,5;3,3"/>', "far outside"),
        ('<mask label="cat" rle="9" left="0" top="0" width="4" height="4"/>', "runs are 9"),
        ('<mask label="cat" rle="16" left="-1" top="0" width="4" height="4"/>', "outside"),
        ('<box label="cat" xtl="8" ytl="8" xbr="20"/>', "'ybr' is missing"),
        ('<box label="cow" xtl="8" ytl="8" xbr="20" ybr="9"/>', "'cow' is not in the list"),
    ],
)
def test_an_object_that_cannot_be_drawn_is_named(tmp_path, shape, message):
    root = tmp_path / "source"
    photo(root / "0.jpg")
    (tmp_path / "names.txt").write_text("cat\n")
    save(root, image(f'<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4"/>{shape}'))
    done = run(root, classes=tmp_path / "names.txt")
    assert message in str(done.problems[0])
    assert "annotations.xml: image '0.jpg': " in str(done.problems[0])
    assert done.num_images == {"": 0}
