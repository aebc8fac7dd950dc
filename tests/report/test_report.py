import dataclasses
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from gcn_jax import report
from gcn_jax.data.classes import voc_palette
from gcn_jax.errors import UserError
from gcn_jax.evaluation import BoundaryCounts, evaluate
from gcn_jax.evaluation.metrics import CLASS_SCORES
from gcn_jax.inference import Inference, Predictor
from gcn_jax.models import ModelInfo, Pretrained
from gcn_jax.report import cases, pages
from gcn_jax.report import figures as plots
from gcn_jax.sessions import Session
from gcn_jax.training import run_data
from gcn_jax.training.config import default_settings
from gcn_jax.workdir import Workdir
from tests.helpers.fakes import (
    MEAN,
    NUM_CLASSES,
    STD,
    TinyModel,
    random_source,
    tiny_pretrained,
)

#: The last has to be escaped; the one before is in no image.
NAMES = ("road", "sky", "tree", "unseen", "<b>&car</b>")
INFO = ModelInfo(
    name="tiny & <small>",
    fields={"num_classes": NUM_CLASSES},
    class_names=NAMES,
    palette=tuple(tuple(map(int, color)) for color in voc_palette()[:NUM_CLASSES]),
    mean=MEAN,
    std=STD,
)
CONFIG = {
    "eval_batch_size": 8,
    "data": {"train": ["fake:train"], "val": "fake:val", "data_dir": None},
    "num_steps": 20,
    "optimizer": {"learning_rate": 0.02},
}
SESSION = Session(
    started="2026-03-01T10:00:00+00:00",
    ended="2026-03-01T10:02:16+00:00",
    command=["gcn-jax", "train", "--config", "my config.py"],
    folder="/home/me",
    devices="1 x cpu",
    cpu="a processor",
    num_cores=2,
    memory=8 * 2**30,
    versions={"python": "3.11.2", "jax": "0.10.2"},
)


class FakeSource(list):
    name = "fake:val"
    class_names = NAMES
    palette = voc_palette()


