"""A training run, from a config to a workdir: its steps, and what happens between them."""

import contextlib
import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from gcn_jax import data
from gcn_jax.errors import UserError, setting
from gcn_jax.models.pretrained.steps import BEST_METRIC, why
from gcn_jax.sessions import Session
from gcn_jax.terminal import ProgressBar, say
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.config import check_config, check_same_run, json_settings
from gcn_jax.training.crops import check_batches, with_crop_size
from gcn_jax.training.devices import (
    Agreement,
    compiled_step,
    give_back_freed_memory,
    make_mesh,
    to_devices,
)
from gcn_jax.training.initial_weights import with_preprocessing
from gcn_jax.training.interruption import Interrupted, Interruption
from gcn_jax.training.metrics_log import WAIT_METRIC, MetricWriter, Timer
from gcn_jax.training.parts import make_parts
from gcn_jax.training.rows import check_rows
from gcn_jax.training.run import (
    Run,
    headline,
    open_data,
    start,
    with_absolute_paths,
    with_features,
)
from gcn_jax.training.session_log import recorded
from gcn_jax.training.state import TrainState
from gcn_jax.training.validation import evaluations_without_progress, validate
from gcn_jax.workdir import Workdir

#: Every so many steps it is measured how long the devices wait for a batch.
_TIMED_STEP = 10
#: The share of the time above which a run says that they do.
_LONG_WAIT = 0.1


class DivergedError(UserError):
    """The loss of a run is not finite."""


def train_and_evaluate(
    config: ConfigDict, workdir: str | Path, command: Sequence[str] = ()
) -> TrainState:
    """Train the network that a config describes, or go on with the run that a workdir holds.

    Args:
        config: The settings, from `default_config`.
        workdir: Where everything about the run is kept; see `gcn_jax.workdir`.
        command: The words of the command that begins it, for people who ask the workdir later.

    Returns:
        The state after the last step.

    Raises:
        UserError: The config, the data or the weights to start from are at fault, the workdir holds
            another run or is being written by one, something cannot be read, written or computed
            for want of room, or the loss is not finite.
        SystemExit: SIGINT, SIGTERM or SIGHUP came; everything was saved, and the code is 128 + its
            number.
    """
    folder = Workdir(workdir)
    config = with_absolute_paths(config)
    check_config(config)
    check_same_run(config, folder.path)
    device_mesh = make_mesh(config)
    session = Session.begin(command, device_mesh.devices.flat)
    is_main = jax.process_index() == 0
    with (
        folder.lock() if is_main else contextlib.nullcontext(),
        Interruption() as interruption,
        Checkpoints(folder.path) as checkpoints,
    ):
        with interruption.nothing_to_save("before the first step"):
            train, val = open_data(config)
            config = with_preprocessing(with_crop_size(config, folder.path, train), folder.path)
            check_batches(config, train, val)
            parts = make_parts(config, train, config.data.mean, config.data.std)
            check_rows(parts.model, config.augment.crop_size, device_mesh.shape["height"])
            augment = data.Augment.from_settings(
                config.augment, len(train.class_names), config.data.mean
            )
            run = Run(config, folder, device_mesh, train, val, augment, parts, checkpoints)
            state, batches, losses = start(run)
            say(headline(run, state))
            run = with_features(run, state)
        first_step = int(state.step)
        bar = ProgressBar("step", config.num_steps, completed=first_step, transient=False)
        with (
            (
                MetricWriter(folder.path, first_step, config.trackers, json_settings(config))
                if is_main
                else contextlib.nullcontext()
            ) as writer,
            bar,
        ):
            loop = _Loop(run, state, batches, losses, interruption, bar, writer)
            is_new = is_main and first_step < config.num_steps
            with recorded(folder, session, first_step) if is_new else contextlib.nullcontext():
                return loop.run()


class _Due(NamedTuple):
    """What a step is followed by."""

    log: bool
    validate: bool
    save: bool


