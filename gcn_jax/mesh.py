"""Devices and shardings: one mesh with one axis, "data", over which batches are split."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a mesh with the single axis "data".

    Args:
        devices: Its devices, in the order of the rows of a batch; all devices of all hosts if None.
    """
    return Mesh(np.asarray(devices if devices is not None else jax.devices()), ("data",))


def batch_sharding(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """Return the sharding of an array one of whose axes is split over "data".

    Args:
        mesh: The mesh of `data_mesh`.
        axis: The axis that is split.
    """
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of an array that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def shard_batch(
    batch: Mapping[str, np.ndarray],
    mesh: Mesh,
    *,
    axis: int = 0,
    same_on_every_host: bool = False,
) -> dict[str, jax.Array]:
    """Make global arrays, split over "data", from arrays in the memory of the hosts.

    Args:
        batch: Arrays by name; their axis N is a multiple of this host's devices in the mesh (of
            all its devices where `same_on_every_host`).
        mesh: The mesh of `data_mesh`.
        axis: Which axis is N, that of the examples.
        same_on_every_host: Whether every host holds the whole batch, of which its devices take
            their rows. By default each host holds its own rows and the global batch is all of them.

    Returns:
        The same names with arrays of the global shape.
    """
    sharding = batch_sharding(mesh, axis)

    def shard(array: np.ndarray) -> jax.Array:
        global_shape = array.shape if same_on_every_host else None
        return jax.make_array_from_process_local_data(sharding, array, global_shape)

    return {name: shard(array) for name, array in batch.items()}


def to_host(array: jax.Array) -> np.ndarray:
    """Return the whole array on every host that has a part of it."""
    if array.is_fully_addressable:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)