class Page(HTMLParser):
    """Collects what a page shows; `table` has the cells of each row of its tables."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.tags, self.addresses, self.words, self.table = [], [], [], []
        self.in_row = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag == "tr":
            self.table.append([])
            self.in_row = True

    def handle_endtag(self, tag):
        self.in_row = self.in_row and tag != "tr"

    def handle_data(self, data):
        self.words.append(data.strip())
        if self.in_row and data.strip():
            self.table[-1].append(data.strip())


@pytest.fixture(scope="module")
def evaluated():
    source = FakeSource(random_source([(20, 30)] * 10 + [(40, 25)], num_classes=3))
    pretrained = tiny_pretrained(info=INFO, step=10)
    predictor = Predictor(pretrained, batch_size=4)
    result = evaluate(predictor, source, boundary=True)
    return SimpleNamespace(result=result, predictor=predictor, pretrained=pretrained, source=source)


@pytest.fixture(scope="module")
def page(evaluated, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "new folder" / "page.html"
    written = report.evaluation_report(
        evaluated.result,
        path,
        evaluated.predictor,
        evaluated.source,
        facts={
            "checkpoint": "a run",
            "images_per_second": 12.5,
            "machines": {"a": 3, "b": 0.5},
            "flip": False,
        },
        session=SESSION,
    )
    assert written == path
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]
    return Page(path.read_text())


def test_page_needs_nothing_but_itself(page):
    assert page.addresses
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert not {"link", "iframe"} & set(page.tags)
    text = " ".join(page.words)
    assert not re.search(r"url\(|@import|https?:|fetch\(", text)


def test_page_says_which_classes_its_mean_is_over(page):
    text = " ".join(page.words)
    assert "over 5 of 5 classes; absent from fake:val: unseen (predicted, so 0)" in text
    assert re.search(r"mIoU [\d.–]+ % over [1-5] of 5 classes, pixel accuracy", text)


def test_page_escapes_what_it_is_told(page):
    assert page.words.count("tiny & <small> on fake:val") == 2  # title and heading
    assert "<b>&car</b>" in page.words
    assert {"images per second", "12.5"} <= set(page.words)
    assert "a=3, b=0.5" in page.words


def test_page_shows_each_class_with_its_scores(page, evaluated):
    scores = evaluated.result.scores
    rows = {row[0]: row[1:] for row in page.table if row}
    for number, name in enumerate(NAMES):
        iou = scores.per_class_iou[number]
        assert rows[name][0] == ("–" if np.isnan(iou) else f"{100 * iou:.1f}")
    truth, prediction = scores.confusion_matrix.sum(axis=1), scores.confusion_matrix.sum(axis=0)
    right = scores.confusion_matrix[0, 0]
    shares = (right / prediction[0], right / truth[0], truth[0] / truth.sum())
    *others, share_of_all = rows["road"][2:]
    assert [*others[:2], share_of_all] == [f"{100 * share:.1f}" for share in shares]
    assert others == [f"{100 * score.of(scores)[0]:.1f}" for score in CLASS_SCORES]
    assert rows["class"][2:-1] == [score.title for score in CLASS_SCORES]
    low, high = map(float, rows["road"][1].split(" – "))
    assert low < 100 * scores.per_class_iou[0] < high
    assert rows["unseen"][1] == "0.0 – 0.0"  # predicted, but never there
    for score in (scores.miou, scores.pixel_accuracy, scores.frequency_weighted_iou):
        assert f"{100 * score:.1f} %" in page.words


def test_page_shows_borders_where_they_were_scored(page, evaluated, tmp_path):
    boundary = evaluated.result.boundary
    assert f"{100 * boundary.boundary_accuracy:.1f} %" in page.words
    iou = boundary.per_class_boundary_iou
    assert f"Boundary IoU over {np.sum(~np.isnan(iou))} of {len(NAMES)} classes" in page.words
    assert "width of the band, px" in page.words
    without = dataclasses.replace(evaluated.result, boundary=None)
    path = report.evaluation_report(
        without, tmp_path / "page.html", evaluated.predictor, evaluated.source, facts={}
    )
    assert "Borders" not in Page(path.read_text()).words


def test_page_of_a_truth_without_borders_has_no_curve_of_them(evaluated, tmp_path):
    nothing = dataclasses.replace(evaluated.result, boundary=BoundaryCounts.zeros(NUM_CLASSES))
    path = report.evaluation_report(
        nothing, tmp_path / "page.html", evaluated.predictor, evaluated.source, facts={}
    )
    words = Page(path.read_text()).words
    assert "Borders" in words
    assert "width of the band, px" not in words


def test_page_shows_nine_images_four_pictures_each(page):
    assert page.tags.count("figure") == 9
    assert page.tags.count("img") == 36
    assert [w for w in page.words if w.endswith(" images")] == [
        "Worst images",
        "Median images",
        "Best images",
    ]


def test_page_shows_what_the_same_inference_predicts(evaluated, tmp_path, monkeypatch):
    shown = []
    show = cases.show

    def spy(score, image, label, prediction, *rest):
        shown.append((score, label, prediction))
        return show(score, image, label, prediction, *rest)

    monkeypatch.setattr(cases, "show", spy)
    inference = Inference(scales=(2.0,), flip=True)
    predictor = Predictor(evaluated.pretrained, inference=inference)
    result = evaluate(predictor, evaluated.source)
    report.evaluation_report(result, tmp_path / "page.html", predictor, evaluated.source, {})
    assert len(shown) == 9
    for score, label, prediction in shown:
        right = (prediction == label).sum()
        assert score.sums[0].sum() == right
    plain = evaluated.result.scores.confusion_matrix
    assert (result.scores.confusion_matrix != plain).any()


def images_with(mious):
    return [SimpleNamespace(index=index, miou=miou) for index, miou in enumerate(mious)]


def chosen(mious):
    return {
        name: [score.index for score in group]
        for name, group in cases.choose(images_with(mious)).items()
    }


def test_cases_are_the_worst_the_median_and_the_best():
    mious = np.arange(20) / 20
    assert chosen(mious[::-1]) == {
        "worst": [19, 18, 17],
        "median": [11, 10, 9],
        "best": [2, 1, 0],
    }


def test_cases_of_few_images_are_chosen_once():
    assert chosen([]) == {}
    assert chosen([np.nan]) == {}
    assert chosen([0.5]) == {"worst": [0]}
    assert chosen([0.5, 0.1]) == {"worst": [1], "best": [0]}
    assert chosen([0.5, np.nan, 0.1, 0.9]) == {"worst": [2], "median": [0], "best": [3]}
    for count in range(12):
        indices = sum(chosen(np.arange(count) / 12).values(), [])
        assert len(indices) == len(set(indices)) == min(count, 9)


@pytest.fixture
def workdir(tmp_path, monkeypatch, evaluated):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    records = [
        {"step": 5, "train/loss": 2.0, "learning_rate": 0.01},
        {"step": 10, "train/loss": 1.0, "learning_rate": 0.005, "val/miou": 0.25},
        {"step": 15, "train/loss": 0.5, "learning_rate": 0.001, "val/miou": 0.125},
    ]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "metrics.jsonl").write_text(lines)
    monkeypatch.setattr(run_data.models, "read_info", lambda workdir: INFO)
    monkeypatch.setattr(pages.models, "load_pretrained", lambda workdir: evaluated.pretrained)
    monkeypatch.setattr(run_data.data, "open_split", lambda spec, options: evaluated.source)
    monkeypatch.setattr(pages, "default_settings", lambda network: default_settings("_tiny"))
    return tmp_path


def test_training_report_shows_the_run(workdir, evaluated):
    path = report.training_report(workdir)
    assert path == workdir / "report.html"
    page = Page(path.read_text())
    assert page.tags.count("svg") == 4  # loss, mIoU, learning rate, confusion matrix
    assert "of step 10" in page.words
    assert f"{100 * evaluated.result.scores.miou:.1f} %" in page.words
    assert ["optimizer.learning_rate", "0.02", "0.01"] in page.table  # here, and by default
    assert ["optimizer.learning_rate", "0.02"] in page.table  # among all settings
    changed = [row[0] for row in page.table if len(row) == 3 and "." in row[0]]
    assert set(changed) == {"data.train", "data.val", "optimizer.learning_rate"}
    parameters = sum(leaf.size for leaf in jax.tree.leaves(evaluated.pretrained.variables))
    assert f"{parameters:,}" in page.words


def test_training_report_of_an_older_version_lacks_what_was_not_recorded(workdir):
    words = Page(report.training_report(workdir).read_text()).words
    assert not {"duration", "hardware", "versions", "The command"} & set(words)
    assert "Score the best checkpoint on the validation data, for `gcn-jax compare` too" in words


def test_training_report_says_when_and_where_the_run_was_trained(workdir):
    killed = dataclasses.replace(SESSION, ended=None)
    resumed = dataclasses.replace(SESSION, first_step=10)
    Workdir(workdir).write_sessions([killed, resumed])
    page = Page(report.training_report(workdir).read_text())
    facts = " ".join(page.words)
    assert "2026-03-01 10:00 to 10:02 UTC" in facts
    assert "2 min 16 s, 2 starts, 1 without a recorded end" in facts
    assert "1 x cpu; a processor, 2 cores, 8 GiB" in facts
    assert "python 3.11.2, jax 0.10.2" in facts
    command = "cd /home/me && gcn-jax train --config 'my config.py'"
    assert {command, f"{command} --workdir {workdir}"} <= set(page.words)  # the second goes on
    assert [row[1] for row in page.table if "jax" in row or "0.10.2" in row] == [
        "from step",
        "0",
        "10",
    ]


def test_evaluation_says_what_is_not_the_default(page, evaluated, tmp_path):
    assert "All are the defaults." in page.words
    predictor = Predictor(evaluated.pretrained, inference=Inference(flip=True, scales=(0.5, 1.0)))
    path = report.evaluation_report(
        evaluated.result, tmp_path / "page.html", predictor, evaluated.source, facts={}
    )
    other = Page(path.read_text())
    rows = [row for row in other.table if row and row[0] in ("flip", "scales")]
    assert rows[:2] == [["scales", "0.5, 1", "1"], ["flip", "True", "False"]]
    assert 'id="next"' not in other.text  # without a checkpoint there is nothing to name
    assert 'id="next"' in page.text


def test_pages_have_the_colours_of_the_run_not_of_its_data(evaluated, tmp_path):
    colors = tuple((10 * number, 200, 7) for number in range(NUM_CLASSES))
    info = dataclasses.replace(INFO, palette=colors)
    predictor = Predictor(tiny_pretrained(info=info), batch_size=4)
    path = report.evaluation_report(
        evaluated.result, tmp_path / "page.html", predictor, evaluated.source, facts={}
    )
    text = path.read_text()
    assert all(f"background: #{bytes(color).hex()}" in text for color in colors)


def test_numbers_stand_beside_their_bars(page, evaluated):
    text = page.text
    bars = re.findall(r'<td class="bar">(.*?)</td>', text, re.DOTALL)
    assert len(bars) == NUM_CLASSES
    assert all(re.sub("<[^>]*>", "", bar).strip() == "" for bar in bars)
    iou = evaluated.result.scores.per_class_iou[0]
    assert f"--to: {100 * iou:.2f}%" in bars[0]


@pytest.mark.parametrize(("count", "is_folded"), [(20, False), (21, True)])
def test_matrix_of_many_classes_is_folded(evaluated, tmp_path, count, is_folded):
    names = tuple(f"class {number}" for number in range(count))
    colors = tuple((number, 0, 0) for number in range(count))
    fields = {"num_classes": count}
    info = dataclasses.replace(INFO, class_names=names, palette=colors, fields=fields)
    model = TinyModel(count)
    variables = model.init(jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    source = FakeSource(random_source([(20, 30)] * 2, num_classes=count))
    source.class_names = names
    predictor = Predictor(Pretrained(model, variables, info, 1))
    result = evaluate(predictor, source)
    path = report.evaluation_report(result, tmp_path / "page.html", predictor, source, facts={})
    text = path.read_text()
    matrix = text.index('class="scroll matrix"')
    unclosed = text[:matrix].count("<details") - text[:matrix].count("</details")
    assert unclosed == is_folded
    assert ("taken for</th>" in text) == is_folded


def test_curve_of_the_mean_says_which_classes_it_is_over(workdir):
    lines = [
        {"step": step, "val/miou": 0.1, "val/num_classes_counted": count}
        for step, count in ((5, 3), (10, 4))
    ]
    (workdir / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    page = Page(report.training_report(workdir).read_text())
    assert "Validation mIoU over 3 to 4 of 5 classes" in page.words
    lines[0]["train/miou"] = 0.2
    (workdir / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    text = report.training_report(workdir).read_text()
    title = "Validation mIoU over 3 to 4 of 5 classes, and that of training images"
    assert title in Page(text).words
    assert "train/miou" in text


def test_training_report_of_a_run_that_logged_nothing(workdir):
    (workdir / "metrics.jsonl").unlink()
    page = Page(report.training_report(workdir, workdir / "other.html").read_text())
    assert "Training" not in page.words
    assert not (workdir / "report.html").exists()


def test_other_split_of_the_same_data(workdir, monkeypatch, evaluated):
    specs = []
    monkeypatch.setattr(
        run_data.data, "open_split", lambda spec, options: specs.append(spec) or evaluated.source
    )
    run_data.open_run_data(workdir)
    run_data.open_run_data(workdir, "test")
    assert specs == ["fake:val", "fake:test"]


def test_workdir_mistakes_are_named(workdir, monkeypatch):
    monkeypatch.setattr(
        run_data.data,
        "open_split",
        lambda *_: SimpleNamespace(class_names=("cat", "dog")),
    )
    with pytest.raises(UserError, match="fake:val has the classes cat, dog, but the model of"):
        run_data.open_run_data(workdir)
    (workdir / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        report.training_report(workdir)
    (workdir / "config.json").unlink()
    with pytest.raises(UserError, match=r"has no config\.json"):
        report.training_report(workdir)


def test_curves_take_the_colour_of_the_page():
    svg = plots.curves({"a": [(0, 1.0), (10, 0.5)], "b": [(10, 0.75)]}, "loss")
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert plots._INK not in svg


def test_four_curves_can_be_told_apart():
    svg = plots.curves({name: [(0, 1.0), (10, 2.0)] for name in "abcd"}, "loss")
    assert len(set(re.findall(r"<use [^>]*fill: (#\w+)", svg))) == 4


def marks(svg):
    """The (x, y) of the points of a picture's first line, in its own units, y downwards."""
    places = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*fill: #3b82c4', svg)
    return np.array(places, float)


