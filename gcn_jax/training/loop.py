"""A training run, from a config to a workdir: its phases in their order."""

import math
import signal
import time
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from gcn_jax import atomic, data, evaluation, inference, models
from gcn_jax import mesh as mesh_lib
from gcn_jax.errors import UserError, setting
from gcn_jax.hub import is_on_hub
from gcn_jax.models.pretrained.info import ModelInfo, write_info
from gcn_jax.models.pretrained.restore import BEST_METRIC
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.config import check_config, check_same_run
from gcn_jax.training.initial_weights import start_variables, with_preprocessing
from gcn_jax.training.interruption import Interruption
from gcn_jax.training.metrics_log import MetricWriter, ProgressBar
from gcn_jax.training.objective import make_objective
from gcn_jax.training.optimizer import make_optimizer, make_schedule
from gcn_jax.training.state import TrainState, create_state
from gcn_jax.training.step import make_train_step


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Train the network that a config describes, or go on with the run that a workdir holds.

    Args:
        config: The settings, from `default_config`.
        workdir: Where everything about the run is kept: `config.json`, `model.json`,
            `checkpoints/`, `metrics.jsonl` and TensorBoard events.

    Returns:
        The state after the last step.

    Raises:
        UserError: The config, the data or the weights to start from are at fault, the workdir holds
            another run, or the loss is not finite.
        SystemExit: SIGINT or SIGTERM came; everything was saved, and the code is 128 + its number.
    """
    # ------------------------------------------------------------------------------- setup
    workdir = Path(workdir)
    config = _with_absolute_paths(config)
    check_config(config)
    check_same_run(config, workdir)
    mesh = _make_mesh(config)
    is_main = jax.process_index() == 0

    # -------------------------------------------------------------------------------- data
    train_source = data.open_training_source(config.data.train, config.data)
    val_source = data.open_split(config.data.val, config.data)
    if train_source.class_names != val_source.class_names:
        raise UserError(f"{train_source.name} and {val_source.name} have different classes")
    objective = make_objective(config.loss, train_source)
    config = with_preprocessing(config, workdir)
    batches = data.training_batches(
        train_source,
        data.Augment(**config.augment, fill=config.data.mean),
        batch_size=config.batch_size,
        seed=config.seed,
        num_threads=config.data.num_threads,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )

    # ----------------------------------------------------------------- model and optimizer
    num_classes = len(train_source.class_names)
    model = models.create_model(**config.model, num_classes=num_classes, remat=config.remat)
    info = _model_info(config, num_classes, train_source)
    schedule = make_schedule(config.optimizer, config.num_steps)
    tx = make_optimizer(
        config.optimizer, schedule, frozen_batch_norm=config.model.get("frozen_batch_norm", False)
    )

    # ------------------------------------------------------------------ state, or restored
    # 1. The newest readable checkpoint in the workdir.  2. The best one of `init_from`, for
    # parameters and statistics.  3. `backbone_weights`, for those of the backbone.  4. The seed.
    everywhere = mesh_lib.replicated(mesh)
    init = jax.jit(
        lambda rng: create_state(model, tx, rng, ema=config.optimizer.ema_decay > 0),
        out_shardings=everywhere,
    )
    state = init(jax.random.key(config.seed))
    checkpoints = Checkpoints(workdir)
    restored = checkpoints.restore(state)
    if restored is not None:
        state, position = restored
        if position["num_examples"] != len(train_source):
            raise UserError(
                f"{train_source.name} has {len(train_source)} images now, and had "
                f"{position['num_examples']} when {workdir} was trained; name another --workdir"
            )
        batches.set_state(position["iterator"])
    elif config.init_from or config.backbone_weights:
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        variables = start_variables(config, model, variables)
        state = jax.jit(TrainState.with_variables, out_shardings=everywhere)(state, variables)
    first_step = int(state.step)
    if is_main:
        atomic.write(workdir / "config.json", config.to_json(indent=2))
        write_info(workdir, info)
    writer = MetricWriter(workdir, first_step) if is_main else None

    # ----------------------------------------------------------------------------- compile
    train_step = jax.jit(
        make_train_step(
            model,
            tx,
            mean=config.data.mean,
            std=config.data.std,
            seed=config.seed,
            objective=objective,
            accumulate=config.optimizer.accumulate,
            ema_decay=config.optimizer.ema_decay,
        ),
        donate_argnums=0,
        out_shardings=everywhere,
    )

    # -------------------------------------------------------------------------------- loop
    with Interruption() as interruption, ProgressBar(first_step, config.num_steps) as bar:
        bar.say(_headline(config, workdir, first_step, state, train_source, val_source, mesh))
        losses: list[jax.Array] = []
        timer = _Timer()
        for step in range(first_step + 1, config.num_steps + 1):
            batch = next(batches)
            state, metrics = train_step(state, _to_devices(batch, config, mesh))
            losses.append(metrics["loss"])
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

            # log
            mean_loss = _mean_of_finite(losses, step, checkpoints)
            losses = []
            rate = config.batch_size * timer.steps_per_second(step)
            scalars = {"train/loss": mean_loss, "learning_rate": float(schedule(step - 1))}
            if rate:
                scalars["train/images_per_second"] = rate
            bar.status(step, f"loss {mean_loss:.4f}  {rate:.1f} images/s")

            # evaluate
            scores = {}
            if validate:
                scores = _evaluate(model, state, info, val_source, config, mesh)
                bar.say(f"step {step}: val mIoU {scores[BEST_METRIC]:.4f}")
            if writer is not None:
                writer.write(step, scalars | scores)

            # checkpoint
            if save or validate or stop:
                position = {"iterator": batches.get_state(), "num_examples": len(train_source)}
                checkpoints.save(step, state, position, scores or None)
            if stop:
                checkpoints.close()
                bar.say(
                    f"stopped by {stop.name} after step {step}, which is saved in {workdir}; "
                    "the same command goes on from there"
                )
                raise SystemExit(128 + stop)
            timer = _Timer(step)
        checkpoints.close()

    if writer is not None:
        writer.close()
    return state


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
    return mesh_lib.data_mesh(devices[:count])


def _to_devices(
    batch: dict[str, np.ndarray], config: ConfigDict, mesh: jax.sharding.Mesh
) -> dict[str, jax.Array]:
    """Split a batch over the mesh; its parts, where it has some, lie along a first axis."""
    parts = config.optimizer.accumulate
    if parts == 1:
        return mesh_lib.shard_batch(batch, mesh)
    batch = {name: array.reshape(parts, -1, *array.shape[1:]) for name, array in batch.items()}
    return mesh_lib.shard_batch(batch, mesh, axis=1)


def _model_info(config: ConfigDict, num_classes: int, source: data.Source) -> ModelInfo:
    fields = config.model.to_dict() | {"num_classes": num_classes}
    return ModelInfo(
        name=fields.pop("name"),
        fields=fields,
        class_names=source.class_names,
        palette=data.class_colors(source.palette, num_classes),
        mean=tuple(config.data.mean),
        std=tuple(config.data.std),
    )


def _headline(config, workdir, first_step, state, train_source, val_source, mesh) -> str:
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    device = mesh.devices.flat[0].device_kind
    start = f"resuming {workdir} after step {first_step}" if first_step else f"training {workdir}"
    if config.init_from and not first_step:
        start += f" from {config.init_from}"
        start += f", except {', '.join(config.init_except)}" if config.init_except else ""
    return (
        f"{start}: {config.model.name}, {parameters:,} parameters, {len(train_source)} images of "
        f"{train_source.name}, {len(val_source)} of {val_source.name}, {mesh.size} x {device}"
    )


def _agreed(number: signal.Signals | None, *, ask: bool) -> signal.Signals | None:
    """The signal to stop for; several hosts ask each other, at steps that all of them know."""
    if jax.process_count() == 1:
        return number
    if not ask:
        return None
    highest = int(np.max(multihost_utils.process_allgather(np.asarray(number or 0))))
    return signal.Signals(highest) if highest else None


def _mean_of_finite(losses: list[jax.Array], step: int, checkpoints: Checkpoints) -> float:
    """Average the losses up to a step; stop the run where one is not finite."""
    values = [float(loss) for loss in jax.device_get(losses)]
    for bad_step, value in enumerate(values, start=step - len(values) + 1):
        if not math.isfinite(value):
            # The loss of a step is that of the parameters before it: theirs are bad too.
            good = checkpoints.drop_after(bad_step - 2)
            checkpoints.close()
            where = "there is no good checkpoint"
            if good is not None:
                where = f"the last good checkpoint, from which it can go on, is {good}"
            raise UserError(
                f"the loss is {value} at step {bad_step}; {where}. Lower "
                f"{setting('optimizer.learning_rate')}, lengthen optimizer.warmup_steps, or set "
                "optimizer.clip_norm"
            )
    return math.fsum(values) / len(values)


def _evaluate(model, state: TrainState, info, source, config, mesh) -> dict[str, float]:
    predictor = inference.Predictor(
        model, state.variables, info, batch_size=config.eval_batch_size, mesh=mesh
    )
    scores = evaluation.evaluate(predictor, source).scores
    return {BEST_METRIC: scores.miou, "val/pixel_accuracy": scores.pixel_accuracy}
