"""`augment.extra`: a function of the user's that changes a training image and its labels."""

import hashlib
import importlib.util
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax import IGNORE_LABEL
from gcn_jax.errors import UserError


class ExtraAugment:
    """A function `extra(image, label, rng) -> (image, label)` in a Python file.

    Args:
        spec: `"FILE.py:FUNCTION"`.
        num_classes: What labels are below, void aside.

    Attributes:
        spec: The same.
        digest: SHA-256 of the file, in hexadecimal: whether a run goes on with the same function.

    Raises:
        UserError: There is no such file or function, or the file fails.
    """

    def __init__(self, spec: str, num_classes: int):
        self.spec, self._num_classes = spec, num_classes
        file, _, name = spec.rpartition(":")
        self._path = Path(file).expanduser().resolve()
        try:
            self.digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
        except OSError as error:
            raise UserError(f"augment.extra={spec}: {file}: {error.strerror}") from None
        module_spec = importlib.util.spec_from_file_location("augment_extra", self._path)
        if module_spec is None or module_spec.loader is None:
            raise UserError(f"augment.extra={spec}: {file} is no Python file")
        module = importlib.util.module_from_spec(module_spec)
        try:
            module_spec.loader.exec_module(module)
        except Exception as error:  # whatever a file of the user's raises
            raise UserError(f"augment.extra={spec}: {self._told(error)}") from error
        self._function: Any = getattr(module, name, None)
        if not callable(self._function):
            raise UserError(f"augment.extra={spec}: {file} has no function {name!r}")

    def __str__(self) -> str:
        """Return what names it in a config."""
        return self.spec

    def __call__(
        self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator, name: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Call the function with arrays that it may write to, and check what it returns.

        Args:
            image: uint8 `[H, W, C]`; or uint16, see `transforms`.
            label: uint8 `[H, W]`.
            rng: The source of randomness of this example.
            name: What to call the image in an error.

        Returns:
            The same, of the same type and number of channels, no higher and no wider.

        Raises:
            UserError: The function fails, or returns something else.
        """
        try:
            returned = self._function(np.array(image), np.array(label), rng)
        except Exception as error:  # whatever a function of the user's raises
            raise UserError(
                f"augment.extra={self.spec}, image {name}: {self._told(error)}"
            ) from error
        problem = self._problem(returned, image)
        if problem:
            raise UserError(f"augment.extra={self.spec}, image {name}: {problem}")
        return returned

    def _problem(self, returned: Any, image: np.ndarray) -> str | None:
        """Return what is wrong with what the function returned."""
        if not isinstance(returned, tuple | list) or len(returned) != 2:
            return f"it returns {_described(returned)}; it must return (image, label)"
        new, label = returned
        label_dtype = np.dtype(np.uint8)
        for what, array, num_axes, dtype in (
            ("image", new, 3, image.dtype),
            ("label", label, 2, label_dtype),
        ):
            if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != num_axes:
                axes = "[H, W, C]" if num_axes == 3 else "[H, W]"
                return f"its {what} is {_described(array)}; it must be {dtype} {axes}"
        height, width, channels = image.shape
        if new.shape[2] != channels:
            return f"its image has {new.shape[2]} channels; it was given {channels}"
        if new.shape[:2] != label.shape:
            return f"its image is {_size(new)} px and its label {_size(label)}"
        if not (0 < label.shape[0] <= height and 0 < label.shape[1] <= width):
            return f"it returns {_size(label)} px; it was given {height} x {width}, the most"
        wrong = np.unique(label[(label >= self._num_classes) & (label != IGNORE_LABEL)])
        if wrong.size:
            return (
                f"its label holds {', '.join(map(str, wrong[:5]))}; labels are below "
                f"{self._num_classes}, and {IGNORE_LABEL} is void"
            )
        return None

    def _told(self, error: Exception) -> str:
        """Return what an exception says, and the last line of the file that it came through."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if f.filename == str(self._path)]
        where = f"line {lines[-1]}: " if lines else ""
        return f"{where}{type(error).__name__}: {error}"


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return "None" if value is None else type(value).__name__ + size


def _size(array: np.ndarray) -> str:
    return f"{array.shape[0]} x {array.shape[1]}"
