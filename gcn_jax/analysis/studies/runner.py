"""A runner that trains and scores the networks of a study, each once: finished ones are read."""

import abc
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from ml_collections import ConfigDict

from gcn_jax import atomic, data, mesh, models
from gcn_jax.analysis.costs.complexity import Cost, network_cost
from gcn_jax.analysis.studies.recipes import INFERENCES
from gcn_jax.data.shapes.world import NO_CUE
from gcn_jax.errors import UserError
from gcn_jax.evaluation import evaluate
from gcn_jax.evaluation.boundary import BOUNDARY_SCORES
from gcn_jax.evaluation.metrics import SCORES
from gcn_jax.inference import Predictor
from gcn_jax.training import train_and_evaluate
from gcn_jax.training.config import differing_settings, json_settings
from gcn_jax.training.metrics_log import TRAIN_METRIC
from gcn_jax.workdir import Workdir

#: The key of the classes that Boundary IoU is over.
BOUNDARY_COUNTED = "boundary_iou_num_classes_counted"
#: The key of the mIoU of `config.eval_train_images` training images, without augmentation.
TRAIN_MIOU = "train_miou"
#: The scores that are kept of an evaluation, as shares of 1, and their titles.
METRICS = {score.key: score.title for score in (*SCORES, *BOUNDARY_SCORES)}
#: Pixels of `shapes` are counted by the distance to their cue in steps of so many pixels, and so
#: many steps for every 128 pixels of an image's width. What is farther counts in the last.
CUE_STEP, CUE_BINS = 8, 14

#: Settings that no score depends on: where things are, and what is kept or computed when.
_WITHOUT_EFFECT = (
    "init_from",
    "log_every",
    "eval_every",
    "eval_batch_size",
    "eval_train_images",
    "checkpoint_every",
    "remat",
    "data.data_dir",
    "data.manual_dir",
    "data.num_threads",
    "data.cache_in_memory",
)

#: Scores of one run, JSON values.
Result = dict[str, Any]


def run_once(config: ConfigDict, workdir: Path, name: str, inference: str = "single") -> Result:
    """Train a network unless that is done, score it unless that is done, and return the scores.

    Args:
        config: The settings of the network's run.
        workdir: The folder of the run, which resumes as every workdir does.
        name: The name of the scores, `<name>.json` in the workdir.
        inference: A key of `recipes.INFERENCES`.

    Returns:
        What `score` returns, and name, seed, `TRAIN_MIOU`, seconds of training and settings.

    Raises:
        InUseError: Another process trains it.
        UserError: The folder holds the run with other settings.
    """
    path = workdir / f"{name}.json"
    if path.exists():
        return _read(path, config)
    seconds = _train(config, workdir)
    with Workdir(workdir).lock():
        if path.exists():  # another process went on with it meanwhile
            return _read(path, config)
        result = {"name": name, "seed": config.seed} | score(workdir, config, inference)
        if inference == "single":
            result[TRAIN_MIOU] = Workdir(workdir).read_metrics()[-1].get(TRAIN_METRIC)
        result |= {"seconds_of_training": seconds, "settings": json_settings(config)}
        atomic.write(path, json.dumps(result, indent=1) + "\n")
        return result


def _train(config: ConfigDict, workdir: Path) -> float | None:
    """Return the seconds that it took; None where a part was done before."""
    resumed = Workdir(workdir).checkpoints.exists()
    start = time.monotonic()
    train_and_evaluate(config, workdir)
    return None if resumed else time.monotonic() - start


class Contestant(Protocol):
    """One of the networks that a study compares: a cell of a table, or a system."""

    @property
    def row(self) -> str:
        """What it is called, such as "GCN"."""

    @property
    def column(self) -> str:
        """Its place along an axis, such as "7" (k); empty where there is no axis."""

    @property
    def label(self) -> str:
        """Both, where the study is spoken of."""

    @property
    def run_name(self) -> str:
        """The name of its training run, which several may share."""

    @property
    def name(self) -> str:
        """The name of its scores."""

    @property
    def inference(self) -> str:
        """A key of `recipes.INFERENCES`."""

    @property
    def published(self) -> Mapping[str, Any]:
        """Published scores in percent, by metric."""


class Job(NamedTuple):
    """A run of a study.

    Attributes:
        contestant: The network.
        seed: The seed.
        budget: How many times the steps of the recipe it has.
        rate: How many times the learning rate of the recipe it has.
    """

    contestant: Contestant
    seed: int
    budget: int = 1
    rate: float = 1.0


