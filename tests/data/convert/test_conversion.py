"""Sources of any format: recognition, names, and files that are there already."""

import contextlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from gcn_jax.cli.main import main
from gcn_jax.data.convert.photos import unique_keys
from gcn_jax.errors import UserError
from tests.helpers.annotated import H, W, photo, run


def test_nothing_fits_says_what_was_looked_for(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/notes.txt").write_text("hello")
    with pytest.raises(UserError, match="has notes.txt. Looked for: a .json with images"):
        run(tmp_path / "source")
    with pytest.raises(UserError, match="did you mean labelme"):
        run(tmp_path / "source", form="labelm")


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    for name in ("a", "b"):
        photo(root / f"images/{name}.jpg", ord(name))
        mask = np.zeros((H, W), np.uint8)
        mask[3:9] = 255
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / f"masks/{name}.png")
    return root


def test_files_of_others_are_not_overwritten(source):
    out = source.parent / "out"
    photo(out / "images/a.jpg", 9)
    (out / "masks").mkdir()
    Image.fromarray(np.zeros((H, W), np.uint8)).save(out / "masks/b.png")
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    done = run(source, name="road")
    assert [problem.kind for problem in done.problems] == ["other file", "other file"]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_damaged_image_is_named_and_the_others_are_done(source):
    path = source / "images/a.jpg"
    path.write_bytes(path.read_bytes()[:300])
    done = run(source, name="road")
    (problem,) = done.problems
    assert str(path) in str(problem)
    assert done.num_images == {"": 1}


def test_what_an_interruption_leaves_is_no_obstacle(source):
    out = source.parent / "out"
    (out / "images").mkdir(parents=True)
    shutil.copy(source / "images/a.jpg", out / "images/a.jpg")  # the mask was not written yet
    assert run(source, name="road").num_written == 2


def test_old_files_of_the_destination_are_named(source):
    run(source, name="road")
    (source / "images/a.jpg").unlink()
    (source / "masks/a.png").unlink()
    done = run(source, name="road")
    assert done.num_written == 0
    assert done.remarks[0].startswith("2 files in ")
    assert (source.parent / "out/images/a.jpg").exists()


def test_names_that_would_meet_are_told_apart():
    names = ["x/a.jpg", "x_a.png", "A.jpg", "a.png", "b.jpg", "../c.jpg", "x\\d.jpg", "e:f.jpg"]
    keys = unique_keys(names)
    assert list(keys) == names
    assert list(keys.values()) == ["x_a_jpg", "x_a_png", "A_jpg", "a_png", "b", "c", "x_d", "e_f"]


def test_the_verb(source, capsys):
    out = source.parent / "out"
    with pytest.raises(SystemExit, match="2"):
        main(["data", "convert", str(source), str(out)])
    assert "--name road" in capsys.readouterr().err
    main(["data", "convert", str(source), str(out), "--name", ":road:"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{out}: 2 images",
        "binary: 2 of 2 images written now; classes background, :road:",
        f"next: gcn-jax data validate {out}",
    ]
    photo(source / "images/c.jpg", 5)
    mask = Image.fromarray(np.full((H, W + 1), 255, np.uint8))
    mask.save(source / "masks/c.png")
    with pytest.raises(SystemExit, match="1"):
        main(["data", "convert", str(source), str(out), "--name", ":road:"])
    assert "size mismatch: 1" in capsys.readouterr().out


#: Values that nobody expects, in place of any value of a JSON file.
ODD = (
    None,
    True,
    -1,
    0,
    1e308,
    2**70,
    "",
    "x",
    "\0",
    "../..",
    [],
    {},
    [[]],
    [1],
    {"a": 1},
    "9" * 40,
)


def leaves(value, path=()):
    """Return the paths of all values in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))


def changed(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def size(**more):
    return {"height": H, "width": W, **more}


HOSTILE = {
    "coco": {
        "images": [size(id=1, file_name="a.jpg"), size(id=2, file_name="b.jpg")],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]},
            {
                "id": 2, "image_id": 2, "category_id": 1, "iscrowd": 1,
                "segmentation": {"size": [H, W], "counts": [5, 5, H * W - 10]},
            },
        ],
        "categories": [{"id": 1, "name": "cat"}],
    },
    "labelme": {
        "shapes": [{"label": "cat", "points": [[1, 1], [5, 5]], "shape_type": "rectangle"}],
        "imagePath": "a.jpg", "imageHeight": H, "imageWidth": W, "imageData": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("form", HOSTILE)
def test_odd_values_become_problems(tmp_path, form):
    root = tmp_path / "source"
    for name in ("a", "b"):
        photo(root / f"{name}.jpg", ord(name), (H, W))
    random = np.random.default_rng(0)
    for path in leaves(HOSTILE[form]):
        for new in random.permutation(len(ODD))[:4]:
            (root / "a.json").write_text(json.dumps(changed(HOSTILE[form], path, ODD[new])))
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
            with contextlib.suppress(UserError):
                run(root, form=form)


def test_settings_that_would_do_nothing_are_refused(source, tmp_path):
    with pytest.raises(UserError, match="--void names 'rood', which is none of the classes: road"):
        run(source, name="road", void=("rood",))
    (tmp_path / "names.txt").write_text("road")
    with pytest.raises(UserError, match="say what 255 is with --name"):
        run(source, name="road", classes=tmp_path / "names.txt")
    (source / "a.json").write_text(json.dumps(HOSTILE["labelme"]))
    with pytest.raises(UserError, match="--name is for the formats binary and objects"):
        run(source, name="road")


def test_images_of_a_split_without_masks_are_named(source):
    for kind in ("images", "masks"):
        (source / kind / "train").mkdir()
        for path in (source / kind).glob("*.*"):
            path.rename(path.parent / "train" / path.name)
    photo(source / "images/test/x.jpg")
    done = run(source, name="road")
    assert done.num_images == {"train": 2}
    assert done.remarks == [
        f"1 images are left out, as nothing lists them, such as {source}/images/test/x.jpg"
    ]


def test_when_nothing_can_be_read_the_reason_is_said(tmp_path):
    root = tmp_path / "source"
    photo(root / "a.jpg")
    (root / "a.json").write_text('{"shapes": [3], "imagePath": "a.jpg"}')
    with pytest.raises(UserError, match="as labelme: .*a.json: 'shapes' is no list of objects"):
        run(root)
