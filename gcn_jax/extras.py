"""Packages that only some of the work needs, the extras of `setup.cfg`: imported when it begins."""

import contextlib
from collections.abc import Iterator

from gcn_jax.errors import UserError

#: Module that `pip install gcn-jax` does not bring -> the extra that does.
EXTRAS = {
    "array_record": "train",
    "cv2": "train",
    "grain": "train",
    "importlib_resources": "train",
    "jinja2": "train",
    "matplotlib": "train",
    "pooch": "train",
    "pycocotools": "train",
    "tensorboardX": "train",
    "tensorflow_datasets": "train",
    "av": "video",
    "tifffile": "tiff",
    "mlflow": "mlflow",
    "trackio": "trackio",
    "wandb": "wandb",
    "onnx": "onnx",
    "onnxruntime": "onnx",
}


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Say what to install where the block needs a package of an extra that is not there.

    Raises:
        UserError: It is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise UserError(
            f"this needs {error.name}, which is not installed; pip install 'gcn-jax[{extra}]'"
        ) from None
