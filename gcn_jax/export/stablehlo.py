"""StableHLO: the model as a program of XLA's, for every device, batch and size."""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.export  # a module that `import jax` does not bring
import numpy as np

from gcn_jax import atomic
from gcn_jax.export.archive import Archive, write_archive
from gcn_jax.export.check import Difference, compare
from gcn_jax.export.program import load
from gcn_jax.export.target import Target
from gcn_jax.models.layers import plain_formulation

#: The platforms that the programs are lowered for; none of them need be there.
PLATFORMS = ("cpu", "cuda", "tpu")


def write_stablehlo(
    target: Target, path: str | Path, batches: Sequence[np.ndarray]
) -> list[Difference]:
    """Write a model, which gets its name once it ran beside the model and was right.

    Args:
        target: The model.
        path: The file.
        batches: The images for that, arrays `[N, H, W, 3]` of multiples of 32 pixels.

    Returns:
        The difference of each output.

    Raises:
        UserError: The file cannot be written, or differs from the model: then it is not there.
    """
    multiple = target.metadata["multiple"]
    n, h, w = jax.export.symbolic_shape(f"b, {multiple}*h, {multiple}*w")
    images = target.image_shape(n, h, w)
    # The CPU's own words are for this host, and the programs are for all.
    with plain_formulation():
        programs = {
            kind: bytes(
                jax.export.export(jax.jit(function), platforms=PLATFORMS)(
                    target.weights, images
                ).serialize()
            )
            for kind, function in target.functions.items()
        }
    metadata = {**target.metadata, "platforms": list(PLATFORMS)}
    with atomic.replacing(path) as file:
        write_archive(file, Archive(metadata, programs, target.weights))
        file.flush()
        program = load(file.name)
        return compare(target, lambda output, images: np.asarray(program(images, output)), batches)
