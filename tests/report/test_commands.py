"""The commands on a page are lines that a shell and the verbs understand."""

import dataclasses
import shlex

import pytest

from gcn_jax.cli import evaluate, export, predict, process, train
from gcn_jax.errors import UserError
from gcn_jax.inference import Inference
from gcn_jax.inference.crf import crf_parameters
from gcn_jax.report import commands
from gcn_jax.sessions import Session

VERBS = {"evaluate": evaluate, "predict": predict, "export": export}
RECORDS = [{"step": 10, "val/miou": 0.5}, {"step": 20, "val/miou": 0.4}]


def parsed(command):
    """Parse a line as its verb does; return the verb's flags and the words that are none."""
    program, verb, *words = shlex.split(command.line)
    assert program == "gcn-jax"
    flags = VERBS[verb].FLAGS
    return flags, process.parse(flags, words)


@pytest.fixture
def session(tmp_path):
    words = ["gcn-jax", "train", "--config", "it's mine.py", "--workdir", "a run"]
    return dataclasses.replace(Session.begin(words, []), folder=str(tmp_path / "my project"))


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A path that a shell would take for several words, named from where it lies."""
    monkeypatch.chdir(tmp_path)
    return "a run; $HOME 'quoted'"


def test_an_ended_run_is_evaluated_used_and_exported(workdir, tmp_path, session):
    lines = commands.after_training(workdir, {"num_steps": 20}, RECORDS, [session])
    assert [shlex.split(line)[1] for _, line in lines] == ["evaluate", "predict", "export"]
    for command in lines:
        flags, words = parsed(command)
        assert flags.ckpt == str(tmp_path / workdir)
        assert words == (["."] if flags is predict.FLAGS else [])
    assert evaluate.FLAGS.json == f"{workdir}.json"


def test_a_run_that_was_stopped_goes_on_by_its_own_command(workdir, tmp_path, session):
    *_, third = commands.after_training(workdir, {"num_steps": 30}, RECORDS, [session])
    cd, folder, then, *words = shlex.split(third.line)
    assert (cd, folder, then) == ("cd", str(tmp_path / "my project"), "&&")
    assert words == [*session.command, "--workdir", str(tmp_path / workdir)]  # it was moved
    named = tmp_path / "my project/a run"
    *_, third = commands.after_training(named, {"num_steps": 30}, RECORDS, [session])
    assert shlex.split(third.line)[3:] == session.command


@pytest.mark.parametrize(
    ("config", "has_ended"),
    [
        ({"num_steps": 30, "patience": 1}, True),
        ({"num_steps": 30, "patience": 2}, False),
        ({"num_steps": 30}, False),
        ({}, True),
    ],
)
def test_a_run_without_progress_has_ended(workdir, session, config, has_ended):
    *_, third = commands.after_training(workdir, config, RECORDS, [session])
    assert third.line.startswith("gcn-jax export") == has_ended


def test_a_run_whose_command_nobody_recorded_can_be_exported(workdir):
    *_, third = commands.after_training(workdir, {"num_steps": 30}, RECORDS, [])
    assert parsed(third)[0] is export.FLAGS


@pytest.mark.parametrize(
    "inference",
    [
        Inference(),
        Inference(scales=(0.5, 1.0), flip=True),
        Inference(window=(64, 96), overlap=0.5),
        Inference(crf=crf_parameters("3,3.5,50,10,5,2")),
    ],
)
def test_images_are_predicted_as_they_were_scored(workdir, inference):
    flags = ["--split=test", "--step=10"]
    predicts, other, exports = commands.after_evaluation(workdir, inference, None, flags)
    parsed(predicts)
    assert predict._INFERENCE() == inference
    parsed(other)
    assert evaluate._INFERENCE() != inference
    assert (evaluate.FLAGS.split, evaluate.FLAGS.step) == ("test", "10")
    parsed(exports)


def test_a_protocol_is_named(workdir):
    predicts, *_ = commands.after_evaluation(workdir, Inference(flip=True), "fcn_voc", [])
    assert "--protocol=fcn_voc" in shlex.split(predicts.line)
    assert "--flip" not in predicts.line


def test_a_model_on_the_hub_keeps_its_address(workdir):
    for command in commands.after_evaluation("hf://me/model", Inference(), None, []):
        flags, _ = parsed(command)
        assert flags.ckpt == "hf://me/model"


def test_after_a_comparison_the_better_run_predicts():
    files, runs = ("a.json", "b.json"), ("/runs/a", "/runs/b c")
    lines = commands.after_comparison(files, runs, best=1)
    assert [parsed(line)[0].ckpt for line in lines] == ["/runs/a", "/runs/b c", "/runs/b c"]
    assert commands.after_comparison(files, (None, None), best=0) == []
    assert len(commands.after_comparison(files, (None, "/runs/b"), best=0)) == 1


def test_what_is_typed_is_recorded():
    words = ["--config", "quickstart", "--config.num_steps=5", "--dry_run", "--help_me"]
    with pytest.raises(UserError, match="help_me"):
        process.call(train, words)
    assert process.typed_words() == words
