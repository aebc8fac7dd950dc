import json
import subprocess
import sys

import numpy as np
import pytest

from gcn_jax.cli.main import main
from gcn_jax.errors import UserError
from gcn_jax.evaluation.boundary import BoundaryCounts
from gcn_jax.evaluation.compare import compare
from gcn_jax.evaluation.metrics import Scores, class_sums
from gcn_jax.evaluation.results import read_image_sums, result_json

NAMES = ("background", "cat", "dog")


def matrices_of_a_run(num_images=40, seed=0):
    """Images of 1000 pixels of background and, in every other one, 300 of cats; no dogs."""
    right = np.random.default_rng(seed).integers(100, 200, num_images)
    matrices = np.zeros((num_images, 3, 3), np.int64)
    matrices[:, 0, 0] = 1000
    matrices[::2, 1, 1] = right[::2]
    matrices[::2, 1, 0] = 300 - right[::2]
    return matrices


def write_result(path, matrices, *, names=NAMES, ids=None):
    ids = ids or [f"image_{i:03d}" for i in range(len(matrices))]
    values = result_json(names, Scores(matrices.sum(axis=0)), ids, class_sums(matrices))
    path.write_text(json.dumps(values))
    return str(path)


def compare_files(a, b):
    return compare(read_image_sums(a), read_image_sums(b))


def with_more_cats(matrices, number):
    better = matrices.copy()
    better[::2, 1, 1] += number
    better[::2, 1, 0] -= number
    return better


def test_result_json_has_the_scores_and_each_image():
    # Two images: all right, and half of the cats called background.
    matrices = np.array([[[6, 0], [0, 0]], [[2, 0], [2, 2]]])
    names = ["background", "cat"]
    values = result_json(
        names,
        Scores(matrices.sum(axis=0)),
        ["a", "b"],
        class_sums(matrices),
        BoundaryCounts.zeros(2),
    )
    assert values["miou"] == pytest.approx((8 / 10 + 2 / 4) / 2)
    assert values["per_class_iou"] == pytest.approx({"background": 8 / 10, "cat": 2 / 4})
    assert values["confusion_matrix"] == [[8, 0], [2, 2]]
    assert (values["num_classes_counted"], values["absent_classes"]) == (2, [])
    assert values["intervals"]["per_class_iou"]["background"] == [None, None]  # of two images
    assert values["boundary"] == BoundaryCounts.zeros(2).to_json(names)
    assert values["images"] == [
        {
            "id": "a",
            "miou": 1.0,
            "num_classes_counted": 1,
            "pixel_accuracy": 1.0,
            "intersection": [6, 0],
            "truth": [6, 0],
            "prediction": [6, 0],
        },
        {
            "id": "b",
            "miou": 0.5,
            "num_classes_counted": 2,
            "pixel_accuracy": pytest.approx(4 / 6),
            "intersection": [2, 2],
            "truth": [2, 4],
            "prediction": [4, 2],
        },
    ]
    assert json.loads(json.dumps(values)) == values


def test_what_is_written_is_read(tmp_path):
    matrices = matrices_of_a_run(5)
    read = read_image_sums(write_result(tmp_path / "a.json", matrices, ids=list("vwxyz")))
    assert read.class_names == NAMES
    assert read.ids == tuple("vwxyz")
    np.testing.assert_array_equal(read.sums, class_sums(matrices))


def test_a_run_is_within_noise_of_itself_whatever_the_order_of_the_images(tmp_path):
    matrices = matrices_of_a_run()
    ids = [f"image_{i:03d}" for i in range(len(matrices))]
    a = write_result(tmp_path / "a.json", matrices, ids=ids)
    b = write_result(tmp_path / "b.json", matrices[::-1], ids=ids[::-1])
    comparison = compare_files(a, b)
    verdicts = {name: row.verdict for name, row in comparison.per_class_iou.items()}
    assert verdicts == {"background": "within noise", "cat": "within noise", "dog": "absent"}
    assert comparison.miou.verdict == "within noise"
    assert (comparison.miou.low, comparison.miou.high) == (0, 0)


def test_a_clearly_better_run(tmp_path):
    matrices = matrices_of_a_run()
    a = write_result(tmp_path / "a.json", matrices)
    b = write_result(tmp_path / "b.json", with_more_cats(matrices, 30))
    cat = compare_files(a, b).per_class_iou["cat"]
    # 30 of each 300 pixels, in 20 images; nothing else was ever called a cat.
    assert cat.b - cat.a == pytest.approx(0.1)
    assert (cat.low, cat.high) == pytest.approx((0.1, 0.1))
    assert (cat.verdict, cat.num_images) == ("better", 20)
    miou = compare_files(a, b).miou
    assert miou.verdict == "better"
    assert 0.05 < miou.low <= miou.b - miou.a <= miou.high
    reverse = compare_files(b, a)
    assert reverse.per_class_iou["cat"].verdict == reverse.miou.verdict == "worse"
    assert reverse.miou.high == pytest.approx(-miou.low)


