"""The cells of the paper's tables as runs."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import jax
import numpy as np
from ml_collections import ConfigDict

from gcn_jax import models
from gcn_jax.analysis.studies.paper import Cell
from gcn_jax.analysis.studies.recipes import base_config, set_stage, set_values
from gcn_jax.analysis.studies.runner import Job, Runner

#: Settings that are a cell's or a seed's own.
_DECIDED = (
    "seed",
    "init_from",
    "eval_every",
    "model.head",
    "model.finer_head",
    "model.kernel_size",
    "model.stack_channels",
    "model.boundary_refinement",
)


class CellRunner(Runner):
    """Runs the cells of tables on one data set, in a folder of its name, whichever table asks.

    Attributes:
        data: A key of `recipes.RECIPES`.
        folder: The folder with everything about that data.
    """

    def __init__(self, data: str, folder: str | Path, settings: Sequence[str] = ()):
        """Choose the data and the recipe.

        Args:
            data: A key of `recipes.RECIPES`.
            folder: The folder in which everything is kept.
            settings: Changes of the recipe, "key=value"; other ones need another folder.
        """
        self.data, self.folder, self._settings = data, Path(folder) / data, tuple(settings)
        base_config(data)  # an unknown name is refused before any work

    def recipe(self, contestant: Cell) -> ConfigDict:
        """Return the settings of a cell, but for what `config` decides.

        Args:
            contestant: The cell.
        """
        config, cell = base_config(self.data), contestant
        if cell.stage is not None:
            set_stage(config, self.data, cell.stage)
        set_values(config, self._settings, decided=_DECIDED)
        config.model.update(cell.model_fields)
        if cell.head == "stack":
            config.model.stack_channels = cell.stack_channels(_top_channels(config.model))
        return config

    def config(self, contestant: Cell, seed: int, budget: int = 1, rate: float = 1.0) -> ConfigDict:
        """Return the settings of a run, whose stage starts from the one before; see `Runner`.

        Args:
            contestant: The cell.
            seed: The seed of its run.
            budget: How many times the steps of the recipe it has.
            rate: How many times the learning rate of the recipe it has.
        """
        config = super().config(contestant, seed, budget, rate)
        if before := _stage_before(contestant):
            config.init_from = str(self.workdir(Job(before, seed, budget, rate)).resolve())
        return config

    def is_ready(self, job: Job) -> bool:
        """Return whether the stage before it is finished, if there is one.

        Args:
            job: The run.
        """
        before = _stage_before(cast(Cell, job.contestant))
        return before is None or self.is_finished(job._replace(contestant=before))


def _stage_before(cell: Cell) -> Cell | None:
    """Return what a cell starts from: the run of the stage before its own."""
    if cell.stage is None or cell.stage == 1:
        return None
    return dataclasses.replace(cell, stage=cell.stage - 1, inference="single")


def _top_channels(settings: ConfigDict) -> int:
    """Return the channels of res-5 of a model's backbone."""
    backbone = models.create_model(**settings, num_classes=2).make_backbone()
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    features, _ = jax.eval_shape(backbone.init_with_output, jax.random.key(0), images)
    return features["res5"].shape[-1]