@pytest.mark.parametrize("points", [[(30, 0.4)], [(10, 0.2), (20, 0.1), (30, 0.4)]])
def test_curves_have_a_mark_for_each_point_over_axes_from_0(points):
    svg = plots.curves({"val/miou": points}, "mIoU, %", last=60)
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert {"step", "mIoU, %", "0", "60"} <= set(texts)
    assert not any(text.startswith(("-", "−")) for text in texts)
    places = marks(svg)
    assert len(places) == len(points)
    if len(points) > 1:  # as far apart as the values are
        steps, values = np.array(points).T
        assert np.diff(places[:, 0]) == pytest.approx(
            np.diff(steps) * (places[-1, 0] - places[0, 0]) / (steps[-1] - steps[0])
        )
        assert np.sign(np.diff(places[:, 1])).tolist() == (-np.sign(np.diff(values))).tolist()


def test_a_curve_of_zeros_is_drawn():
    assert len(marks(plots.curves({"val/miou": [(0, 0.0)]}, "mIoU, %"))) == 1


def test_the_largest_confusions_are_listed():
    matrix = np.array([[6, 2, 2], [0, 0, 0], [1, 0, 9]])
    assert plots.largest_confusions(matrix, ["a", "b", "c"], count=3) == [
        ("a", "b", 0.2),
        ("a", "c", 0.2),
        ("c", "a", 0.1),
    ]
    assert plots.largest_confusions(np.eye(3, dtype=int), ["a", "b", "c"]) == []


