"""The devices of a run: their mesh, the way of a batch to them, and what hosts agree on."""

import signal

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from gcn_jax import mesh
from gcn_jax.errors import UserError


def make_mesh(config: ConfigDict) -> jax.sharding.Mesh:
    """Make the mesh of the devices that a config asks for.

    Args:
        config: The settings.

    Raises:
        UserError: There are not so many devices, or the batch does not divide among them.
    """
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


def to_devices(
    batch: dict[str, np.ndarray], config: ConfigDict, device_mesh: jax.sharding.Mesh
) -> dict[str, jax.Array]:
    """Split a batch over the mesh; its parts, where it has some, lie along a first axis.

    Args:
        batch: Arrays of this host by name, their first axis that of the examples.
        config: The settings of the run.
        device_mesh: The mesh of `make_mesh`.

    Returns:
        Arrays of the global batch.
    """
    parts = config.optimizer.accumulate
    if parts == 1:
        return mesh.shard_batch(batch, device_mesh)
    batch = {name: array.reshape(parts, -1, *array.shape[1:]) for name, array in batch.items()}
    return mesh.shard_batch(batch, device_mesh, axis=1)


def agreed(number: signal.Signals | None, *, ask: bool) -> signal.Signals | None:
    """Return the signal to stop for; several hosts ask each other, at steps that all of them know.

    Args:
        number: The signal that came to this process, or None.
        ask: Whether this is such a step.
    """
    if jax.process_count() == 1:
        return number
    if not ask:
        return None
    highest = int(np.max(multihost_utils.process_allgather(np.asarray(number or 0))))
    return signal.Signals(highest) if highest else None
