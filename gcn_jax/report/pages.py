"""HTML pages about a training run and about an evaluation: one file each, nothing else needed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jinja2
import numpy as np

from gcn_jax import atomic, data, models
from gcn_jax import mesh as mesh_lib
from gcn_jax.errors import UserError
from gcn_jax.evaluation import EvaluationResult, Predictor, evaluate
from gcn_jax.models.pretrained import BEST_METRIC
from gcn_jax.report import cases, pictures, plots
from gcn_jax.training.config import flatten
from gcn_jax.training.logs import read_metrics

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
        path: Of the page; `report.html` in the workdir if None.

    Returns:
        The path of the page.

    Raises:
        UserError: The workdir lacks a file, or its validation data cannot be opened.
    """
    workdir = Path(workdir)
    config = read_config(workdir)
    source = open_split(workdir)
    model, variables, info, step = models.load_pretrained(workdir)
    mesh = mesh_lib.data_mesh(jax.local_devices())
    predictor = Predictor(model, variables, info, batch_size=config["eval_batch_size"], mesh=mesh)
    result = evaluate(predictor, source)
    records = read_metrics(workdir / "metrics.jsonl")
    page = _page(result, predictor, source)
    page |= {
        "title": workdir.resolve().name,
        "subtitle": "Training run; the scores are those of its best checkpoint",
        "facts": _run_facts(info, config, records, step),
        "curves": dict(_curves(records)),
        "settings": {name: _plain(value) for name, value in flatten(config).items()},
    }
    return _write(path or workdir / "report.html", page)


def evaluation_report(
    result: EvaluationResult,
    path: str | Path,
    predictor: Predictor,
    source: data.Source,
    facts: Mapping[str, Any],
) -> Path:
    """Write a page about an evaluation: scores, classes, confusions, good and bad images.

    Args:
        result: What `evaluate` found on the source.
        path: Of the page.
        predictor: What was evaluated; it predicts the images of the page once more.
        source: What it was evaluated on.
        facts: What else the reader has to know, such as the checkpoint, by name.

    Returns:
        The path of the page.
    """
    page = _page(result, predictor, source)
    title = f"{predictor.info.name} on {source.name}"
    return _write(path, page | {"title": title, "subtitle": "Evaluation", "facts": facts})


def read_config(workdir: str | Path) -> dict[str, Any]:
    """Read `config.json` of a workdir.

    Raises:
        UserError: There is none, or it is not JSON.
    """
    path = Path(workdir) / "config.json"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{workdir} has no config.json, which names the run's data") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is damaged ({error})") from None


def open_split(
    workdir: str | Path,
    split: str | None = None,
    data_dir: str | None = None,
    manual_dir: str | None = None,
) -> data.Source:
    """Open the validation data of a run, or another split of the same data set.

    Args:
        workdir: A folder that `train.py` wrote.
        split: Such as "train"; that of the config's `data.val` if None.
        data_dir: Where prepared data sets are kept; as in the config if None.
        manual_dir: The folder of the data; as in the config if None.

    Raises:
        UserError: The split cannot be opened, or its classes are not those of the model.
    """
    class_names = models.read_info(workdir).class_names
    options = read_config(workdir)["data"]
    given = {"data_dir": data_dir, "manual_dir": manual_dir}
    options |= {name: folder for name, folder in given.items() if folder}
    spec = options["val"]
    if split is not None:
        spec = f"{spec.partition(':')[0]}:{split}"
    source = data.open_split(spec, options)
    if tuple(source.class_names) != class_names:
        raise UserError(
            f"{spec} has the classes {', '.join(source.class_names)}, but the model of {workdir} "
            f"was trained for {', '.join(class_names)}"
        )
    return source


def _page(result: EvaluationResult, predictor: Predictor, source) -> dict[str, Any]:
    """Return what both pages show of an evaluation."""
    scores, class_names, palette = result.scores, predictor.info.class_names, source.palette
    groups = cases.choose(result.images)
    chosen = [score for group in groups.values() for score in group]
    samples = [source[score.index] for score in chosen]
    shown = {
        chosen[i]: cases.show(
            chosen[i], sample["image"], sample["label"], prediction, class_names, palette
        )
        for i, sample, prediction in predictor.predict(samples)
    }
    classes = cases.legend(range(len(class_names)), class_names, palette)
    errors = cases.legend(range(3), pictures.ERROR_NAMES, pictures.ERROR_PALETTE)
    return {
        "scores": scores,
        "num_images": result.num_images,
        "rows": list(_rows(scores, classes)),
        "matrix": plots.confusion(scores.confusion_matrix, class_names),
        "legend_of_all": classes + errors,
        "groups": {name: [shown[score] for score in group] for name, group in groups.items()},
    }


def _rows(scores, classes: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of the table of classes."""
    matrix = scores.confusion_matrix
    for number, (entry, iou) in enumerate(zip(classes, scores.per_class_iou, strict=True)):
        truth = matrix[number].sum()
        accuracy = matrix[number, number] / truth if truth else np.nan
        yield {**entry, "iou": iou, "accuracy": accuracy, "share": truth / max(matrix.sum(), 1)}


def _run_facts(info, config, records, step) -> dict[str, str]:
    """Return what a reader wants to know of a run before its scores."""
    fields = ", ".join(f"{name}={value}" for name, value in info.fields.items())
    facts = {
        "model": f"{info.name} ({fields})",
        "training data": _plain(config["data"]["train"]),
        "validation data": _plain(config["data"]["val"]),
    }
    if records:
        facts["steps"] = f"{records[-1]['step']:,}"
    facts["checkpoint"] = f"of step {step:,}"
    return facts


def _curves(records: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, str]]:
    """Draw the metrics that the run has."""
    for title, keys in _CURVES.items():
        points = {key: [(r["step"], r[key]) for r in records if key in r] for key in keys}
        series = {key: values for key, values in points.items() if values}
        if series:
            yield title, plots.curves(series)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f}"


def _write(path: str | Path, page: Mapping[str, Any]) -> Path:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    atomic.write(path, environment.get_template("page.html.jinja").render(page))
    return Path(path)
