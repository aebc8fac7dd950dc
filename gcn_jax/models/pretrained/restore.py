"""Trained models: a workdir in, a model with its weights and its preprocessing out.

A workdir holds `model.json`, which rebuilds the model and says how its input is prepared and what
its output means, and `checkpoints/<step>/`, written by Orbax. A repository on the Hugging Face hub
(see `publishing.py`) stands for a workdir with one checkpoint.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from gcn_jax.errors import UserError
from gcn_jax.hub import hub_file, is_on_hub
from gcn_jax.models.network import variable_shapes
from gcn_jax.models.pretrained.digests import (
    DIGESTS,
    PUBLISHED_DIGESTS,
    check_digests,
    read_digests,
    warn_without_digests,
)
from gcn_jax.models.pretrained.file_digests import check_file_digests
from gcn_jax.models.pretrained.info import ModelInfo, read_info
from gcn_jax.models.pretrained.steps import best_step, first_readable, read_scores
from gcn_jax.models.registry import create_model
from gcn_jax.tensor_files import read_weights
from gcn_jax.workdir import Workdir, read_object


class Pretrained(NamedTuple):
    """A trained model and everything about it.

    Attributes:
        model: The network.
        variables: float32 `params` and `batch_stats` (the moving averages, where the run kept
            them), and `preprocessing` with `mean` and `std`, which `predict` uses and `model.apply`
            ignores. They lie on a device of this host.
        info: What `model.json` holds.
        step: The number of the checkpoint that was read.
    """

    model: nn.Module
    variables: dict[str, Any]
    info: ModelInfo
    step: int


def from_pretrained(
    workdir: str | Path, *, step: int | str = "best"
) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a trained model with its weights: the first two fields of `load_pretrained`.

    Example:
        >>> model, variables = from_pretrained("runs/quickstart")
        >>> labels = predict(model, variables, image)

    Args:
        workdir: A folder that `train.py` wrote, or "hf://owner/name".
        step: Which checkpoint, as for `load_pretrained`.

    Returns:
        The network and its variables.

    Raises:
        UserError: The workdir has no such checkpoint, or none that can be read.
    """
    pretrained = load_pretrained(workdir, step=step)
    return pretrained.model, pretrained.variables


def load_pretrained(workdir: str | Path, *, step: int | str = "best") -> Pretrained:
    """Rebuild a trained model with its weights.

    A damaged checkpoint gives a warning, and the newest other one is read.

    Args:
        workdir: A folder that `train.py` wrote, or "hf://owner/name", where `push_to_hub` put the
            checkpoint of one.
        step: "best" (by validation mIoU; the last one where none was validated), "last", or the
            number of a step.

    Raises:
        UserError: The workdir has no such checkpoint, or none that can be read.
    """
    info = read_info(workdir)
    model = create_model(info.name, **info.fields)
    shapes = variable_shapes(model)
    read = _read_published if is_on_hub(workdir) else _read_checkpoint
    step, variables = read(str(workdir), step, shapes)
    preprocessing = {"mean": jnp.asarray(info.mean), "std": jnp.asarray(info.std)}
    return Pretrained(model, {**variables, "preprocessing": preprocessing}, info, step)


def open_checkpoints(folder: Path) -> Any:
    """Open a folder of checkpoints to read from it: an Orbax manager, a context."""
    import orbax.checkpoint as ocp  # here, so that a notebook that builds a model starts fast

    options = ocp.CheckpointManagerOptions(
        read_only=True,
        save_interval_steps=0,  # else Orbax warns that it sets these two
        create=False,
        lightweight_initialize=True,  # else the damaged scores of one step end it
        multiprocessing_options=_this_process(),
    )
    handlers = {  # of all items, also of those that are not asked for, which it warns of else
        "state": ocp.PyTreeCheckpointHandler(),
        "data": ocp.JsonCheckpointHandler(),
        DIGESTS: ocp.JsonCheckpointHandler(),
    }
    with _no_warning_of_reading():
        return ocp.CheckpointManager(folder, options=options, item_handlers=handlers)


