"""Readers of a run: its settings, its model, its metrics, its checkpoints, its scores."""

import dataclasses
import json
import warnings
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gcn_jax import models
from gcn_jax.errors import UserError
from gcn_jax.evaluation.results import read_image_sums
from gcn_jax.models.network import variable_shapes
from gcn_jax.models.pretrained import restore
from gcn_jax.models.pretrained.info import read_info, write_info
from gcn_jax.report.facts import session_facts, session_rows
from gcn_jax.sessions import Session
from gcn_jax.training import default_config
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.config import check_same_run
from gcn_jax.training.metrics_log import MetricWriter
from gcn_jax.training.state import TrainState, create_state
from gcn_jax.workdir import Workdir
from tests.fuzz import mutations
from tests.fuzz.cases import Reader
from tests.helpers.runs import INFO, SMALL


def load(source: str | Path) -> Any:
    """Load a trained model; the shapes of the network, which no case changes, are computed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore, "variable_shapes", _shapes)
        loaded = models.load_pretrained(source)
    return loaded.step, loaded.variables


_shapes = cache(variable_shapes)


def _write_model(folder: Path) -> None:
    fields = {**INFO.fields, "kernel_size": 5, "dtype": "float32", "head": "gcn"}
    write_info(folder, dataclasses.replace(INFO, fields=fields))


def _read_model(folder: Path) -> Any:
    """Do with `model.json` what `load_pretrained` does before it reads weights."""
    info = read_info(folder)
    shapes = variable_shapes(models.create_model(info.name, **info.fields))
    return repr(info), repr(jax.tree.map(lambda leaf: leaf.shape, shapes))


# --------------------------------------------------------------------------- settings and metrics
def _write_config(folder: Path) -> None:
    (folder / "config.json").write_text(default_config().to_json(indent=2))


def _read_config(folder: Path) -> Any:
    """Read settings as evaluation does, and compare them as a run that goes on does."""
    config = Workdir(folder).read_config()
    with _WarningsRefuse():
        check_same_run(default_config(), folder)
    return repr(config)


def _resume(folder: Path) -> Any:
    """Go on with a run: damaged settings are written anew, which a warning says."""
    with _WarningsRefuse():
        check_same_run(default_config(), folder)


def _write_metrics(folder: Path) -> None:
    lines = ({"step": step, "train/loss": 1 / step, "val/miou": 0.5} for step in (5, 10, 15))
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def _read_metrics(folder: Path) -> Any:
    lines = Workdir(folder).read_metrics()
    before = (folder / "metrics.jsonl").read_bytes()
    MetricWriter(folder, first_step=10).close()
    (folder / "metrics.jsonl").write_bytes(before)
    return repr(lines)


def _write_sessions(folder: Path) -> None:
    session = Session(
        started="2026-03-01T10:00:00+01:00",
        ended="2026-03-01T10:02:16+01:00",
        command=["gcn-jax", "train"],
        folder="/home",
        devices="1 x cpu",
        cpu="a processor",
        num_cores=2,
        memory=2**33,
        versions={"python": "3.11.2"},
    )
    running = dataclasses.replace(session, ended=None, first_step=300)
    Workdir(folder).write_sessions([session, running])


def _read_sessions(folder: Path) -> Any:
    """Read the starts of a run, and say of them what the page about it does."""
    sessions = Workdir(folder).read_sessions()
    return repr((sessions, session_facts(sessions), session_rows(sessions)))


def _write_scores(folder: Path) -> None:
    image = {"intersection": [4, 2], "truth": [5, 3], "prediction": [6, 2]}
    images = [{"id": name, **image} for name in ("a", "b")]
    content = {"miou": 0.5, "per_class_iou": {"x": 0.5, "y": None}, "images": images}
    (folder / "scores.json").write_text(json.dumps(content))


def _read_scores(folder: Path) -> Any:
    sums = read_image_sums(str(folder / "scores.json"))
    return sums.class_names, sums.ids, sums.sums


# ------------------------------------------------------------------------------------ checkpoints
def _filled(state: TrainState) -> TrainState:
    """Fill arrays with numbers that tell them apart."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.integers(1, 99, leaf.shape).astype(leaf.dtype)), state
    )


def _write_checkpoint(folder: Path, state: TrainState) -> None:
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(4, state, {"iterator": {"next_index": 16}, "num_examples": 5})
        checkpoints.add_scores(4, {"val/miou": 0.75, "val/pixel_accuracy": 0.875})


def _write_trained(folder: Path) -> None:
    write_info(folder, SMALL)
    model, tx = models.create_model(SMALL.name, **SMALL.fields), optax.trace(0.9)
    init = partial(create_state, model, tx, ema=True)
    _write_checkpoint(folder, _filled(jax.eval_shape(init, jax.random.key(0))))


def _load(folder: Path) -> Any:
    with _WarningsRefuse():
        return load(folder)


@cache
def _few_arrays() -> TrainState:
    """Return a state of one array of each part, of no network's."""
    variables = {"params": {"kernel": np.zeros((5, 20))}, "batch_stats": {"mean": np.zeros(40)}}
    momentum = optax.trace(0.9).init(variables["params"])
    state = TrainState(step=np.zeros((), int), **variables, opt_state=momentum, ema=variables)
    return _filled(jax.tree.map(jnp.asarray, state))


def _restore(folder: Path) -> Any:
    like = jax.tree.map(jnp.zeros_like, _few_arrays())
    with _WarningsRefuse(), Checkpoints(folder) as checkpoints:
        state, position = checkpoints.restore(like)
        return jax.tree.leaves(state), position, checkpoints.scores


class _WarningsRefuse(warnings.catch_warnings):
    """A context in which what was warned of counts as refused: it was noticed and named."""

    def __init__(self) -> None:
        super().__init__(record=True)

    def __enter__(self) -> Any:
        self._noticed = super().__enter__()
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        return self._noticed

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        if self._noticed and exception[0] is None:
            raise UserError(str(self._noticed[0].message))


READERS = (
    Reader("model.json (tree)", _write_model, _read_model, mutations.of_json, short=10),
    Reader("model.json (bytes)", _write_model, _read_model, mutations.of_bytes, short=10),
    Reader("config.json (tree)", _write_config, _read_config, mutations.of_json),
    Reader("config.json (bytes)", _write_config, _read_config, mutations.of_bytes),
    Reader("config.json, resumed (tree)", _write_config, _resume, mutations.of_json),
    Reader("config.json, resumed (bytes)", _write_config, _resume, mutations.of_bytes),
    Reader("metrics.jsonl (tree)", _write_metrics, _read_metrics, mutations.of_json),
    Reader("metrics.jsonl (bytes)", _write_metrics, _read_metrics, mutations.of_bytes),
    Reader("sessions.json (tree)", _write_sessions, _read_sessions, mutations.of_json),
    Reader("sessions.json (bytes)", _write_sessions, _read_sessions, mutations.of_bytes),
    Reader("scores of images (tree)", _write_scores, _read_scores, mutations.of_json),
    Reader("scores of images (bytes)", _write_scores, _read_scores, mutations.of_bytes),
    Reader(
        "checkpoint, loaded", _write_trained, _load, mutations.of_bytes,
        "checkpoints/4/**/*", checksum=True, short=20,
    ),
    Reader(
        "checkpoint, resumed", lambda folder: _write_checkpoint(folder, _few_arrays()), _restore,
        mutations.of_bytes,
        "checkpoints/4/**/*", checksum=True, short=20,
    ),
)  # fmt: skip
