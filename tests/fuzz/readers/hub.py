"""Readers of the hub: a model of ours that somebody published, and the settings of timm's."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import jax
import numpy as np
import pytest

from gcn_jax import models
from gcn_jax.models.network import variable_shapes
from gcn_jax.models.pretrained.info import write_info
from gcn_jax.models.pretrained.publishing import write_repository
from gcn_jax.models.pretrained.restore import Pretrained
from gcn_jax.training import default_config
from gcn_jax.weights.backbone import read_backbone_preprocessing
from gcn_jax.workdir import Workdir
from tests.fuzz import mutations
from tests.fuzz.cases import Reader
from tests.fuzz.readers.runs import load
from tests.helpers.fake_hub import FakeHub
from tests.helpers.runs import SMALL


def _on_hub(use: Callable[[FakeHub], Any], folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        return use(FakeHub(folder / "hub", patch))


def _write_published(folder: Path) -> None:
    model = models.create_model(SMALL.name, **SMALL.fields)
    shapes = variable_shapes(model)
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    pretrained = Pretrained(model, {"batch_stats": {}, **variables}, SMALL, 4)
    run = folder / "run"
    run.mkdir()
    write_info(run, SMALL)
    Workdir(run).config_file.write_text(default_config().to_json())
    _on_hub(lambda hub: write_repository(hub.folder("me/tiny"), run, "me/tiny", pretrained), folder)


def _read_published(folder: Path) -> Any:
    return _on_hub(lambda hub: load("hf://me/tiny"), folder)


def _write_timm(folder: Path) -> None:
    prepared = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    content = {"architecture": "resnet18", "pretrained_cfg": prepared}
    _on_hub(
        lambda hub: (hub.folder("me/timm") / "config.json").write_text(json.dumps(content)), folder
    )


def _read_timm(folder: Path) -> Any:
    return _on_hub(lambda hub: read_backbone_preprocessing("hf://me/timm"), folder)


def _published(
    name: str, files: str, mutate: Callable[[bytes, Random], bytes], checksum: bool = False
) -> Reader:
    files = f"hub/*/snapshots/*/{files}"
    return Reader(name, _write_published, _read_published, mutate, files, checksum, short=30)


_TIMM = "hub/*/snapshots/*/config.json"
_JSON = "[sd]*.json"  # scores.json and digests.json

READERS = (
    _published("published weights", "model.safetensors", mutations.of_bytes, checksum=True),
    _published("published JSON (tree)", _JSON, mutations.of_json),
    _published("published JSON (bytes)", _JSON, mutations.of_bytes),
    Reader("timm's config.json (tree)", _write_timm, _read_timm, mutations.of_json, _TIMM),
    Reader("timm's config.json (bytes)", _write_timm, _read_timm, mutations.of_bytes, _TIMM),
)
