"""Readers of weights: files of PyTorch and safetensors, as these libraries wrote them."""

import shutil
from typing import Any

from gcn_jax.tensor_files import read_weights
from tests.fuzz import mutations
from tests.fuzz.cases import Reader
from tests.helpers.verbs import ROOT

_FIXTURES = ROOT / "tests/fixtures"


def _weights(name: str, file: str, **about: Any) -> Reader:
    return Reader(
        name,
        write=lambda folder: shutil.copy(_FIXTURES / file, folder / file),
        read=lambda folder: read_weights(folder / file),
        mutate=mutations.of_bytes,
        **about,
    )


READERS = (
    _weights(".pth, zip", "weights.pth", checksum=True),
    _weights(".pth, zip, nested", "weights_nested.pth", checksum=True),
    _weights(".pth, legacy", "weights_legacy.pth"),
    _weights(".safetensors", "weights.safetensors"),
)
