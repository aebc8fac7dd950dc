"""A training run, from a config to a workdir: its phases in their order."""

import contextlib
import math
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from gcn_jax import atomic, data, evaluation, inference, mesh
from gcn_jax.errors import UserError, setting
from gcn_jax.hub import is_on_hub
from gcn_jax.models.pretrained.info import ModelInfo, write_info
from gcn_jax.models.pretrained.restore import BEST_METRIC, Pretrained
from gcn_jax.terminal import ProgressBar
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.config import check_config, check_same_run
from gcn_jax.training.initial_weights import start_variables, with_preprocessing
from gcn_jax.training.interruption import Interruption
from gcn_jax.training.metrics_log import MetricWriter
from gcn_jax.training.parts import Parts, make_parts
from gcn_jax.training.state import TrainState
from gcn_jax.workdir import Workdir


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Train the network that a config describes, or go on with the run that a workdir holds.

    Args:
        config: The settings, from `default_config`.
        workdir: Where everything about the run is kept; see `gcn_jax.workdir`.

    Returns:
        The state after the last step.

    Raises:
        UserError: The config, the data or the weights to start from are at fault, the workdir holds
            another run or is being written by one, or the loss is not finite.
        SystemExit: SIGINT or SIGTERM came; everything was saved, and the code is 128 + its number.
    """
    folder = Workdir(workdir)
    config = _with_absolute_paths(config)
    check_config(config)
    check_same_run(config, folder.path)
    device_mesh = _make_mesh(config)
    lock = folder.lock() if jax.process_index() == 0 else contextlib.nullcontext()
    with lock:
        train, val = _open_data(config)
        config = with_preprocessing(config, folder.path)
        parts = make_parts(config, train, config.data.mean, config.data.std)
        with Checkpoints(folder.path) as checkpoints:
            run = _Run(config, folder, device_mesh, train, val, parts, checkpoints)
            state, batches, losses = _start(run)
            return _loop(run, state, batches, losses)


class _Run(NamedTuple):
    """Everything about a run that stays as it is."""

    config: ConfigDict
    folder: Workdir
    device_mesh: jax.sharding.Mesh
    train: data.Source | data.Mixture
    val: data.Source
    parts: Parts
    checkpoints: Checkpoints

    @property
    def info(self) -> ModelInfo:
        """The content of `model.json`."""
        num_classes = len(self.train.class_names)
        fields = self.config.model.to_dict() | {"num_classes": num_classes}
        return ModelInfo(
            name=fields.pop("name"),
            fields=fields,
            class_names=self.train.class_names,
            palette=data.class_colors(self.train.palette, num_classes),
            mean=tuple(self.config.data.mean),
            std=tuple(self.config.data.std),
        )


def _open_data(config: ConfigDict) -> tuple[data.Source | data.Mixture, data.Source]:
    """Open what is trained on, and what is validated on."""
    train = data.open_training_source(config.data.train, config.data)
    val = data.open_split(config.data.val, config.data)
    if train.class_names != val.class_names:
        raise UserError(f"{train.name} and {val.name} have different classes")
    return train, val


def _start(run: _Run) -> tuple[TrainState, Any, list[Any]]:
    """Return the state to go on from, the stream of batches there, and losses not yet logged.

    The state is the first of these that there is: 1. The newest readable checkpoint in the workdir.
    2. The best one of `init_from`, for parameters and statistics.  3. `backbone_weights`, for those
    of the backbone.  4. The seed.
    """
    config, everywhere = run.config, mesh.replicated(run.device_mesh)
    batches = data.training_batches(
        run.train,
        data.Augment(**config.augment, fill=config.data.mean),
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=config.data.num_threads,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    losses: list[Any] = []
    state = jax.jit(run.parts.init, out_shardings=everywhere)(jax.random.key(config.seed))
    restored = run.checkpoints.restore(state)
    if restored is not None:
        state, position = restored
        if position["num_examples"] != len(run.train):
            raise UserError(
                f"{run.train.name} has {len(run.train)} images now, and had "
                f"{position['num_examples']} when {run.folder.path} was trained; name another "
                "--workdir"
            )
        batches.set_state(position["iterator"])
        losses = list(position.get("losses", []))  # runs before this was kept have none
    elif config.init_from or config.backbone_weights:
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        variables = start_variables(config, run.parts.model, variables)
        state = jax.jit(TrainState.with_variables, out_shardings=everywhere)(state, variables)
    if jax.process_index() == 0:
        atomic.write(run.folder.config_file, config.to_json(indent=2))
        write_info(run.folder.path, run.info)
    return state, batches, losses


def _loop(run: _Run, state: TrainState, batches: Any, losses: list[Any]) -> TrainState:
    """Train to the last step; log, evaluate and save when the config says so."""
    config, checkpoints = run.config, run.checkpoints
    first_step = int(state.step)
    writer = MetricWriter(run.folder.path, first_step) if jax.process_index() == 0 else None
    train_step = jax.jit(
        run.parts.step, donate_argnums=0, out_shardings=mesh.replicated(run.device_mesh)
    )
    bar = ProgressBar("step", config.num_steps, completed=first_step, transient=False)
    with Interruption() as interruption, bar:
        bar.say(_headline(run, state))
        timer = _Timer()
        for step in range(first_step + 1, config.num_steps + 1):
            batch = next(batches)
            state, metrics = train_step(state, _to_devices(batch, config, run.device_mesh))
            losses.append(metrics["loss"])
            # The device is one step behind, not more: what the bar shows is true, and a signal is
            # obeyed after the step that it came in.
            jax.block_until_ready(losses[-2:-1])
            bar.advance(step)
            if step == first_step + 1:
                state.step.block_until_ready()
                bar.say(f"first step, compiled, after {timer.seconds:.0f} s")
                timer = _Timer(step)

            log, validate, save = (
                step % every == 0 or step == config.num_steps
                for every in (config.log_every, config.eval_every, config.checkpoint_every)
            )
            stop = _agreed(interruption.signal, ask=log)
            if not (log or validate or save or stop):
                continue

            losses = _finite(losses, step, checkpoints)
            scores: dict[str, float] = {}
            if log or validate or save:
                scalars = _scalars(run, step, losses, timer)
                losses = []
                _show(bar, step, scalars)
                if validate:
                    scores = _evaluate(run, state)
                    bar.say(f"step {step}: val mIoU {scores[BEST_METRIC]:.4f}")
                if writer is not None:
                    writer.write(step, scalars | scores)

            # A stop between two lines of the metrics writes none: the run that goes on does.
            if save or validate or stop:
                position = {
                    "iterator": batches.get_state(),
                    "num_examples": len(run.train),
                    "losses": losses,
                }
                checkpoints.save(step, state, position, scores or None)
            if stop:
                checkpoints.close()
                bar.say(
                    f"stopped by {stop.name} after step {step}, which is saved in "
                    f"{run.folder.path}; the same command goes on from there"
                )
                raise SystemExit(128 + stop)
            timer = _Timer(step)
    if writer is not None:
        writer.close()
    return state


def _scalars(run: _Run, step: int, losses: list[float], timer: "_Timer") -> dict[str, float]:
    """Return what the metrics say of the steps up to this one."""
    scalars = {
        "train/loss": math.fsum(losses) / len(losses),
        "learning_rate": float(run.parts.schedule(step - 1)),
    }
    if rate := run.config.batch_size * timer.steps_per_second(step):
        scalars["train/images_per_second"] = rate
    return scalars


def _show(bar: ProgressBar, step: int, scalars: dict[str, float]) -> None:
    rate = scalars.get("train/images_per_second", 0.0)
    text = f"loss {scalars['train/loss']:.4f}  {rate:.1f} images/s"
    bar.status(text, otherwise=f"step {step}: {text}")


class _Timer:
    """Counts steps and seconds from a step on."""

    def __init__(self, step: int = 0):
        self._step = step
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def steps_per_second(self, step: int) -> float:
        return (step - self._step) / self.seconds


def _with_absolute_paths(config: ConfigDict) -> ConfigDict:
    """Make folders and files absolute, so that the workdir can be used from anywhere."""
    config = config.copy_and_resolve_references()
    for section, key in (
        (config.data, "data_dir"),
        (config.data, "manual_dir"),
        (config, "init_from"),
        (config, "backbone_weights"),
    ):
        if section[key] and not is_on_hub(section[key]):
            section[key] = str(Path(section[key]).expanduser().resolve())
    return config


def _make_mesh(config: ConfigDict) -> jax.sharding.Mesh:
    devices = jax.devices()
    count = config.num_devices or len(devices)
    if not 1 <= count <= len(devices):
        raise UserError(f"num_devices is {config.num_devices}; there are {len(devices)} devices")
    parts = config.optimizer.accumulate
    if config.batch_size % (parts * count):
        raise UserError(
            f"batch_size {config.batch_size} does not divide into optimizer.accumulate={parts} "
            f"parts over {count} devices; change one of them, or num_devices"
        )
    return mesh.data_mesh(devices[:count])


def _to_devices(
    batch: dict[str, np.ndarray], config: ConfigDict, device_mesh: jax.sharding.Mesh
) -> dict[str, jax.Array]:
    """Split a batch over the mesh; its parts, where it has some, lie along a first axis."""
    parts = config.optimizer.accumulate
    if parts == 1:
        return mesh.shard_batch(batch, device_mesh)
    batch = {name: array.reshape(parts, -1, *array.shape[1:]) for name, array in batch.items()}
    return mesh.shard_batch(batch, device_mesh, axis=1)


def _headline(run: _Run, state: TrainState) -> str:
    config, first_step, workdir = run.config, int(state.step), run.folder.path
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    device = run.device_mesh.devices.flat[0].device_kind
    start = f"resuming {workdir} after step {first_step}" if first_step else f"training {workdir}"
    if config.init_from and not first_step:
        start += f" from {config.init_from}"
        start += f", except {', '.join(config.init_except)}" if config.init_except else ""
    return (
        f"{start}: {config.model.name}, {parameters:,} parameters, {len(run.train)} images of "
        f"{run.train.name}, {len(run.val)} of {run.val.name}, {run.device_mesh.size} x {device}"
    )


def _agreed(number: signal.Signals | None, *, ask: bool) -> signal.Signals | None:
    """The signal to stop for; several hosts ask each other, at steps that all of them know."""
    if jax.process_count() == 1:
        return number
    if not ask:
        return None
    highest = int(np.max(multihost_utils.process_allgather(np.asarray(number or 0))))
    return signal.Signals(highest) if highest else None


def _finite(losses: list[Any], step: int, checkpoints: Checkpoints) -> list[float]:
    """Return the losses up to a step; stop the run where one is not finite."""
    values = [float(loss) for loss in jax.device_get(losses)]
    for bad_step, value in enumerate(values, start=step - len(values) + 1):
        if not math.isfinite(value):
            # The loss of a step is that of the parameters before it: theirs are bad too.
            good = checkpoints.drop_after(bad_step - 2)
            where = "there is no good checkpoint"
            if good is not None:
                where = f"the last good checkpoint, from which it can go on, is {good}"
            raise UserError(
                f"the loss is {value} at step {bad_step}; {where}. Lower "
                f"{setting('optimizer.learning_rate')}, lengthen optimizer.warmup_steps, or set "
                "optimizer.clip_norm"
            )
    return values


def _evaluate(run: _Run, state: TrainState) -> dict[str, float]:
    trained = Pretrained(run.parts.model, state.variables, run.info, int(state.step))
    predictor = inference.Predictor(
        trained,
        batch_size=run.config.eval_batch_size,
        mesh=run.device_mesh,
    )
    scores = evaluation.evaluate(predictor, run.val).scores
    return {BEST_METRIC: scores.miou, "val/pixel_accuracy": scores.pixel_accuracy}
