"""The next commands for one run, to be copied into a shell as they are."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gcn_jax.hub import is_on_hub
from gcn_jax.inference import Inference
from gcn_jax.inference.settings import ONE_RUN
from gcn_jax.models.pretrained.steps import BEST_METRIC
from gcn_jax.sessions import Session
from gcn_jax.training.validation import evaluations_without_progress


class Command(NamedTuple):
    """One line of a shell.

    Attributes:
        purpose: What it does.
        line: The line, quoted.
    """

    purpose: str
    line: str


def typed(session: Session) -> str:
    """Return the line that a session began with, from any folder; "" where it had none."""
    if not session.command:
        return ""
    return f"cd {shlex.quote(session.folder)} && {shlex.join(session.command)}"


def after_training(
    workdir: str | Path,
    config: Mapping[str, Any],
    records: Sequence[Mapping[str, float]],
    sessions: Sequence[Session],
) -> list[Command]:
    """Return what to do with a run: evaluate it, predict, and train on or else export it.

    Args:
        workdir: The run's folder.
        config: Its settings.
        records: Its metrics.
        sessions: Each start of it.
    """
    path, name = str(Path(workdir).resolve()), _name(workdir)
    evaluation = ["--json", f"{name}.json", "--report", f"{name}_evaluation.html"]
    last = sessions[-1] if sessions else None
    if last and last.command and not _has_ended(config, records):
        third = Command("Go on from the newest checkpoint", typed(_into(last, path)))
    else:
        third = _export(path, name)
    return [
        _command(
            "Score the best checkpoint on the validation data, for `gcn-jax compare` too",
            ["evaluate", "--ckpt", path, *evaluation],
        ),
        _predict(path, name, []),
        third,
    ]


def _into(session: Session, path: str) -> Session:
    """Return a session whose command names the workdir, which may have been moved since."""
    values = (word.rpartition("=")[2] for word in session.command)
    if any(Path(session.folder, value).resolve() == Path(path) for value in values):
        return session
    return dataclasses.replace(session, command=[*session.command, "--workdir", path])


def _has_ended(config: Mapping[str, Any], records: Sequence[Mapping[str, float]]) -> bool:
    """Whether the same command would not train any further."""
    mious = [record[BEST_METRIC] for record in records if BEST_METRIC in record]
    patience = config.get("patience", 0)
    steps = records[-1]["step"] if records else 0
    stale = patience and evaluations_without_progress(mious) >= patience
    return bool(stale) or steps >= config.get("num_steps", steps)


def after_evaluation(
    ckpt: str, inference: Inference, protocol: str | None, data_flags: Sequence[str]
) -> list[Command]:
    """Return what to do after an evaluation: predict in its way, score in another, export.

    Args:
        ckpt: The workdir, or its address on the hub.
        inference: How images were predicted.
        protocol: The name of that, where it has one.
        data_flags: The flags of `evaluate` that say which data and which checkpoint.
    """
    path, name = (ckpt if is_on_hub(ckpt) else str(Path(ckpt).resolve())), _name(ckpt)
    if protocol is None and inference == ONE_RUN:
        purpose, other, kind = "Score with flips and three scales", _THREE_SCALES, "3_scales"
    else:
        purpose, other, kind = "Score with one run of the network", [], "1_run"
    files = ["--json", f"{name}_{kind}.json", "--report", f"{name}_{kind}.html"]
    return [
        _predict(path, name, _inference_flags(inference, protocol)),
        _command(purpose, ["evaluate", "--ckpt", path, *data_flags, *other, *files]),
        _export(path, name),
    ]


def after_comparison(files: Sequence[str], ckpts: Sequence[str | None], best: int) -> list[Command]:
    """Return what to do after a comparison: look at both runs, predict with the better one.

    Args:
        files: The two result files.
        ckpts: The workdirs that they are of, where the files say that.
        best: Which of the two has the higher score, 0 or 1.
    """
    commands = [
        _command(
            f"Look at the images of {'AB'[i]}",
            ["evaluate", "--ckpt", ckpt, "--report", f"{Path(files[i]).stem}.html"],
        )
        for i, ckpt in enumerate(ckpts)
        if ckpt
    ]
    ckpt = ckpts[best]
    return [*commands, _predict(ckpt, _name(ckpt), [])] if ckpt else commands


_THREE_SCALES = ["--scales=0.75,1.0,1.25", "--flip"]


def _inference_flags(inference: Inference, protocol: str | None) -> list[str]:
    if protocol is not None:
        return [f"--protocol={protocol}"]
    values: dict[str, Any] = {
        "scales": inference.scales,
        "window": inference.window_size or (),
        "crf": dataclasses.astuple(inference.crf) if inference.crf else (),
    }
    if inference.scales == ONE_RUN.scales:
        del values["scales"]
    flags = [f"--{name}={','.join(map(str, v))}" for name, v in values.items() if v]
    flags += ["--flip"] if inference.flip else []
    different = inference.overlap != ONE_RUN.overlap
    return [*flags, f"--overlap={inference.overlap}"] if different else flags


def _predict(path: str, name: str, flags: Sequence[str]) -> Command:
    words = ["predict", "--ckpt", path, *flags, "--output", f"{name}_predictions", "."]
    return _command("Segment the images of the folder that you are in", words)


def _export(path: str, name: str) -> Command:
    words = ["export", "--ckpt", path, "--output", f"{name}.stablehlo"]
    return _command("Write one file that runs without this library", words)


def _name(ckpt: str | Path) -> str:
    return Path(ckpt).name if is_on_hub(ckpt) else Path(ckpt).resolve().name


def _command(purpose: str, words: Sequence[str]) -> Command:
    return Command(purpose, shlex.join(["gcn-jax", *words]))
