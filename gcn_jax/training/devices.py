"""The devices of a run: their mesh, the way of a batch to them, and what hosts agree on."""

import ctypes
import signal
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gcn_jax import mesh
from gcn_jax.errors import UserError, setting
from gcn_jax.models.layers import split_rows


def make_mesh(config: ConfigDict) -> jax.sharding.Mesh:
    """Make the mesh of the devices that a config asks for.

    Args:
        config: The settings.

    Raises:
        UserError: There are not so many devices, `config.mesh` is no arrangement of them, or the
            batch does not divide among them; features are to be kept by several processes, or
            split by rows.
    """
    devices = jax.devices()
    count = config.num_devices or len(devices)
    if not 1 <= count <= len(devices):
        raise UserError(f"num_devices is {config.num_devices}; there are {len(devices)} devices")
    data, height = _arrangement(config.mesh.data, config.mesh.height, count)
    parts = config.optimizer.accumulate
    if config.batch_size % (parts * data):
        raise UserError(
            f"batch_size {config.batch_size} does not divide into optimizer.accumulate={parts} "
            f"parts over {data} devices; change one of them, num_devices or mesh.data"
        )
    if config.data.cache_features and (height > 1 or jax.process_count() > 1):
        raise UserError(
            "data.cache_features is for runs of one process that splits no rows (mesh.height=1); "
            "set it to False"
        )
    if jax.process_count() > 1 and jax.local_device_count() % height:
        raise UserError(
            f"{setting('mesh.height')}={height}: an image is split over the "
            f"{jax.local_device_count()} devices of one process; set it to a divisor of that"
        )
    return mesh.data_mesh(devices[:count], height)


def _arrangement(data: int, height: int, count: int) -> tuple[int, int]:
    """Return the sizes of the axes "data" and "height", where -1 is what the other leaves."""
    wanted = data, height
    if data == -1:
        height = 1 if height == -1 else height
        data = count // height
    elif height == -1:
        height = count // data
    if data * height != count:
        raise UserError(
            f"mesh.data={wanted[0]} and mesh.height={wanted[1]} are no arrangement of {count} "
            f"devices (num_devices): their product must be {count}; -1 is what the other leaves"
        )
    return data, height


def compiled_step(step: Callable[..., Any], device_mesh: jax.sharding.Mesh) -> Callable[..., Any]:
    """Return a training step that is compiled for a mesh, and gives its state away.

    Args:
        step: What `make_train_step` returns.
        device_mesh: The mesh of `make_mesh`.
    """
    compiled = jax.jit(step, donate_argnums=0, out_shardings=mesh.replicated(device_mesh))
    if device_mesh.shape["height"] == 1:
        return compiled

    def by_rows(*args: Any) -> Any:
        with split_rows():
            return compiled(*args)

    return by_rows


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


def give_back_freed_memory() -> None:
    """Give the system what was freed and is kept, such as what a compilation needed.

    With glibc; elsewhere nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Agreement:
    """The signal for which all processes of a run stop, after the same step.

    They ask each other after every step, beside it, and read the answer after the next one: no
    process waits for it.

    Args:
        device_mesh: The mesh of `make_mesh`.
    """

    def __init__(self, device_mesh: jax.sharding.Mesh):
        self._mesh = mesh.data_mesh(device_mesh.devices.flat)
        here = (d for d in device_mesh.devices.flat if d.process_index == jax.process_index())
        self._local_devices = len(list(here))
        self._highest = jax.jit(jnp.max, out_shardings=mesh.replicated(device_mesh))
        self._asked: jax.Array | None = None

    def after_step(self, number: signal.Signals | None) -> signal.Signals | None:
        """Return the signal to stop for now.

        Args:
            number: The signal that came to this process, or None.
        """
        if jax.process_count() == 1:
            return number
        numbers = np.full(self._local_devices, number or 0, np.int32)
        asked = self._highest(mesh.shard_batch({"signal": numbers}, self._mesh)["signal"])
        answer, self._asked = self._asked, asked
        highest = 0 if answer is None else int(answer)
        return signal.Signals(highest) if highest else None
