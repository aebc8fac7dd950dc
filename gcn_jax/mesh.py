"""Devices and shardings: one mesh, over whose axis "data" examples are split, over "height" rows.

XLA's gradients (jax 0.10.2 and 0.12.0) of a kernel on a map that is split by rows are right as long
as each device has as many of its rows as the kernel reaches beyond a row (`training.rows` sees to
it), and the map is split over every axis of the mesh: an axis of two devices that is left over
makes them twice as large. So images, labels and maps are split over both axes.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gcn_jax.errors import UserError


def data_mesh(devices: Iterable[jax.Device] | None = None, height: int = 1) -> Mesh:
    """Return a mesh with the axes "data" and "height".

    Args:
        devices: Its devices, in the order of the examples of a batch; those that share an example
            follow each other. All devices of all hosts if None.
        height: Over how many devices the rows of an image are split; it divides their number.

    Raises:
        UserError: The devices are of more than one kind.
    """
    grid = np.asarray([*(devices if devices is not None else jax.devices())])
    kinds = sorted({device.device_kind for device in grid.flat})
    if len(kinds) > 1:
        raise UserError(
            f"devices of one kind work together, and these are {' and '.join(kinds)}; hide the "
            "others, such as with CUDA_VISIBLE_DEVICES"
        )
    return Mesh(grid.reshape(-1, height), ("data", "height"))


def batch_sharding(mesh: Mesh, axis: int = 0, *, rows: bool = False) -> NamedSharding:
    """Return the sharding of an array whose examples are split over "data".

    Args:
        mesh: The mesh of `data_mesh`, or one without "height", whose devices share no image.
        axis: The axis of the examples.
        rows: Whether the axis after it, that of the rows of images, is split over "height".
    """
    rows = rows and "height" in mesh.axis_names
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data", *["height"] * rows))


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
    """Make global arrays, split over a mesh, from arrays in the memory of the hosts.

    Examples are split over "data", and the rows of images, labels and maps over "height".

    Args:
        batch: Arrays by name; their axis N is a multiple of what this host has of "data" (of all
            of it where `same_on_every_host`). Those with axes H and W after it are split by rows.
        mesh: The mesh of `data_mesh`.
        axis: Which axis is N, that of the examples.
        same_on_every_host: Whether every host holds the whole batch, of which its devices take
            their rows. By default each host holds its own rows and the global batch is all of them.

    Returns:
        The same names with arrays of the global shape.
    """

    def shard(array: np.ndarray) -> jax.Array:
        sharding = batch_sharding(mesh, axis, rows=array.ndim > axis + 2)
        global_shape = array.shape if same_on_every_host else None
        return jax.make_array_from_process_local_data(sharding, array, global_shape)

    return {name: shard(array) for name, array in batch.items()}


def to_host(array: jax.Array | np.ndarray) -> np.ndarray:
    """Return the whole array on every host that has a part of it."""
    if isinstance(array, np.ndarray):
        return array
    if array.is_fully_addressable:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


def with_auto_axes(
    function: Callable[[Any, Any], Any],
    spec_of: Callable[[tuple[Any, ...], Any, PartitionSpec], PartitionSpec],
    images: Any,
    operand: Any,
) -> Any:
    """Call a function whose shardings XLA chooses, also where the images' mesh leaves that to us.

    Nothing happens where the images lie on one device or on a mesh of Auto axes. On Explicit axes,
    which `jax.make_mesh` makes, the function runs as on Auto ones, and its outputs get a sharding.

    Args:
        function: Maps (operand, images) to a tree of arrays.
        spec_of: Maps path and shape of an output and the `PartitionSpec` of the images to its own;
            an axis that does not divide the output is left out.
        images: The array whose sharding counts.
        operand: The other operand, a tree of arrays.

    Returns:
        The outputs of the function.
    """
    sharding = _explicit_sharding(images)
    if sharding is None:
        return function(operand, images)
    there = sharding.mesh
    shapes = jax.eval_shape(function, *jax.tree.map(_shape, (operand, images)))

    def out_sharding(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        spec = spec_of(path, leaf, sharding.spec)
        axes = [
            axis if axis is None or size % _size(there, axis) == 0 else None
            for axis, size in zip(spec, leaf.shape, strict=False)
        ]
        return NamedSharding(there, PartitionSpec(*axes))

    shardings = jax.tree_util.tree_map_with_path(out_sharding, shapes)
    with jax.sharding.use_abstract_mesh(there.abstract_mesh if isinstance(there, Mesh) else there):
        run = jax.sharding.auto_axes(function, axes=there.axis_names, out_sharding=shardings)
        return run(operand, images)


def without_mesh(images: Any) -> Any:
    """Return zeros in place of images that lie on a mesh of Explicit axes; others as they are.

    Args:
        images: An array.
    """
    if _explicit_sharding(images) is None:
        return images
    return np.zeros(images.shape, images.dtype)


def _explicit_sharding(images: Any) -> NamedSharding | None:
    sharding = getattr(jax.typeof(images), "sharding", None)
    there = getattr(sharding, "mesh", None)
    return sharding if there is not None and AxisType.Explicit in there.axis_types else None


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    leaf = jax.typeof(leaf)
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _size(there: Any, axis: str | tuple[str, ...]) -> int:
    return math.prod(there.shape[name] for name in ((axis,) if isinstance(axis, str) else axis))
