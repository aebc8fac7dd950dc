"""A program for TPUs that are not there: traced, compiled by libtpu, and read from its text."""

import collections
import contextlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import hlo
from benchmarks.contestants import NUM_CLASSES, our_functions
from benchmarks.parts import OUTSIDE, part_of_operation
from gcn_jax import mesh, models
from gcn_jax.errors import UserError
from gcn_jax.models.layers import formulation_for, split_rows
from gcn_jax.training.rows import check_rows

#: Kinds that move no bytes: names for arrays that are there.
_FREE = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all")

#: For libtpu: it is not to ask the cloud what machine this is, any kind of machine does, and other
#: processes may have loaded it, as no chip is touched.
_NOT_IN_THE_CLOUD = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class Traffic(NamedTuple):
    """What operations read and write: values alone, and with what fills their tiles."""

    values: int = 0
    padded: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.values + other.values, self.padded + other.padded)


def topology(name: str) -> Sequence[Any]:
    """Return the chips of a topology, which libtpu describes without having them.

    Args:
        name: Kind and arrangement, such as "v5e:2x4".

    Raises:
        UserError: There is no such topology, or no libtpu.
    """
    if sys.version_info < (3, 12):
        raise UserError("the newest JAX and libtpu need Python 3.12 or newer")
    if importlib.util.find_spec("libtpu") is None:
        raise UserError("libtpu is not installed: pip install -e '.[tpu]'")
    for variable, value in _NOT_IN_THE_CLOUD.items():
        os.environ.setdefault(variable, value)
    jax.config.update("jax_platforms", "cpu")  # where the host's own arrays are
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0].removeprefix("INVALID_ARGUMENT: ")
        raise UserError(f"--topology={name} is none, such as v5e:2x4 is one: {reason}") from None


def compile_fitting(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """Compile a program.

    Args:
        lowered: What `lower` returned.

    Raises:
        UserError: It takes more memory than a chip has.
    """
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise UserError(f"it does not fit; fewer images or more chips? {reason}") from None


def lower(
    network: str,
    shape: tuple[int, int, int],
    dtype: str,
    devices: Sequence[Any],
    *,
    split: str = "data",
    train: bool = False,
) -> jax.stages.Lowered:
    """Trace a program for devices that need not be there, in the formulation of TPUs.

    Args:
        network: A name of `models.create_model`.
        shape: N, H and W of the images.
        dtype: "float32" or "bfloat16".
        devices: The devices that it is for.
        split: What is split over them: "data", the batch, or "height", the rows of the images.
        train: Whether it is a training step, or else a forward pass.

    Raises:
        UserError: The images cannot be split so.
    """
    by_rows = split == "height"
    axis = int(by_rows)
    if shape[axis] % len(devices):
        flag = ("batch", "size")[axis]
        raise UserError(f"--{flag}={shape[axis]} does not divide over {len(devices)} chips")
    if train and by_rows:
        check_rows(models.create_model(network, num_classes=NUM_CLASSES), shape[1:], len(devices))
    create, step, forward = our_functions(network, dtype)
    grid = mesh.data_mesh(devices, height=len(devices) if by_rows else 1)
    everywhere, parts = mesh.replicated(grid), mesh.batch_sharding(grid, rows=True)
    state = _placed(jax.eval_shape(create, jax.random.key(0)), everywhere)
    images = jax.ShapeDtypeStruct((*shape, 3), jnp.uint8, sharding=parts)
    labels = jax.ShapeDtypeStruct(shape, jnp.uint8, sharding=parts)
    with formulation_for("tpu"), split_rows() if by_rows else contextlib.nullcontext():
        if train:
            jitted = jax.jit(step, donate_argnums=0, out_shardings=everywhere)
            return jitted.lower(state, {"image": images, "label": labels})
        return jax.jit(forward).lower(state.variables, images)


def _placed(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


def read_program(text: str) -> dict[str, Any]:
    """Read what a compiled program does to memory, and what its devices hand to each other.

    Args:
        text: XLA's, as `compiled.as_text()` returns it.

    Returns:
        "parts", "arrays" and "collectives", each a mapping by name with its largest first.
    """
    running = hlo.executed(text)
    made: dict[str, list[hlo.Shape]] = {}
    part_of: dict[str, str] = {}
    parts: dict[str, Traffic] = {}
    arrays: collections.Counter[hlo.Shape] = collections.Counter()
    for name, computation, kind, shapes, operands, op_name in hlo.read_operations(text):
        made[name] = [shape for shape in shapes if shape.space == 0]
        inherited = (part_of[o] for o in reversed(operands) if part_of.get(o, OUTSIDE) != OUTSIDE)
        part_of[name] = part_of_operation(op_name) or next(inherited, OUTSIDE)
        moves_nothing = kind in (*_FREE, *hlo.CONTAINERS) or (
            kind == "custom-call" and not operands
        )
        if computation not in running or moves_nothing:
            continue
        # What runs beside others has read its operands when it starts, and written when it is done.
        written = [] if kind.endswith("-start") else made[name]
        reads = [] if kind.endswith("-done") else [s for o in operands for s in made.get(o, ())]
        for shape in (*written, *reads):
            moved = Traffic(shape.values, shape.padded)
            parts[part_of[name]] = parts.get(part_of[name], Traffic()) + moved
        arrays.update(written)
    return {
        "parts": {
            part: traffic._asdict()
            for part, traffic in sorted(parts.items(), key=lambda item: -item[1].padded)
        },
        "arrays": {
            shape.text: {"count": count, "values": shape.values, "padded": shape.padded}
            for shape, count in sorted(arrays.items(), key=lambda i: -i[0].padded * i[1])
        },
        "collectives": {
            kind: sent._asdict()
            for kind, sent in sorted(hlo.collectives(text).items(), key=lambda i: -i[1].padded)
        },
    }
