"""Score a trained model, class by class, with the interval of resampled images.

    gcn-jax evaluate --ckpt runs/quickstart --report evaluation.html
    gcn-jax evaluate --ckpt runs/a --scales 0.5,1.0,1.5 --flip --crf deeplab_v2_resnet101 --boundary
    gcn-jax evaluate --ckpt runs/pspnet_voc --protocol pspnet_voc_ms --json pspnet.json
    gcn-jax evaluate --ckpt runs/stage3 --split test --submission results.tar.gz

Every image is scored at its own size. --json, --report and --submission write what was found.
"""

import contextlib
import dataclasses
import json
from pathlib import Path

import jax
from absl import flags

from gcn_jax import atomic, data, evaluation, mesh, models
from gcn_jax.cli import process
from gcn_jax.cli.flags import define_run_flags, expect_arguments
from gcn_jax.cli.inference_flags import define_inference_flags
from gcn_jax.data.builders.published_classes import VOC_CLASSES
from gcn_jax.errors import UserError
from gcn_jax.inference import Predictor
from gcn_jax.inference.large import check_memory
from gcn_jax.sessions import Session
from gcn_jax.terminal import progress, say
from gcn_jax.training.run_data import open_run_data

FLAGS = flags.FlagValues()
define_run_flags(FLAGS)
_INFERENCE = define_inference_flags(FLAGS)
flags.DEFINE_integer("batch_size", 8, "Images a step.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_bool("boundary", False, "Score the borders of objects, too.", flag_values=FLAGS)
flags.DEFINE_string("json", None, "File to write the scores to.", flag_values=FLAGS)
flags.DEFINE_string("report", None, "HTML file to write, with pictures.", flag_values=FLAGS)
flags.DEFINE_string("submission", None, ".tar.gz to write for VOC's server.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)

_DATA_FLAGS = ("step", "split", "data_dir", "manual_dir")


def run(arguments: list[str]) -> None:
    """Evaluate one checkpoint on one split, print the scores, and write what was asked for."""
    expect_arguments(arguments, "", 0)
    inference = _INFERENCE()
    source = open_run_data(FLAGS.ckpt, FLAGS.split, FLAGS.data_dir, FLAGS.manual_dir)
    _check_outputs(source)
    if about_large := check_memory(source.sizes, inference, len(source.class_names)):
        say(about_large)
    session = Session.begin(["gcn-jax", "evaluate", *process.typed_words()], jax.devices())
    pretrained = models.load_pretrained(FLAGS.ckpt, step=FLAGS.step)
    predictor = Predictor(
        pretrained, inference=inference, batch_size=FLAGS.batch_size, mesh=mesh.data_mesh()
    )
    settings = {"checkpoint": FLAGS.ckpt, "step": pretrained.step, "split": source.name}
    settings |= {"batch_size": predictor.batch_size, **inference.to_json()}
    if FLAGS.protocol is not None:
        settings["protocol"] = FLAGS.protocol
    with contextlib.ExitStack() as stack:
        visit = None
        if FLAGS.submission:
            submission = evaluation.open_submission(FLAGS.submission, source.palette, len(source))
            visit = stack.enter_context(submission)
        show = stack.enter_context(progress(source.name))
        if source.is_labelled:
            result = evaluation.evaluate(
                predictor, source, boundary=FLAGS.boundary, visit=visit, progress=show
            )
        elif visit is not None:
            for done, (_, sample, prediction) in enumerate(predictor.predict(source), start=1):
                visit(sample, prediction)
                show(done, len(source))
    if source.is_labelled:
        _write_scores(result, predictor, source, settings, session.end())
    if FLAGS.submission:
        shapes = len(predictor.compiled_shapes)
        say(f"wrote {FLAGS.submission}: {len(source)} images, compiled shapes: {shapes}")


def _write_scores(result, predictor, source, settings, session) -> None:
    from gcn_jax import report  # not sooner: its plotting library is slow to import

    scores = result.to_json()
    report.print_scores(scores, settings | result.facts)
    if FLAGS.json:
        content = {"settings": settings, "session": dataclasses.asdict(session)}
        content |= {**result.facts, **scores}
        atomic.write(FLAGS.json, json.dumps(content) + "\n")
        say(f"wrote {FLAGS.json}")
    if FLAGS.report:
        facts = settings | result.facts
        report.evaluation_report(
            result, FLAGS.report, predictor, source, facts, session, _data_flags()
        )
        say(f"wrote {FLAGS.report}")


def _data_flags() -> list[str]:
    """Return the flags that said which checkpoint and which data, as they work from any folder."""
    values = {name: str(FLAGS[name].value) for name in _DATA_FLAGS if FLAGS[name].present}
    for name in ("data_dir", "manual_dir"):
        if name in values and values[name].lower() != "none":
            values[name] = str(Path(values[name]).expanduser().resolve())
    return [f"--{name}={value}" for name, value in values.items()]


def _check_outputs(source: "data.Source") -> None:
    if not source.is_labelled and (FLAGS.json or FLAGS.report or not FLAGS.submission):
        raise UserError(f"{source.name} has no labels: no scores, only --submission, can be had")
    if FLAGS.submission and source.class_names != VOC_CLASSES.names:
        names = ", ".join(source.class_names)
        raise UserError(f"--submission is for the 21 classes of PASCAL VOC; the model has {names}")