class _Loop:
    """The steps of a run from a state on; log, save and validate when the config says so."""

    def __init__(
        self,
        run: Run,
        state: TrainState,
        batches: Any,
        losses: list[Any],
        interruption: Interruption,
        bar: ProgressBar,
        writer: MetricWriter | None,
    ):
        self._run, self._state, self._batches, self._losses = run, state, batches, losses
        self._interruption, self._bar, self._writer = interruption, bar, writer
        self._step = self._first_step = int(state.step)
        #: Where the data stand if the state is ahead of what is saved, and nothing runs.
        self._unsaved: Any = None
        #: The mIoU of every evaluation up to this step.
        self._mious: list[float] = []
        self._timer = Timer(self._step)
        self._agreement = Agreement(run.device_mesh)
        self._train_step = compiled_step(run.parts.step, run.device_mesh)

    def run(self) -> TrainState:
        """Train to the last step, or to where a signal comes."""
        config = self._run.config
        try:
            if self._step:
                self._catch_up()
            while self._step < config.num_steps and not self._is_stale():
                position = self._batches.get_state()
                batch = self._next_batch(position)
                self._train(batch)
                self._after_step()
        except Interrupted:
            self._stop()
            raise SystemExit(128 + self._signal) from None
        return self._state

    def _is_stale(self) -> bool:
        """Whether the last `patience` evaluations brought no better mIoU; say so."""
        patience = self._run.config.patience
        stale = patience and evaluations_without_progress(self._mious) >= patience
        if stale:
            self._bar.say(
                f"ended after step {self._step}: {patience} evaluations without a better val mIoU "
                f"(patience={patience}); the best is kept"
            )
        return bool(stale)

    @property
    def _signal(self) -> signal.Signals:
        return self._interruption.signal or signal.SIGINT

    def _at_once(self) -> contextlib.AbstractContextManager[None]:
        """Let a signal end a block, unless other processes would wait for this one then."""
        if jax.process_count() > 1:
            return contextlib.nullcontext()
        return self._interruption.at_once(self._stop)

    def _catch_up(self) -> None:
        """Do what was due after the step that was restored, and had not been done."""
        records = [r for r in self._run.folder.read_metrics() if r["step"] <= self._step]
        self._mious = [record[BEST_METRIC] for record in records if BEST_METRIC in record]
        record = next((one for one in records if one["step"] == self._step), {})
        scores = _of_validation(record)
        if scores and self._run.checkpoints.scores[self._step] is None:
            self._run.checkpoints.add_scores(self._step, scores)
        if record:  # it is written last
            self._losses = []
        elif any(self._due()) and self._losses:
            self._report(self._due())

    def _next_batch(self, position: Any) -> dict[str, np.ndarray]:
        """Read a batch; a signal need not wait for a disk."""
        if self._step > self._first_step:
            self._unsaved = position
        # To see for how long devices wait, one step in some is waited for before its successor's
        # batch is: else batch and step are waited for at the same time.
        timed = self._losses[-1:] if self._step % _TIMED_STEP == _TIMED_STEP // 2 else []
        if timed:
            jax.block_until_ready(timed)
        start = time.monotonic()
        try:
            with self._at_once():
                batch = next(self._batches)
            self._unsaved = None
            if timed:
                self._timer.add_wait(time.monotonic() - start)
            return batch
        except (OSError, RuntimeError, UserError) as error:
            what = f"{self._run.train.name} cannot be read: {why(error)}"
            if isinstance(error, UserError):  # it says what is damaged, and what to do
                what = str(error)
            raise UserError(f"{what}; {self._run.checkpoints.last_saved()}") from error

    def _train(self, batch: dict[str, np.ndarray]) -> None:
        """Start a step on the device, which is never more than two behind."""
        compiles = self._step == self._first_step
        with self._room(), self._at_once() if compiles else contextlib.nullcontext():
            if self._run.features is not None:
                batch = batch | self._run.features.of(batch["image"])
            batch_there = to_devices(batch, self._run.config, self._run.device_mesh)
            self._state, metrics = self._train_step(self._state, batch_there)
            self._losses.append(metrics["loss"])
            jax.block_until_ready(self._losses[-2:-1])
        self._step += 1
        self._bar.advance(self._step)
        if compiles:
            with self._room():
                self._state.step.block_until_ready()
            give_back_freed_memory()
            self._bar.say(f"first step, compiled, after {self._timer.seconds:.0f} s")
            self._timer = Timer(self._step)

    def _due(self) -> _Due:
        config = self._run.config
        intervals = (config.log_every, config.eval_every, config.checkpoint_every)
        last = self._step == config.num_steps
        return _Due(*(last or self._step % every == 0 for every in intervals))

    def _after_step(self) -> None:
        """Save before anything that takes time; then validate and log."""
        due = self._due()
        stop = self._agreement.after_step(self._interruption.signal)
        if not (any(due) or stop):
            return
        self._finite()
        if due.save or due.validate or stop:
            self._save(self._batches.get_state())
        if stop:
            self._interruption.signal = stop
            raise Interrupted
        self._report(due)
        self._timer = Timer(self._step)

    def _save(self, position: Any) -> None:
        # A line of the metrics is written after this: what it needs is saved, too.
        extra = self._run.augment.extra
        content = {
            "iterator": position,
            "extra_augment": extra and extra.digest,
            "num_examples": len(self._run.train),
            "losses": self._losses,
        }
        self._run.checkpoints.save(self._step, self._state, content)

    def _report(self, due: _Due) -> None:
        """Validate where that is due, and write a line of the metrics."""
        scalars = {
            "train/loss": math.fsum(self._losses) / len(self._losses),
            "learning_rate": float(self._run.parts.schedule(self._step - 1)),
        }
        rate = self._run.config.batch_size * self._timer.steps_per_second(self._step)
        if rate:
            scalars["train/images_per_second"] = rate
        text = f"loss {scalars['train/loss']:.4f}  {rate:.1f} images/s"
        waited = self._timer.share_waited(self._step)
        if waited is not None:
            scalars[WAIT_METRIC] = waited
            if waited > _LONG_WAIT:
                text += f", {waited:.0%} of the time waiting for data"
        self._bar.status(text, otherwise=f"step {self._step}: {text}")
        scores: dict[str, float] = {}
        if due.validate:
            with self._room(), self._at_once():
                scores, said = validate(self._run, self._state, self._step)
            self._bar.say(said)
        if self._writer is not None:
            try:
                self._writer.write(self._step, scalars | scores)
            except UserError as error:
                raise UserError(f"{error}; {self._run.checkpoints.last_saved()}") from error
        self._losses = []
        if scores:
            self._mious.append(scores[BEST_METRIC])
            self._run.checkpoints.add_scores(self._step, _of_validation(scores))

    def _finite(self) -> None:
        """Bring the losses up to this step to the host; stop the run where one is not finite."""
        self._losses = [float(loss) for loss in jax.device_get(self._losses)]
        for bad, value in enumerate(self._losses, start=self._step - len(self._losses) + 1):
            if not math.isfinite(value):
                # The loss of a step is that of the parameters before it: theirs are bad too.
                raise _not_finite(value, bad, self._run.checkpoints.drop_after(bad - 2))

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        """Say what to do where the memory of a device is too small."""
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise UserError(
                f"step {self._step + 1} does not fit into memory: {why(error)}; lower "
                f"{setting('batch_size')}, or raise {setting('optimizer.accumulate')}; "
                f"{self._run.checkpoints.last_saved()}"
            ) from error

    def _stop(self) -> None:
        """Save what is not saved, and say what is."""
        if self._unsaved is not None:
            self._finite()
            self._save(self._unsaved)
        self._run.checkpoints.close()
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._bar.say(
                f"stopped by {self._signal.name} after step {self._step}; "
                f"{self._run.folder.path}: {self._run.checkpoints.last_saved()}"
            )


def _of_validation(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("val/")}


def _not_finite(value: float, step: int, good: Path | None) -> "DivergedError":
    where = "there is no good checkpoint"
    if good is not None:
        where = f"the last good checkpoint, from which it can go on, is {good}"
    return DivergedError(
        f"the loss is {value} at step {step}; {where}. Lower "
        f"{setting('optimizer.learning_rate')}, lengthen optimizer.warmup_steps, or set "
        "optimizer.clip_norm"
    )
