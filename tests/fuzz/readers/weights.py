"""Readers of weights: files of PyTorch, safetensors and Caffe, as these libraries wrote them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax.tensor_files import read_weights
from gcn_jax.weights.caffemodel import read_caffemodel
from tests.fuzz import mutations
from tests.fuzz.cases import Reader
from tests.helpers.verbs import ROOT

_FIXTURES = ROOT / "tests/fixtures"


def _weights(
    name: str,
    file: str,
    read: Callable[[Path], dict[str, np.ndarray]] = read_weights,
    **about: Any,
) -> Reader:
    return Reader(
        name,
        write=lambda folder: shutil.copy(_FIXTURES / file, folder / file),
        read=lambda folder: read(folder / file),
        mutate=mutations.of_bytes,
        **about,
    )


READERS = (
    _weights(".pth, zip", "weights.pth", checksum=True),
    _weights(".pth, zip, nested", "weights_nested.pth", checksum=True),
    _weights(".pth, legacy", "weights_legacy.pth"),
    _weights(".safetensors", "weights.safetensors"),
    _weights(".caffemodel", "new.caffemodel", read_caffemodel),
    _weights(".caffemodel, V1", "v1.caffemodel", read_caffemodel),
)
