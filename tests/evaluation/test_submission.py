import gzip
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from gcn_jax.data.classes import voc_palette
from gcn_jax.errors import UserError
from gcn_jax.evaluation import open_submission
from gcn_jax.evaluation.submission import check_submission

FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"
SIZES = {"2008_000006": (20, 30), "2008_000011": (33, 17)}


def examples():
    rng = np.random.default_rng(0)
    for key, size in SIZES.items():
        prediction = rng.integers(0, 21, size).astype(np.int32)
        yield {"id": key, "image": np.zeros((*size, 3), np.uint8)}, prediction


def submit(path, pairs, num_images=2):
    with open_submission(path, voc_palette(), num_images) as add:
        for example, prediction in pairs:
            add(example, prediction)


def test_archive_has_the_servers_layout(tmp_path):
    submit(tmp_path / "new/results.tar.gz", examples())
    with tarfile.open(tmp_path / "new/results.tar.gz", "r:gz") as archive:
        assert archive.getnames() == [f"{FOLDER}/{key}.png" for key in SIZES]
        for example, prediction in examples():
            picture = Image.open(archive.extractfile(f"{FOLDER}/{example['id']}.png"))
            assert (picture.format, picture.mode) == ("PNG", "P")
            np.testing.assert_array_equal(np.asarray(picture), prediction)
            # Aeroplane, sheep and void, as in VOC's development kit.
            colors = np.reshape(picture.getpalette(), (-1, 3))
            np.testing.assert_array_equal(colors[[1, 17]], [[128, 0, 0], [128, 64, 0]])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results.tar.gz"]


def test_the_same_predictions_make_the_same_bytes(tmp_path):
    submit(tmp_path / "a.tar.gz", examples())
    submit(tmp_path / "b.tar.gz", examples())
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def of_wrong_size(example, prediction):
    return example, prediction[1:]


def of_no_class(example, prediction):
    return example, np.full_like(prediction, 21)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([next(examples())], "it has 1 images; it must have 2"),
        ([next(examples())] * 2, "2008_000006.png is there twice"),
        ([of_wrong_size(*pair) for pair in examples()], r"000006.png is PNG P \(19, 30\)"),
        ([of_no_class(*pair) for pair in examples()], "has the label 21; VOC has 0..20"),
    ],
)
def test_what_the_server_would_refuse_is_not_written(tmp_path, pairs, message):
    with pytest.raises(UserError, match=message):
        submit(tmp_path / "results.tar.gz", pairs)
    assert not list(tmp_path.iterdir())


def test_a_run_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "results.tar.gz"
    path.write_bytes(b"before")

    def fail():
        yield next(examples())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        submit(path, fail())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")

    def never():
        raise AssertionError("nothing should be predicted")
        yield

    with pytest.raises(UserError, match="results.tar.gz cannot be written"):
        submit(tmp_path / "file/results.tar.gz", never())


def archive_with(name, picture, file_type="PNG"):
    content, file = io.BytesIO(), io.BytesIO()
    picture.save(content, file_type)
    with gzip.open(file, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = content.tell()
        content.seek(0)
        archive.addfile(member, content)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("name", "picture", "message"),
    [
        (f"{FOLDER}/a.png", Image.new("RGB", (4, 3)), "a.png is PNG RGB"),
        (f"{FOLDER}/a.png", Image.new("L", (4, 3)), "a.png is PNG L"),
        (f"{FOLDER}/b.png", Image.new("P", (4, 3)), "b.png is there twice, or has no image"),
        ("results/a.png", Image.new("P", (4, 3)), "results/a.png"),
    ],
)
def test_check_refuses_other_names_and_kinds(name, picture, message):
    with pytest.raises(UserError, match=message):
        check_submission(archive_with(name, picture), {"a": (3, 4)}, 1)
    good = archive_with(f"{FOLDER}/a.png", Image.new("P", (4, 3)))
    check_submission(good, {"a": (3, 4)}, 1)