def test_better_on_half_of_the_images_and_worse_on_the_others_is_noise(tmp_path):
    matrices = matrices_of_a_run()
    mixed = with_more_cats(matrices, 40)
    mixed[::4] = with_more_cats(matrices, -38)[::4]
    a, b = write_result(tmp_path / "a.json", matrices), write_result(tmp_path / "b.json", mixed)
    cat = compare_files(a, b).per_class_iou["cat"]
    # Each of the 20 images has 40 more or 38 fewer of its 300 pixels: on average 1, with a
    # standard error of 39 / sqrt(20) = 8.7.
    assert cat.b - cat.a == pytest.approx(1 / 300)
    assert cat.high - cat.low == pytest.approx(2 * 1.96 * 8.7 / 300, rel=0.15)
    assert cat.verdict == "within noise"


@pytest.mark.parametrize(("num_images", "verdict"), [(5, "too few images"), (6, "better")])
def test_few_images_that_agree_prove_nothing(tmp_path, num_images, verdict):
    # The chance that all of n agree is 2 / 2^n: 6.3 % for five, 3.1 % for six.
    matrices = matrices_of_a_run(2 * num_images)
    a = write_result(tmp_path / "a.json", matrices)
    b = write_result(tmp_path / "b.json", with_more_cats(matrices, 30))
    assert compare_files(a, b).per_class_iou["cat"].verdict == verdict


def test_other_images_labels_or_classes_are_refused(tmp_path):
    matrices = matrices_of_a_run(3)
    a = write_result(tmp_path / "a.json", matrices)

    b = write_result(tmp_path / "b.json", matrices, ids=["image_000", "image_001", "other"])
    with pytest.raises(UserError, match=r"a\.json and .*b\.json are not of the same images: 3 and"):
        compare_files(a, b)
    with pytest.raises(UserError, match=r"1 in one only \('image_002'\)"):
        compare_files(a, write_result(tmp_path / "b.json", matrices[:2]))

    relabelled = matrices.copy()
    relabelled[2, 1, 1] -= 1
    b = write_result(tmp_path / "b.json", relabelled)
    with pytest.raises(UserError, match=r"image 'image_002' has another label .* \(1 images do\)"):
        compare_files(a, b)

    b = write_result(tmp_path / "b.json", matrices, names=("background", "cat", "horse"))
    with pytest.raises(UserError, match=r"different classes: only one has 'dog', 'horse'"):
        compare_files(a, b)
    b = write_result(tmp_path / "b.json", matrices, names=("background", "dog", "cat"))
    with pytest.raises(UserError, match="their order differs"):
        compare_files(a, b)


def test_files_that_are_no_results_are_refused(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match=r"a\.json cannot be read: No such file"):
        read_image_sums(str(path))
    path.write_text("{")
    with pytest.raises(UserError, match=r"a\.json is not a JSON file"):
        read_image_sums(str(path))
    write_result(path, matrices_of_a_run(2))
    values = json.loads(path.read_text())
    image = values["images"][0]
    for wrong in (
        [],
        {"miou": 0.5, "per_class_iou": {"cat": 0.5}},
        {**values, "images": []},
        {**values, "images": [{**image, "truth": [1, 2]}]},
        {**values, "images": [{**image, "truth": [0.5, 1.5, 2.5]}]},
        {**values, "images": [{"id": "a", "miou": 1.0}]},
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(UserError, match=r"a\.json has no table of images .* evaluate\.py"):
            read_image_sums(str(path))
    path.write_text(json.dumps({**values, "images": [image, image]}))
    with pytest.raises(UserError, match=r"has image 'image_000' more than once"):
        read_image_sums(str(path))


def run_verb(*arguments, cwd):
    command = [sys.executable, "-m", "gcn_jax", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_verb_prints_a_table_and_writes_json(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    matrices = matrices_of_a_run()
    write_result(tmp_path / "a.json", matrices)
    write_result(tmp_path / "b.json", with_more_cats(matrices, 30))
    done = run_verb("compare", "a.json", "b.json", "--json", "out/c.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.replace("│", " ").split() for line in done.stdout.splitlines()]
    cat = next(row for row in rows if row[:1] == ["cat"])
    assert cat[1] == "20"
    assert cat[4:] == ["+10.00", "+10.00", "..", "+10.00", "better"]
    dog = next(row for row in rows if row[:1] == ["dog"])
    assert dog == ["dog", "0", "-", "-", "-", "-", "absent"]
    over = ["mIoU", "over", "2", "of", "3", "classes", "40"]
    assert any(row[:7] == over and row[-1] == "better" for row in rows)
    values = json.loads((tmp_path / "out/c.json").read_text())
    assert values["files"] == {"a": "a.json", "b": "b.json"}
    assert values["miou"]["verdict"] == "better"
    assert values["num_classes_counted"] == [2, 2]
    assert values["per_class_iou"]["cat"]["difference"] == pytest.approx(0.1)
    assert values["per_class_iou"]["dog"] == {
        "a": None,
        "b": None,
        "difference": None,
        "interval": [None, None],
        "num_images": 0,
        "verdict": "absent",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare"], "this verb needs A.json B.json, which `gcn-jax evaluate --json` writes"),
        (["compare", "a.json"], "this verb needs A.json B.json"),
        (["compare", "a.json", "b.json"], "a.json cannot be read: No such file or directory"),
    ],
)
def test_verb_ends_with_one_line_and_code_2(tmp_path, arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