@contextlib.contextmanager
def _no_warning_of_reading() -> Iterator[None]:
    """Leave out Orbax's warning that a folder is opened to be read, which was asked for."""

    def is_another(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Given directory is read only")

    logger = logging.getLogger("absl")
    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)


def folder_of_checkpoints(workdir: str | Path) -> Path:
    """Return the folder of a run's checkpoints; raise `UserError` where there is none."""
    folder = Workdir(workdir).checkpoints
    if not folder.is_dir():
        raise UserError(f"{workdir} has no checkpoint yet: {folder} does not exist")
    return folder


def _read_checkpoint(workdir: str, step: int | str, shapes: Any) -> tuple[int, dict[str, Any]]:
    """Read the variables of a checkpoint in a workdir; return its step too."""
    folder = folder_of_checkpoints(workdir)
    with open_checkpoints(folder) as manager:
        steps = _steps_to_try(manager, step, workdir)
        found = first_readable(
            steps, lambda step: _restore_variables(manager, step, shapes), str(folder)
        )
    if found is None:
        raise UserError(f"{folder}: none of the checkpoints {steps} can be read")
    if read_digests(folder, found[0]) is None:
        warn_without_digests(f"{folder}/{found[0]}")
    return found


def _read_published(source: str, step: int | str, shapes: Any) -> tuple[int, dict[str, Any]]:
    """Read the variables that a repository on the hub holds; return their step too."""
    if step != "best":
        raise UserError(f"{source} holds one checkpoint: leave the step at best, not {step}")
    arrays = read_weights(hub_file(source, "model.safetensors"))
    expected = {
        path: leaf.shape for path, leaf in traverse_util.flatten_dict(shapes, sep="/").items()
    }
    if {path: array.shape for path, array in arrays.items()} != expected:
        raise UserError(f"{source}: its model.safetensors is not of the model in its model.json")
    variables = traverse_util.unflatten_dict(arrays, sep="/")
    try:
        digests: Path | None = hub_file(source, PUBLISHED_DIGESTS)
    except UserError:  # published by an older version
        digests = None
    try:
        check_digests(variables, read_object(digests) if digests else None)
    except ValueError as error:
        raise UserError(f"{source}: its model.safetensors is damaged: {error}") from None
    if digests is None:
        warn_without_digests(source)
    published = read_object(hub_file(source, "scores.json")).get("step")
    if type(published) is not int:
        raise UserError(f"{source}: its scores.json is damaged: step is {published!r:.80}")
    return published, {"batch_stats": {}, **jax.tree.map(jnp.asarray, variables)}


def _steps_to_try(manager: Any, step: int | str, workdir: str | Path) -> list[int]:
    steps = sorted(manager.all_steps(), reverse=True)
    if not steps:
        raise UserError(f"{workdir} has no checkpoint yet")
    if step == "last":
        return steps
    if step == "best":
        folder = Workdir(workdir).checkpoints
        best = best_step({step: read_scores(folder, step) for step in steps})
        return sorted(steps, key=lambda step: step != best)  # stable: then newest first
    if str(step) not in map(str, steps):
        raise UserError(
            f"{workdir} has no checkpoint of step {step}; it has {sorted(steps)}, best and last"
        )
    return [int(step)]


def _restore_variables(manager: Any, step: int, shapes: Any) -> dict[str, Any]:
    """Restore the part of a training state that inference needs."""
    import orbax.checkpoint as ocp

    folder = Path(manager.directory)
    written = read_digests(folder, step)
    if written is None:
        averaged = bool(manager.item_metadata(step)["state"].tree.get("ema"))
    else:  # which nothing else need be trusted for
        averaged = any(path.startswith("ema/") for path in written)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
        {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})},
    )
    if averaged:
        target = {"ema": target}
    args = ocp.args.PyTreeRestore(
        item=target,
        restore_args=ocp.checkpoint_utils.construct_restore_args(target),
        partial_restore=True,
    )
    restored = manager.restore(step, args=ocp.args.Composite(state=args))["state"]
    check_digests(restored, written)
    check_file_digests(folder / str(step))
    return restored["ema"] if averaged else restored


def _this_process():
    """Tell Orbax that this process reads alone, whatever the other hosts do."""
    import orbax.checkpoint as ocp

    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process_{index}"
    )
