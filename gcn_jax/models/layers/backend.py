"""The choice of formulation: the same primitives in the words that a device computes fastest.

`layers/plain.py` and `layers/cpu/` are two modules of the same functions, equal up to rounding, and
nothing but `formulation` chooses between them.

The choice is made while a program is traced, by what is known then of the device that it is for.
`jax.lax.platform_dependent` knows more, the platforms that a program is lowered for, but has both
formulations traced and differentiated on every device: of a training step of GCN-ResNet-18 in 5.7
seconds instead of 2.5 (to compile it takes no longer: 42 and 39). Derivatives in forward mode would
be lost on all devices, and analyses of a traced program would meet both. So a program for devices
that this process does not have is traced under `plain_formulation`.
"""

import contextlib
from collections.abc import Iterator
from types import ModuleType

import jax

from gcn_jax.models.layers import by_rows, cpu, plain

# Not a `contextvars.ContextVar`: `jax.jit` must trace a function again where this changes.
_everywhere_plain = jax.make_user_context(default_value=False)
_rows_are_split = jax.make_user_context(default_value=False)


def formulation(x: jax.Array) -> ModuleType:
    """Return the module, `plain`, `cpu` or `by_rows`, for an operation on x."""
    if _rows_are_split.value:
        return by_rows
    if not _everywhere_plain.value and target_platform(x) == "cpu":
        return cpu
    return plain


def target_platform(x: jax.Array) -> str:
    """Return the platform that a program is traced for, such as "cpu", "cuda" or "tpu".

    It is that of the first of these which is known: the mesh over which x is split, the mesh of
    `jax.set_mesh` or `jax.sharding.use_abstract_mesh`, `jax.default_device`, and the default
    backend.

    Args:
        x: An operand, traced or not.
    """
    for mesh in (jax.typeof(x).sharding.mesh, jax.sharding.get_abstract_mesh()):
        if mesh.abstract_device is not None:
            return mesh.abstract_device.platform
    device = jax.config.jax_default_device  # type: ignore[attr-defined]  # JAX adds its options late
    if device is None:
        return jax.default_backend()
    return device if isinstance(device, str) else device.platform


@contextlib.contextmanager
def plain_formulation() -> Iterator[None]:
    """Trace the primitives in plain words inside, also where the program is for a CPU.

    Three things need it on a host without another device: a program that is for other devices (an
    export, a compilation ahead of time), derivatives in forward mode (`jax.jvp`, `jax.jacfwd`),
    and counts of operations, which are to be those of the network.

    Example:
        >>> with plain_formulation():
        ...     exported = jax.export.export(jax.jit(model.apply), platforms=["cuda"])(variables, x)
    """
    with _everywhere_plain(True):
        yield


@contextlib.contextmanager
def split_rows() -> Iterator[None]:
    """Trace the primitives inside for maps whose rows are split over devices.

    They give the same values as others, and devices hand over less. Of a mesh of Auto axes a
    program does not know, while it is traced, that it splits rows.
    """
    with _rows_are_split(True):
        yield
