"""The systems that are compared: GCN and its rivals, and heads on backbones, in two sizes."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gcn_jax.analysis.studies.recipes import base_config, set_values, voc_from_scratch
from gcn_jax.analysis.studies.runner import Runner
from gcn_jax.errors import check_choice
from gcn_jax.models import create_model
from gcn_jax.models.backbones import BACKBONES
from gcn_jax.training.config import model_settings

#: Settings that are a system's or a seed's own.
_DECIDED = ("seed", "eval_every", "model.name")
#: The rate of AdamW, as a share of that of SGD with momentum in a recipe.
_ADAMW_RATE = 0.01


@dataclasses.dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        name: What it and its runs are called.
        full: The arguments of `models.create_model`, as published (GCN on ResNet-101, as its
            rivals).
        reduced: Those for a CPU: ResNet-18, or a quarter of VGG-16's channels. VGG-16 has
            batch-norm there, without which it learns next to nothing from scratch in a short run.
        published: "miou", the mIoU on VOC 2012's test set in %, by its leaderboard; PSPNet's by its
            paper, as the leaderboard's entry was trained on COCO, too. Empty of networks that came
            later.
    """

    name: str
    full: Mapping[str, Any] = dataclasses.field(hash=False)
    reduced: Mapping[str, Any] = dataclasses.field(hash=False)
    published: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    inference = "single"
    column = ""

    @property
    def row(self) -> str:
        """Its name."""
        return self.name

    label = run_name = row


def _rival(name: str, full: str, reduced: str, miou: float | None = None, **fields: Any) -> System:
    published = {} if miou is None else {"miou": miou}
    return System(name, {"name": full}, {"name": reduced, **fields}, published)


_NARROW: Mapping[str, Any] = {"width": 0.25, "batch_norm": True}

_RIVALS = (
    _rival("gcn", "gcn_resnet101", "gcn_resnet18", 83.6),
    _rival("fcn8s", "fcn8s_vgg16", "fcn8s_vgg16", 62.2, **_NARROW),
    _rival("segnet", "segnet", "segnet", 59.9, width=0.25),
    _rival("deeplab_largefov", "deeplab_largefov", "deeplab_largefov", 72.7, **_NARROW),
    _rival("deeplab_v2", "deeplab_v2_resnet101", "deeplab_v2_resnet18", 79.7),
    _rival("pspnet", "pspnet_resnet101", "pspnet_resnet18", 82.6),
)
_LATER = (
    _rival("unet", "unet_resnet101", "unet_resnet18"),
    _rival("deeplabv3plus", "deeplabv3plus_resnet101", "deeplabv3plus_resnet18"),
    _rival("fpn", "fpn_resnet101", "fpn_resnet18"),
)


def _heads_on(backbone: str) -> list[System]:
    """Return the large kernel, the 1 x 1 baseline and UPerNet's head on one backbone."""
    gcn, upernet = {"name": f"gcn_{backbone}"}, {"name": "upernet_resnet50", "backbone": backbone}
    baseline = {**gcn, "head": "baseline"}
    return [
        System(f"gcn_{backbone}", gcn, gcn),
        System(f"baseline_{backbone}", baseline, baseline),
        System(f"upernet_{backbone}", upernet, {**upernet, "features": 128}),
    ]


#: Backbones that heads are compared on: the paper's kind, and two that see far themselves.
_BACKBONES = ("resnet18", "resnet50", "convnext_tiny", "mit_b0")
_HEADS = [system for backbone in _BACKBONES for system in _heads_on(backbone)]

#: By name.
SYSTEMS: Mapping[str, System] = {one.name: one for one in (*_RIVALS, *_LATER, *_HEADS)}

#: Those of the paper's last table, which are compared where none is named.
RIVALS = tuple(system.name for system in _RIVALS)

SIZES = ("reduced", "full")


class SystemRunner(Runner):
    """Runs systems under one recipe, in a folder of the data and the size."""

    def __init__(self, data: str, size: str, folder: str | Path, settings: Sequence[str] = ()):
        """Choose the data, the size and the recipe.

        Args:
            data: A key of `recipes.RECIPES`, whose recipe is taken; for "voc" `voc_from_scratch`.
            size: One of `SIZES`.
            folder: The folder in which everything is kept.
            settings: Changes of the recipe, "key=value"; other ones need another folder.

        Raises:
            UserError: A name is unknown.
        """
        base_config(data)
        check_choice("--size", size, SIZES)
        self.data, self._size, self._settings = data, size, tuple(settings)
        self.folder = Path(folder) / f"{data}_{size}"

    def recipe(self, contestant: System) -> ConfigDict:
        """Return the settings of a system, but for what `config` decides: one recipe for all.

        On a backbone without batch-norm the optimiser is AdamW, at a hundredth of the rate.

        Args:
            contestant: The system.
        """
        config = voc_from_scratch() if self.data == "voc" else base_config(self.data)
        fields = dict(getattr(contestant, self._size))
        config.model = model_settings(fields.pop("name"))
        with config.unlocked():
            config.model.update(fields)
        model = create_model(**config.model, num_classes=1)
        backbone = BACKBONES.get(getattr(model, "backbone", ""))
        if backbone is not None and not backbone.batch_norm:
            config.optimizer.kind = "adamw"
            config.optimizer.learning_rate *= _ADAMW_RATE
        return set_values(config, self._settings, decided=_DECIDED)


class EqualTimeRunner(Runner):
    """Runs systems anew for as many steps as each makes in the time of the first."""

    def __init__(self, runner: Runner, speeds: Mapping[str, float]):
        """Choose what is run in equal time.

        Args:
            runner: Gives the settings of equal images; the folder is one within its own.
            speeds: Run name -> images a second in training; the time is that of the first.
        """
        self._runner, self._speeds = runner, speeds
        self.folder = runner.folder / "equal_time"

    def recipe(self, contestant: System) -> ConfigDict:
        """Return the settings of equal images.

        Args:
            contestant: The system.
        """
        return self._runner.recipe(contestant)

    def config(
        self, contestant: System, seed: int, budget: int = 1, rate: float = 1.0
    ) -> ConfigDict:
        """Return the settings of a run, but for its steps those of equal images; see `Runner`.

        Args:
            contestant: The system.
            seed: The seed of its run.
            budget: How many times the steps of the recipe the first system has.
            rate: How many times the learning rate of the recipe it has.
        """
        config = super().config(contestant, seed, budget, rate)
        ratio = self._speeds[contestant.run_name] / next(iter(self._speeds.values()))
        config.num_steps = max(1, round(config.num_steps * ratio))
        config.eval_every = config.num_steps
        config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, config.num_steps // 2)
        return config
