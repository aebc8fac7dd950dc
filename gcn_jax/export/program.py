"""An exported model in a process that has jax, and none of the libraries it was made with."""

from pathlib import Path
from typing import Any

import jax
import jax.export  # a module that `import jax` does not bring
import jax.numpy as jnp
import numpy as np

from gcn_jax.errors import UserError, check_choice
from gcn_jax.export.archive import read_archive


class Program:
    """An exported model, on the default device.

    Attributes:
        metadata: What the file says about the model: `model`, `class_names`, `palette`, `mean`,
            `std`, `step`, `platforms`, `outputs`, `gcn_jax` (the version) and so on.
        class_names: The names of the classes 0..C-1.
        palette: uint8 `[C, 3]`, the colour of each class.
        outputs: The kinds that a call can return, the default first: "labels", "logits".
    """

    def __init__(self, path: str | Path):
        """Read a file, as `load` does.

        Args:
            path: The file.
        """
        archive = read_archive(path)
        self.metadata = archive.metadata
        self.class_names: tuple[str, ...] = tuple(archive.metadata["class_names"])
        self.palette = np.asarray(archive.metadata["palette"], np.uint8)
        self.outputs: tuple[str, ...] = tuple(archive.metadata["outputs"])
        self._weights = jax.tree.map(jnp.asarray, archive.weights)
        try:
            self._programs = {
                kind: jax.jit(jax.export.deserialize(bytearray(program)).call)
                for kind, program in archive.programs.items()
            }
        except ImportError:
            raise UserError(
                "JAX reads its programs with flatbuffers, which is not installed: "
                "pip install flatbuffers"
            ) from None
        except ValueError as error:  # JAX reads programs of itself for some months
            raise UserError(
                f"{path} is of jax {self.metadata['jax']} and cannot be read by jax "
                f"{jax.__version__}: {error}"
            ) from None

    def __call__(self, images: Any, output: str | None = None) -> jax.Array:
        """Segment images.

        Sizes that are no multiples of the program's (32) are padded with the mean colour below and
        to the right, and the result is cut. A new shape compiles anew.

        Args:
            images: uint8 `[N, H, W, 3]` RGB, as they are in the files; of other channels as
                `metadata` says: one for each number of `mean`, `image_dtype` in its whole range.
            output: One of `outputs`; the first of them if None.

        Returns:
            Labels, int32 `[N, H, W]`, or logits, float32 `[N, H, W, C]`.

        Raises:
            UserError: The images are others, or the file has no such output.
        """
        kind = self.outputs[0] if output is None else output
        check_choice("output of this file", kind, self.outputs)
        shape = np.shape(images)
        channels, dtype = len(self.metadata["mean"]), self.metadata.get("image_dtype", "uint8")
        if jnp.result_type(images) != dtype or len(shape) != 4 or shape[3] != channels:
            wanted = f"{dtype} [N, H, W, {channels}]" + " RGB" * (channels == 3)
            raise UserError(
                f"images are {jnp.result_type(images)}{list(shape)}; they must be {wanted}"
            )
        padded = pad(images, self.metadata["multiple"], self.metadata["mean"])
        result: jax.Array = self._programs[kind](self._weights, padded)
        return result[:, : shape[1], : shape[2]]


def load(path: str | Path) -> Program:
    """Load a model that `gcn-jax export --format stablehlo` wrote.

    Args:
        path: The file.

    Returns:
        A function of images, uint8 `[N, H, W, 3]`; see `Program.__call__`.

    Raises:
        UserError: The file is not there, damaged, of another kind or of a newer version.
    """
    return Program(path)


def pad(images: Any, multiple: int, mean: Any) -> Any:
    """Pad images below and to the right with the mean colour.

    Args:
        images: uint8 or uint16 `[N, H, W, C]`.
        multiple: The height and the width become multiples of it.
        mean: C numbers, 0..255.

    Returns:
        `[N, H', W', C]` of the same type; the images themselves where nothing is missing.
    """
    below, right = (-size % multiple for size in np.shape(images)[1:3])
    if not below and not right:
        return images
    xp: Any = jnp if isinstance(images, jax.Array) else np
    dtype = np.dtype(jnp.result_type(images))
    color = (np.rint(np.asarray(mean)) * (np.iinfo(dtype).max // 255)).astype(dtype)
    inside = xp.pad(xp.ones(np.shape(images)[:3], bool), [(0, 0), (0, below), (0, right)])
    padded = xp.pad(images, [(0, 0), (0, below), (0, right), (0, 0)])
    return xp.where(inside[..., None], padded, color)
