"""Whole runs, compared: their states, metrics and checkpoints."""

import dataclasses

import jax
import numpy as np
import optax

from configs import quickstart
from gcn_jax import models
from gcn_jax.data.shapes import world
from gcn_jax.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from gcn_jax.models.pretrained.info import ModelInfo, write_info
from gcn_jax.training.checkpoints import Checkpoints
from gcn_jax.training.metrics_log import WAIT_METRIC
from gcn_jax.training.state import create_state
from gcn_jax.workdir import Workdir

#: The model of a small workdir that is written by hand.
INFO = ModelInfo(
    name="_tiny",
    fields={"num_classes": 3},
    class_names=("background", "square", "disc"),
    palette=((0, 0, 0), (128, 0, 0), (0, 128, 0)),
    mean=(100.0, 110.0, 120.0),
    std=(1.0, 2.0, 3.0),
)

#: One of few arrays, each of which takes its time.
SMALL = dataclasses.replace(INFO, name="classifier", fields={"num_classes": 3, "backbone": "_tiny"})


def write_untrained(workdir, info, step, miou):
    """Write the workdir of a run that ended at a step with a score, its weights as they began."""
    workdir.mkdir(parents=True)
    write_info(workdir, info)
    model = models.create_model(info.name, **info.fields)
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(
            step, create_state(model, optax.identity(), jax.random.key(0), ema=False), {}
        )
        checkpoints.add_scores(step, {"val/miou": miou})


def write_quickstart(workdir):
    """Write the workdir of the quick start, its network as it is before training."""
    fields = {**quickstart.get_config().model, "num_classes": len(world.CLASS_NAMES)}
    palette = tuple((20 * i, 255 - 20 * i, 0) for i in range(len(world.CLASS_NAMES)))
    name = fields.pop("name")
    info = ModelInfo(name, fields, world.CLASS_NAMES, palette, IMAGENET_MEAN, IMAGENET_STD)
    write_untrained(workdir, info, step=2, miou=0.1)


def assert_identical(left, right):
    """Compare two pytrees bit by bit."""
    jax.tree.map(np.testing.assert_array_equal, left, right)


def timeless(workdir):
    """The lines of the metrics without what a clock says."""
    clock = ("train/images_per_second", WAIT_METRIC)
    return [
        {name: value for name, value in line.items() if name not in clock}
        for line in Workdir(workdir).read_metrics()
    ]


def changed(config, **settings):
    """Return a copy of a config with other settings, by their dotted names."""
    config = config.copy_and_resolve_references()
    config.update_from_flattened_dict(settings)
    return config


def kept_steps(workdir):
    """Return the steps whose checkpoints a workdir holds."""
    return {int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()}
