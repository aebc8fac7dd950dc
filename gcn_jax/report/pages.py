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
from gcn_jax.inference.settings import ONE_RUN
from gcn_jax.models.pretrained.steps import BEST_METRIC
from gcn_jax.report import cases, commands, figures, html, pictures
from gcn_jax.report.facts import changes, model_facts, plain, session_facts, session_rows
from gcn_jax.sessions import Session
from gcn_jax.training.config import default_config, default_settings, flatten
from gcn_jax.training.metrics_log import COUNTED_METRIC, TRAIN_METRIC
from gcn_jax.training.run_data import open_run_data
from gcn_jax.workdir import Workdir

#: Title of a plot -> what it shows of metrics.jsonl, the unit, and by what values are multiplied.
_CURVES = {
    "Training loss": (("train/loss",), "mean loss", 1),
    "Validation mIoU": ((BEST_METRIC, TRAIN_METRIC), "mIoU, %", 100),
    "Learning rate": (("learning_rate",), "learning rate", 1),
}
#: Above so many classes the confusion matrix is folded, and the largest confusions are listed.
MOST_OPEN_CLASSES = 20


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
    config, sessions = folder.read_config(), folder.read_sessions()
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
    page |= {
        "title": folder.path.resolve().name,
        "subtitle": f"{'Imported network' if origin else 'Training run'}; the scores are those of "
        "its best checkpoint",
        "facts": _run_facts(predictor, pretrained.step, config, records, origin)
        | session_facts(sessions),
        "command": commands.typed(sessions[-1]) if sessions else "",
        "sessions": session_rows(sessions) if len(sessions) > 1 else [],
        "curves": dict(_curves(records, len(pretrained.info.class_names), config)),
        "commands": commands.after_training(workdir, config, records, sessions),
    }
    if not origin:
        settings = flatten(config)
        defaults = default_settings(predictor.info.name)
        defaults["model.name"] = default_config().model.name
        page |= {
            "changes": changes(settings, defaults),
            "settings": {name: plain(value) for name, value in settings.items()},
        }
    return html.write(path or folder.report_file, "page.html.jinja", page)


def evaluation_report(
    result: EvaluationResult,
    path: str | Path,
    predictor: Predictor,
    source: "data.Source",
    facts: Mapping[str, Any],
    session: Session | None = None,
    data_flags: Sequence[str] = (),
) -> Path:
    """Write a page about an evaluation: scores, classes, confusions, good and bad images.

    Args:
        result: What `evaluate` found on the source.
        path: The page to write.
        predictor: What was evaluated; it predicts the images of the page once more.
        source: What it was evaluated on.
        facts: What else the reader has to know, by name. With the `checkpoint`, a workdir, and the
            `protocol`, where there is one, the page names the next commands.
        session: When and where that was.
        data_flags: The flags of `gcn-jax evaluate` that say which data and which checkpoint.

    Returns:
        The path of the page.
    """
    page = _page(result, predictor, source)
    inference, defaults = predictor.inference.to_json(), ONE_RUN.to_json()
    sessions = [] if session is None else [session]
    told = {name: plain(v) for name, v in facts.items() if v is not None and name not in inference}
    page |= {
        "title": f"{predictor.info.name} on {source.name}",
        "subtitle": "Evaluation",
        "facts": model_facts(predictor) | told | session_facts(sessions),
        "command": commands.typed(session) if session else "",
        "changes": changes(inference, defaults),
        "settings": {name: plain(value) for name, value in inference.items()},
    }
    if facts.get("checkpoint"):
        page["commands"] = commands.after_evaluation(
            facts["checkpoint"], predictor.inference, facts.get("protocol"), data_flags
        )
    return html.write(path, "page.html.jinja", page)


def _page(result: EvaluationResult, predictor: Predictor, source) -> dict[str, Any]:
    """Return what both pages show of an evaluation."""
    class_names = predictor.info.class_names
    palette = source.palette.copy()
    palette[: len(class_names)] = predictor.info.palette  # those of the run, whose data had others
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
    is_folded = len(class_names) > MOST_OPEN_CLASSES
    return {
        **dict.fromkeys(("curves", "sessions", "command", "commands")),  # not all pages have them
        "scores": scores,
        "counted": counted_classes(counted, class_names, matrix, source.name),
        "score_rows": SCORES,
        "boundary_rows": BOUNDARY_SCORES,
        "class_columns": CLASS_SCORES,
        "num_images": result.num_images,
        "rows": list(_rows(scores, classes)),
        "matrix": figures.confusion(matrix, class_names),
        "matrix_is_folded": is_folded,
        "confusions": figures.largest_confusions(matrix, class_names) if is_folded else [],
        "borders": _borders(scores.get("boundary")),
        "colors": errors if is_folded else classes + errors,  # each image has one of its classes
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
    curve = figures.curves({"mIoU": defined}, "mIoU, %", "width of the band, px")
    return {**scores, "over": over, "curve": curve}


def _run_facts(predictor, step, config, records, origin) -> dict[str, str]:
    """Return what a reader wants to know of a run before its scores."""
    facts = model_facts(predictor)
    if origin:
        facts["origin"] = f"{origin.source}, {origin.family}, {origin.homepage}"
        facts["licence"] = origin.licence
    else:
        facts["training data"] = plain(config["data"]["train"])
    facts["validation data"] = plain(config["data"]["val"])
    if records:
        facts["steps"] = f"{records[-1]['step']:,}"
    facts["checkpoint"] = f"of step {step:,}"
    return facts


def _curves(
    records: Sequence[Mapping[str, float]], num_classes: int, config: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Draw the metrics that the run has, all over the same steps."""
    counted = {int(r[COUNTED_METRIC]) for r in records if COUNTED_METRIC in r}
    for title, (keys, unit, factor) in _CURVES.items():
        lines = {
            key: [(record["step"], factor * record[key]) for record in records if key in record]
            for key in keys
        }
        lines = {key: points for key, points in lines.items() if points}
        if BEST_METRIC in lines and counted:
            title += f" {over_range(min(counted), max(counted), num_classes)}"
        if TRAIN_METRIC in lines:
            title += ", and that of training images"
        if lines:
            last = max(records[-1]["step"], config.get("num_steps", 0))
            yield title, figures.curves(lines, unit, last=last)
