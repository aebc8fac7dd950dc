"""HTML pages about a training run and about an evaluation: one file each, nothing else needed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gcn_jax import data, mesh, models
from gcn_jax.evaluation import EvaluationResult, evaluate
from gcn_jax.evaluation.boundary import BOUNDARY_SCORES
from gcn_jax.evaluation.counted import counted_classes, over_classes, over_range
from gcn_jax.evaluation.metrics import CLASS_SCORES, SCORES
from gcn_jax.inference import Predictor
from gcn_jax.models.pretrained.steps import BEST_METRIC
from gcn_jax.report import cases, figures, html, pictures
from gcn_jax.training.config import flatten
from gcn_jax.training.metrics_log import COUNTED_METRIC
from gcn_jax.training.run_data import open_run_data
from gcn_jax.workdir import Workdir

#: Title of a plot -> what its lines are called in metrics.jsonl.
_CURVES = {
    "Loss": ("train/loss",),
    "Validation mIoU": (BEST_METRIC,),
    "Learning rate": ("learning_rate",),
}


def training_report(workdir: str | Path, path: str | Path | None = None) -> Path:
    """Write a page about a training run: curves, scores of its best checkpoint, pictures.

    Args:
        workdir: A folder that `train.py` wrote.
        path: The page to write; `report.html` in the workdir if None.

    Returns:
        The path of the page.

    Raises:
        UserError: The workdir lacks a file, or its validation data cannot be opened.
    """
    folder = Workdir(workdir)
    config = folder.read_config()
    source = open_run_data(workdir)
    pretrained = models.load_pretrained(workdir)
    predictor = Predictor(
        pretrained,
        batch_size=config["eval_batch_size"],
        mesh=mesh.data_mesh(jax.local_devices()),
    )
    result = evaluate(predictor, source)
    records, origin = folder.read_metrics(), folder.read_origin()
    page = _page(result, predictor, source)
    kind = "Imported network" if origin else "Training run"
    page |= {
        "title": folder.path.resolve().name,
        "subtitle": f"{kind}; the scores are those of its best checkpoint",
        "facts": _run_facts(pretrained, config, records, origin),
        "curves": dict(_curves(records, len(pretrained.info.class_names))),
        "settings": {n: _plain(value) for n, value in flatten(config).items() if not origin},
    }
    return html.write(path or folder.report_file, "page.html.jinja", page)


def evaluation_report(
    result: EvaluationResult,
    path: str | Path,
    predictor: Predictor,
    source: "data.Source",
    facts: Mapping[str, Any],
) -> Path:
    """Write a page about an evaluation: scores, classes, confusions, good and bad images.

    Args:
        result: What `evaluate` found on the source.
        path: The page to write.
        predictor: What was evaluated; it predicts the images of the page once more.
        source: What it was evaluated on.
        facts: What else the reader has to know, such as the checkpoint, by name.

    Returns:
        The path of the page.
    """
    page = _page(result, predictor, source)
    title = f"{predictor.info.name} on {source.name}"
    facts = {name: _plain(value) for name, value in facts.items() if value is not None}
    page |= {"title": title, "subtitle": "Evaluation", "facts": facts}
    return html.write(path, "page.html.jinja", page)


def _page(result: EvaluationResult, predictor: Predictor, source) -> dict[str, Any]:
    """Return what both pages show of an evaluation."""
    class_names, palette = predictor.info.class_names, source.palette
    scores = result.to_json()
    groups = cases.choose(result.images)
    chosen = [score for group in groups.values() for score in group]
    examples = [source[score.index] for score in chosen]
    before = {}
    if predictor.inference.crf is not None:
        before = {i: prediction for i, _, prediction in predictor.without_crf().predict(examples)}
    shown = {}
    for i, example, prediction in predictor.predict(examples):
        maps = example["image"], example["label"], prediction
        shown[chosen[i]] = cases.show(chosen[i], *maps, class_names, palette, before.get(i))
    classes = cases.legend(range(len(class_names)), class_names, palette)
    errors = cases.legend(range(3), pictures.ERROR_NAMES, pictures.ERROR_PALETTE)
    matrix, counted = result.scores.confusion_matrix, result.scores.num_classes_counted
    return {
        "scores": scores,
        "counted": counted_classes(counted, class_names, matrix, source.name),
        "score_rows": SCORES,
        "boundary_rows": BOUNDARY_SCORES,
        "class_columns": CLASS_SCORES,
        "num_images": result.num_images,
        "rows": list(_rows(scores, classes)),
        "matrix": figures.confusion(matrix, class_names),
        "borders": _borders(scores.get("boundary")),
        "legend_of_all": classes + errors,
        "groups": {name: [shown[score] for score in group] for name, group in groups.items()},
    }


def _rows(
    scores: Mapping[str, Any], classes: Sequence[Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    """Yield the lines of the table of classes."""
    truth = np.sum(scores["confusion_matrix"], axis=1)
    for entry, pixels in zip(classes, truth, strict=True):
        name = entry["name"]
        yield {
            **entry,
            "iou": scores["per_class_iou"][name],
            "interval": scores["intervals"]["per_class_iou"][name],
            "others": [scores[one.key][name] for one in CLASS_SCORES],
            "share": pixels / max(truth.sum(), 1),
        }


def _borders(scores: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what the page shows of borders, where they were scored."""
    if scores is None:
        return None
    points = [(int(width), share) for width, share in scores["trimap_miou"].items()]
    counted = scores["trimap_num_classes_counted"].values()
    num_classes = len(scores["per_class_boundary_iou"])
    over = over_range(min(counted), max(counted), num_classes)
    iou_over = over_classes(scores["boundary_iou_num_classes_counted"], num_classes)
    scores = {**scores, "iou_over": iou_over}
    defined = [(width, 100 * share) for width, share in points if share is not None]
    if not defined:  # a truth without borders
        return {**scores, "curve": ""}
    curve = figures.curves({"mIoU, %": defined}, "width of the band, px")
    return {**scores, "over": over, "curve": curve}


def _run_facts(pretrained, config, records, origin) -> dict[str, str]:
    """Return what a reader wants to know of a run before its scores."""
    info = pretrained.info
    fields = ", ".join(f"{name}={value}" for name, value in info.fields.items())
    facts = {"model": f"{info.name} ({fields})"}
    if origin:
        facts["origin"] = f"{origin.source}, {origin.family}, {origin.homepage}"
        facts["licence"] = origin.licence
    else:
        facts["training data"] = _plain(config["data"]["train"])
    facts["validation data"] = _plain(config["data"]["val"])
    if records:
        facts["steps"] = f"{records[-1]['step']:,}"
    facts["checkpoint"] = f"of step {pretrained.step:,}"
    return facts


def _curves(records: Sequence[Mapping[str, float]], num_classes: int) -> Iterator[tuple[str, str]]:
    """Draw the metrics that the run has."""
    counted = {int(r[COUNTED_METRIC]) for r in records if COUNTED_METRIC in r}
    for title, keys in _CURVES.items():
        points = {key: [(r["step"], r[key]) for r in records if key in r] for key in keys}
        series = {key: values for key, values in points.items() if values}
        if series and BEST_METRIC in keys and counted:
            title += f" {over_range(min(counted), max(counted), num_classes)}"
        if series:
            yield title, figures.curves(series)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
