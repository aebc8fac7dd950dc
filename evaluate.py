"""Score a trained model: `python evaluate.py --ckpt runs/quickstart [--report FILE]`."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence

from absl import flags

from gcn_jax import atomic, data, evaluation, mesh, models, report
from gcn_jax.cli import process
from gcn_jax.cli.flags import define_inference_flags
from gcn_jax.data.builders.voc_segmentation import VOC_CLASSES
from gcn_jax.errors import UserError
from gcn_jax.inference import Predictor

_CKPT = flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True)
_SPLIT = flags.DEFINE_string("split", None, "Split to evaluate on; by default the run's own.")
_STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or the number of a step.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images a step.", lower_bound=1)
_INFERENCE = define_inference_flags()
_BOUNDARY = flags.DEFINE_bool("boundary", False, "Score the borders of objects, too.")
_JSON = flags.DEFINE_string("json", None, "File to write the scores to.")
_REPORT = flags.DEFINE_string("report", None, "HTML file to write, with pictures.")
_SUBMISSION = flags.DEFINE_string("submission", None, ".tar.gz to write for VOC's server.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Prepared data; by default where the run had it.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Folder of the data; by default the run's.")


def main(argv: Sequence[str]) -> None:
    """Evaluate one checkpoint on one split, print the scores, and write what was asked for."""
    if len(argv) > 1:
        raise UserError(f"unexpected argument {argv[1]!r}; the workdir is named by --ckpt")
    inference = _INFERENCE()
    source = report.open_split(_CKPT.value, _SPLIT.value, _DATA_DIR.value, _MANUAL_DIR.value)
    _check_outputs(source)
    model, variables, info, step = models.load_pretrained(_CKPT.value, step=_STEP.value)
    how = {"inference": inference, "batch_size": _BATCH_SIZE.value, "mesh": mesh.data_mesh()}
    predictor = Predictor(model, variables, info, **how)
    settings = {"checkpoint": _CKPT.value, "step": step, "split": source.name}
    settings |= {"batch_size": predictor.batch_size, **dataclasses.asdict(inference)}
    submission = contextlib.nullcontext()
    if _SUBMISSION.value:
        submission = evaluation.open_submission(_SUBMISSION.value, source.palette, len(source))
    with submission as visit, report.progress_bar(source.name) as progress:
        if source.is_labelled:
            watch = {"visit": visit, "progress": progress}
            result = evaluation.evaluate(predictor, source, boundary=_BOUNDARY.value, **watch)
        else:
            for done, (_, sample, prediction) in enumerate(predictor.predict(source), start=1):
                visit(sample, prediction)
                progress(done, len(source))
    if source.is_labelled:
        _write_scores(result, predictor, source, settings)
    if _SUBMISSION.value:
        shapes = len(predictor.compiled_shapes)
        print(f"wrote {_SUBMISSION.value}: {len(source)} images, compiled shapes: {shapes}")


def _write_scores(result, predictor, source, settings) -> None:
    scores = result.to_json(predictor.info.class_names)
    report.print_scores(scores, settings | result.facts)
    if _JSON.value:
        content = {"settings": settings, **result.facts, **scores}
        atomic.write(_JSON.value, json.dumps(content) + "\n")
        print(f"wrote {_JSON.value}")
    if _REPORT.value:
        report.evaluation_report(result, _REPORT.value, predictor, source, settings | result.facts)
        print(f"wrote {_REPORT.value}")


def _check_outputs(source: data.Source) -> None:
    if not source.is_labelled and (_JSON.value or _REPORT.value or not _SUBMISSION.value):
        raise UserError(f"{source.name} has no labels: no scores, only --submission, can be had")
    if _SUBMISSION.value and source.class_names != VOC_CLASSES.names:
        names = ", ".join(source.class_names)
        raise UserError(f"--submission is for the 21 classes of PASCAL VOC; the model has {names}")


if __name__ == "__main__":
    process.run(main)