class Runner(abc.ABC):
    """Runs the networks of a study, in one folder.

    A network with a seed is a workdir, `<folder>/<run name>_seed<n>`; with another budget or rate
    than the recipe's, in a folder there that names it, such as `4x_steps_2x_rate`. A run that was
    interrupted goes on; one that is finished costs nothing.

    Attributes:
        folder: The folder with everything about the study.
    """

    folder: Path

    @abc.abstractmethod
    def recipe(self, contestant: Any) -> ConfigDict:
        """Return the settings of a network, but for what `config` decides.

        Args:
            contestant: The network.
        """

    def config(self, contestant: Any, seed: int, budget: int = 1, rate: float = 1.0) -> ConfigDict:
        """Return the settings of a run, which is validated at its end alone.

        Args:
            contestant: The network.
            seed: The seed of its run.
            budget: How many times the steps of the recipe it has.
            rate: How many times the learning rate of the recipe it has.
        """
        config = self.recipe(contestant)
        config.seed = seed
        config.num_steps *= budget
        config.optimizer.learning_rate *= rate
        config.eval_every = config.num_steps
        return config

    def run(self, job: Job) -> Result:
        """Train and score a network; see `run_once`.

        Args:
            job: The run.
        """
        name, inference = job.contestant.name, job.contestant.inference
        return run_once(self.config(*job), self.workdir(job), name, inference)

    def is_finished(self, job: Job) -> bool:
        """Return whether the scores of a run are there.

        Args:
            job: The run.
        """
        return (self.workdir(job) / f"{job.contestant.name}.json").exists()

    def is_ready(self, job: Job) -> bool:
        """Return whether the run can begin: what it starts from is there.

        Args:
            job: The run.
        """
        del job
        return True

    def workdir(self, job: Job) -> Path:
        """Return the folder of a run.

        Args:
            job: The run.
        """
        unlike = {"steps": job.budget, "rate": job.rate}
        group = "_".join(f"{times:g}x_{what}" for what, times in unlike.items() if times != 1)
        return self.folder / group / f"{job.contestant.run_name}_seed{job.seed}"


def cost(config: ConfigDict) -> Cost:
    """Count what a network costs for one image of the size that it is trained on."""
    source = data.open_split(config.data.val, config.data)
    model = models.create_model(**config.model, num_classes=len(source.class_names))
    return network_cost(model, config.augment.crop_size)


def score(workdir: Path, config: ConfigDict, inference: str = "single") -> Result:
    """Score the last checkpoint of a run on its validation split.

    Args:
        workdir: The folder of the run.
        config: The settings of the run.
        inference: A key of `recipes.INFERENCES`.

    Returns:
        The `METRICS`, "per_class_iou", "num_classes_counted", "absent_classes",
            "boundary_iou_num_classes_counted", "parameters", "steps" and, for `shapes` and its kin,
            "cue": counts of pixels `[2, bins]`, all and right ones, by the distance to the cue that
            tells their class, in `CUE_BINS` bins for 128 pixels of width.
    """
    pretrained = models.load_pretrained(workdir, step="last")
    extra = ("cue_distance",) if config.data.val.startswith("shapes") else ()
    source = data.open_split(config.data.val, config.data, extra)
    predictor = Predictor(
        pretrained,
        inference=INFERENCES[inference],
        batch_size=config.eval_batch_size,
        mesh=mesh.data_mesh(jax.local_devices()),
    )
    num_bins = CUE_BINS * source[0]["label"].shape[1] // 128
    cue = np.zeros((2, num_bins), np.int64)

    def count_cues(example: Mapping[str, Any], prediction: np.ndarray) -> None:
        distance, label = example["cue_distance"], example["label"]
        told = distance != NO_CUE
        bins = np.minimum(distance // CUE_STEP, num_bins - 1)
        for row, where in enumerate((told, told & (prediction == label))):
            cue[row] += np.bincount(bins[where], minlength=num_bins)

    result = evaluate(predictor, source, boundary=True, visit=count_cues if extra else None)
    values = result.to_json()
    borders = values["boundary"]
    scores = {name: values.get(name, borders.get(name)) for name in METRICS}
    scores[BOUNDARY_COUNTED] = borders[BOUNDARY_COUNTED]
    for name in ("per_class_iou", "num_classes_counted", "absent_classes"):
        scores[name] = values[name]
    scores["parameters"] = sum(
        leaf.size for leaf in jax.tree.leaves(pretrained.variables["params"])
    )
    scores["steps"] = pretrained.step
    if extra:
        scores["cue"] = cue.tolist()
    return scores


def _read(path: Path, config: ConfigDict) -> Result:
    """Read the scores of a finished run, which must have had these settings."""
    result = json.loads(path.read_text())
    for key, (before, now) in differing_settings(result["settings"], config).items():
        if key not in _WITHOUT_EFFECT:
            raise UserError(
                f"{path} was made with {key} = {before}, not {now}; name another --output"
            )
    return result
