import dataclasses
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from gcn_jax import report
from gcn_jax.data.classes import voc_palette
from gcn_jax.errors import UserError
from gcn_jax.evaluation import BoundaryCounts, evaluate
from gcn_jax.evaluation.metrics import CLASS_SCORES
from gcn_jax.inference import Inference, Predictor
from gcn_jax.models import ModelInfo
from gcn_jax.report import cases, pages
from gcn_jax.report import figures as plots
from gcn_jax.training import run_data
from tests.helpers.fakes import MEAN, NUM_CLASSES, STD, random_source, tiny_pretrained

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
    "optimizer": {"learning_rate": 0.01},
}


class FakeSource(list):
    name = "fake:val"
    class_names = NAMES
    palette = voc_palette()


class Page(HTMLParser):
    """Collects what a page shows; `table` has the cells of each row of the first table."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.words, self.table = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag == "tr":
            self.table.append([])

    def handle_data(self, data):
        self.words.append(data.strip())
        if self.table and data.strip():
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
        facts={"images_per_second": 12.5, "crf": {"gaussian_sxy": 3, "gaussian_weight": 0.5}},
    )
    assert written == path
    assert [file.name for file in path.parent.iterdir()] == ["page.html"]
    return Page(path.read_text())


def test_page_needs_nothing_but_itself(page):
    assert page.addresses
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_page_says_which_classes_its_mean_is_over(page):
    text = " ".join(page.words)
    assert "over 5 of 5 classes; absent from fake:val: unseen (predicted, so 0)" in text
    assert re.search(r"mIoU [\d.–]+ % over [1-5] of 5 classes, pixel accuracy", text)


def test_page_escapes_what_it_is_told(page):
    assert page.words.count("tiny & <small> on fake:val") == 2  # title and heading
    assert "<b>&car</b>" in page.words
    assert {"images per second", "12.5"} <= set(page.words)
    assert "gaussian_sxy=3, gaussian_weight=0.5" in page.words


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
    return tmp_path


def test_training_report_shows_the_run(workdir, evaluated):
    path = report.training_report(workdir)
    assert path == workdir / "report.html"
    page = Page(path.read_text())
    assert page.tags.count("svg") == 4  # loss, mIoU, learning rate, confusion matrix
    assert "of step 10" in page.words
    assert f"{100 * evaluated.result.scores.miou:.1f} %" in page.words
    assert ["optimizer.learning_rate", "0.01"] in page.table


def test_curve_of_the_mean_says_which_classes_it_is_over(workdir):
    lines = [
        {"step": step, "val/miou": 0.1, "val/num_classes_counted": count}
        for step, count in ((5, 3), (10, 4))
    ]
    (workdir / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    page = Page(report.training_report(workdir).read_text())
    assert "Validation mIoU over 3 to 4 of 5 classes" in page.words


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
    svg = plots.curves({"a": [(0, 1.0), (10, 0.5)], "b": [(10, 0.75)]})
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert plots._INK not in svg


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