def test_confusion_matrix_writes_percent_of_each_true_class():
    svg = plots.confusion(np.array([[3, 1, 0], [0, 0, 0], [1, 0, 999]]), ["a", "b", "c"])
    cells = re.findall(r">(\d+)</text>", svg)
    # The row of b, which is nowhere, is empty; 0.1 % is not written.
    assert [cell for cell in cells if cell not in ("0", "20", "40", "60", "80")] == [
        "75",
        "25",
        "100",
        "100",  # the end of the colour bar
    ]


def test_long_names_leave_the_matrix_its_room():
    names = ["a thing " * 12, "b" * 90]  # matplotlib would warn, which is an error
    svg = plots.confusion(np.array([[3, 1], [2, 6]]), names)
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert f"{'b' * 23}…" in texts
    assert {"75", "25"} <= set(texts)


def test_matrix_of_many_classes_is_drawn_without_text():
    names = [f"class {number}" for number in range(150)]
    svg = plots.confusion(np.eye(150, dtype=np.int64), names)
    assert "class 0" not in svg


def test_case_shows_the_prediction_before_the_crf_where_there_is_one(evaluated):
    sample, score = evaluated.source[0], evaluated.result.images[0]
    prediction = np.zeros(sample["label"].shape, int)
    arguments = score, sample["image"], sample["label"], prediction, NAMES, voc_palette()
    names = [panel["name"] for panel in cases.show(*arguments)["panels"]]
    assert names == ["image", "truth", "prediction", "errors"]
    names = [panel["name"] for panel in cases.show(*arguments, before=prediction + 1)["panels"]]
    assert names == ["image", "truth", "before the CRF", "after the CRF", "errors"]
