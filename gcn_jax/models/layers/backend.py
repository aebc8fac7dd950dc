"""The choice of formulation: the same primitives in the words that a device computes fastest.

`layers/plain.py`, `layers/cpu/` and `layers/tpu.py` are modules of the same functions, equal up to
rounding, and nothing but `formulation` chooses between them. On a TPU `keeps_blocks` adds to the
words how maps of few channels lie.

The choice is made while a program is traced, by what is known then of the device that it is for.
`jax.lax.platform_dependent` knows more, the platforms that a program is lowered for, but has all
formulations traced and differentiated on every device: of a training step of GCN-ResNet-18 in 5.7
seconds instead of 2.5 (to compile it takes no longer: 42 and 39). Derivatives in forward mode would
be lost on all devices, and analyses of a traced program would meet both. So a program for devices
that this process does not have is traced under `plain_formulation`.
"""

import contextlib
from collections.abc import Iterator
from types import ModuleType

import jax

from gcn_jax.models.layers import by_rows, cpu, plain, tpu

#: Places of the last axis in a tile of a TPU.
_TPU_LANES = 128

# Not a `contextvars.ContextVar`: `jax.jit` must trace a function again where this changes.
_named = jax.make_user_context(default_value=None)
_rows_are_split = jax.make_user_context(default_value=False)


def formulation(x: jax.Array) -> ModuleType:
    """Return the module, `plain`, `cpu`, `tpu` or `by_rows`, for an operation on x."""
    if _rows_are_split.value:
        return by_rows
    return {"cpu": cpu, "tpu": tpu}.get(target_platform(x), plain)


def keeps_blocks(x: jax.Array) -> bool:
    """Return whether maps are better kept in blocks of pixels (`pixel_blocks.py`).

    They are on a TPU, where at least four pixels have room in a tile; not where rows are split,
    for which they were not compiled.

    Args:
        x: Maps `[N, H, W, C]`, traced or not.
    """
    if _rows_are_split.value:
        return False
    return target_platform(x) == "tpu" and 4 * x.shape[-1] <= _TPU_LANES


def target_platform(x: jax.Array) -> str:
    """Return the platform that a program is traced for, such as "cpu", "cuda" or "tpu".

    It is that of the first of these which is known: the platform of `formulation_for`, the mesh
    over which x is split, the mesh of `jax.set_mesh` or `jax.sharding.use_abstract_mesh`,
    `jax.default_device`, and the default backend.

    Args:
        x: An operand, traced or not.
    """
    if _named.value is not None:
        return _named.value
    for mesh in (jax.typeof(x).sharding.mesh, jax.sharding.get_abstract_mesh()):
        if mesh.abstract_device is not None:
            return mesh.abstract_device.platform
    device = jax.config.jax_default_device  # type: ignore[attr-defined]  # JAX adds its options late
    if device is None:
        return jax.default_backend()
    return device if isinstance(device, str) else device.platform


@contextlib.contextmanager
def formulation_for(platform: str) -> Iterator[None]:
    """Trace the primitives in the words of a platform inside, whatever the program is for.

    Args:
        platform: "cpu", "tpu" or another, such as "cuda".
    """
    with _named(platform):
        yield


def plain_formulation() -> contextlib.AbstractContextManager[None]:
    """Trace the primitives in plain words inside, which every device understands.

    Three things need it on a host without another device: a program that is for other devices (an
    export, a compilation ahead of time), derivatives in forward mode (`jax.jvp`, `jax.jacfwd`),
    and counts of operations, which are to be those of the network.

    Example:
        >>> with plain_formulation():
        ...     exported = jax.export.export(jax.jit(model.apply), platforms=["cuda"])(variables, x)
    """
    return formulation_for("any")


@contextlib.contextmanager
def split_rows() -> Iterator[None]:
    """Trace the primitives inside for maps whose rows are split over devices.

    They give the same values as others, and devices hand over less. Of a mesh of Auto axes a
    program does not know, while it is traced, that it splits rows.
    """
    with _rows_are_split(True):
        yield
