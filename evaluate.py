"""Score a trained model: `python evaluate.py --ckpt runs/quickstart [--report FILE]`."""

import json
from collections.abc import Sequence

from absl import flags
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gcn_jax import atomic, cli, errors, evaluation, models, report

_CKPT = flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True)
_SPLIT = flags.DEFINE_string("split", None, "Split to evaluate on; by default the run's own.")
_STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or the number of a step.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images a step.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "File to write the scores to.")
_REPORT = flags.DEFINE_string("report", None, "HTML file to write, with pictures.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Prepared data; by default where the run had it.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Folder of the data; by default the run's.")
_TITLES = {"mIoU": "miou", "pixel accuracy": "pixel_accuracy", "mean accuracy": "mean_accuracy"}


def main(argv: Sequence[str]) -> None:
    """Evaluate one checkpoint on one split, print the scores, and write what was asked for."""
    if len(argv) > 1:
        raise errors.UserError(f"unexpected argument {argv[1]!r}; the workdir is named by --ckpt")
    source = report.open_split(_CKPT.value, _SPLIT.value, _DATA_DIR.value, _MANUAL_DIR.value)
    model, variables, info, step = models.load_pretrained(_CKPT.value, step=_STEP.value)
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(source.name, total=len(source))
        result = evaluation.evaluate(
            model,
            variables,
            source,
            num_classes=len(info.class_names),
            mean=info.mean,
            std=info.std,
            batch_size=_BATCH_SIZE.value,
            progress=lambda done, total: progress.update(task, completed=done),
        )
    facts = {
        "checkpoint": _CKPT.value,
        "step": step,
        "split": source.name,
        "num_images": result.num_images,
        "num_compiled_shapes": result.num_compiled_shapes,
        "images_per_second": round(result.num_images / result.seconds, 1),
    }
    scores = result.scores.to_json(info.class_names)
    console.print(_table(scores))
    line = "{num_images} images of {split}, {images_per_second} images/s, compiled shapes: "
    print((line + "{num_compiled_shapes}; {checkpoint}, step {step}").format(**facts))
    if _JSON.value:
        atomic.write(_JSON.value, json.dumps({**scores, **facts}, indent=2) + "\n")
        print(f"wrote {_JSON.value}")
    if _REPORT.value:
        pieces = dict(info=info, model=model, variables=variables, source=source, facts=facts)
        report.evaluation_report(result, _REPORT.value, **pieces)
        print(f"wrote {_REPORT.value}")


def _table(scores: dict) -> Table:
    table = Table("class", "IoU, %")
    for name, iou in scores["per_class_iou"].items():
        table.add_row(name, _percent(iou))
    table.add_section()
    for title, name in _TITLES.items():
        table.add_row(title, _percent(scores[name]))
    return table


def _percent(share: float | None) -> str:
    return "absent" if share is None else f"{100 * share:6.2f}"


if __name__ == "__main__":
    cli.run(main)
