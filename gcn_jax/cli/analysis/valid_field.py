"""Draw the valid receptive fields of networks above a noise floor, over images and trainings.

    gcn-jax analysis valid-field --ckpt runs/baseline0,runs/baseline1,runs/gcn0,runs/gcn1

Runs whose settings are equal but for the seed are one network: A, B and so on. All look at the same
objects, of every class in turn, one in an image, and at the images enlarged by each of --scales.
Pieces of the image cover it place by place, and a place counts where that moves the score of the
object's class more than those of the classes that are absent: tested over the images, at a false
discovery rate of 5 %. The folder --output has valid_field.png, where lines enclose 50, 80 and 95 %
of what is above that floor, and valid_field.csv, the areas within these lines with 95 % intervals:
of all objects, and of those whose pixel every run classifies rightly.

Places are as large as --patch, by default a sixteenth of the shortest side of any image, and grow
with the image. More images say more than as many more draws; ten are too few.
"""

import csv
import io
import itertools
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from gcn_jax import atomic, models
from gcn_jax.analysis.receptive_field.evidence import (
    MIN_IMAGES,
    SHARES,
    Response,
    mass_above_floor,
    measure_area,
    respond,
)
from gcn_jax.analysis.receptive_field.figures import Evidence, evidence_panels
from gcn_jax.analysis.receptive_field.sight import Scene, scenes_of_all_classes
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments, run_names
from gcn_jax.errors import UserError, check_choice
from gcn_jax.terminal import progress, say
from gcn_jax.training.run_data import open_run_data
from gcn_jax.workdir import Workdir

FLAGS = flags.FlagValues()
flags.DEFINE_list("ckpt", [], "Workdirs of training runs.", flag_values=FLAGS)
flags.DEFINE_string("split", None, "By default that of validation.", flag_values=FLAGS)
flags.DEFINE_integer("images", 50, "How many images.", MIN_IMAGES, flag_values=FLAGS)
flags.DEFINE_string("class", None, "Of the objects; by default all in turn.", flag_values=FLAGS)
flags.DEFINE_list("scales", ["1", "2", "4"], "Factors of the images' sides.", flag_values=FLAGS)
flags.DEFINE_integer("patch", None, "Side of a place, in pixels at x 1.", 1, flag_values=FLAGS)
flags.DEFINE_integer("draws", 1, "Pieces for each place of an image.", 1, flag_values=FLAGS)
flags.DEFINE_string("output", "valid_field", "Folder to write to.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)

_HEADS = (
    "network", "runs", "scale", "objects", "images", "right", "share", "area_px",
    "runs_low", "runs_high", "images_low", "images_high", "object_share",
)  # fmt: skip


class _Group(NamedTuple):
    """Workdirs whose settings are equal but for the seed, and what they are called."""

    name: str
    paths: list[str]


def run(arguments: list[str]) -> None:
    """Cover, test, draw and write."""
    expect_arguments(arguments, "", 0)
    if not FLAGS.ckpt:
        raise UserError("valid-field needs --ckpt=DIR,DIR,..., the workdirs of runs")
    scales, groups = _scales(), _groups(FLAGS.ckpt)
    scenes = _scenes()
    sides = [scene.body.shape for scene in scenes]
    patch = FLAGS.patch or max(1, round(min(map(min, sides)) / 16))
    if patch > min(map(min, sides)):
        raise UserError(f"--patch={patch} is larger than the smallest image; give less")
    longest = max(map(max, sides))
    reach = max(math.ceil(scale * longest / round(scale * patch)) for scale in scales)

    found: dict[tuple[str, float], list[Response]] = {}
    total = len(FLAGS.ckpt) * len(scales) * len(scenes)
    with progress("covering") as show:
        done = itertools.count(1)
        for group in groups:
            for path in group.paths:
                pretrained = models.load_pretrained(path)
                for scale in scales:
                    responses = found[path, scale] = []
                    for i, scene in enumerate(scenes):
                        responses.append(
                            respond(
                                pretrained.model,
                                pretrained.variables,
                                scene if scale == 1 else scene.enlarged(scale),
                                patch=round(scale * patch),
                                reach=reach,
                                draws=FLAGS.draws,
                                seed=i,
                            )
                        )
                        show(next(done), total)
    rows: list[tuple[object, ...]] = [_HEADS]
    panels: list[list[Evidence]] = []
    for scale in scales:
        right = np.array([[one.is_right for one in found[path, scale]] for path in FLAGS.ckpt])
        by_all = np.asarray(right.all(axis=0))
        panels.append([])
        for letter, group in zip(_letters(), groups, strict=False):
            ours = [found[path, scale] for path in group.paths]
            title = f"{letter}  {group.name}, image x {scale:g}"
            panels[-1].append(_panel(title, ours, round(scale * patch), scenes, scale))
            for objects, chosen in (("all", np.ones_like(by_all)), ("right by all", by_all)):
                rows += _rows(group, ours, scale, objects, chosen, round(scale * patch))
        if by_all.sum() < MIN_IMAGES:
            say(
                f"x {scale:g}: all runs are right at {by_all.sum()} of {len(scenes)} objects, too "
                "few to test"
            )
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    files: dict[str, str | bytes] = {
        "valid_field.png": evidence_panels(panels),
        "valid_field.csv": table.getvalue(),
    }
    for name, content in files.items():
        atomic.write(Path(FLAGS.output) / name, content)
        say(f"wrote {Path(FLAGS.output) / name}")


def _scales() -> list[float]:
    try:
        scales = [float(text) for text in FLAGS.scales]
    except ValueError:
        scales = []
    if not scales or not all(1 <= scale < math.inf for scale in scales):
        raise UserError(f"--scales={','.join(FLAGS.scales)}: give factors from 1 on, such as 1,2,4")
    return list(dict.fromkeys(scales))


def _groups(paths: Sequence[str]) -> list[_Group]:
    """Put runs together whose settings are equal but for the seed."""
    members: dict[str, dict[str, str]] = {}
    for name, path in zip(run_names(paths), paths, strict=True):
        settings = {k: v for k, v in Workdir(path).read_config().items() if k != "seed"}
        members.setdefault(json.dumps(settings, sort_keys=True), {})[name] = path
    return [_Group(_common_name([*group]), [*group.values()]) for group in members.values()]


def _common_name(names: list[str]) -> str:
    """Return what names of runs begin with, without "seed" at its end."""
    if len(names) == 1:
        return names[0]
    common = os.path.commonprefix(names)
    return re.sub(r"[_.-]*(seed\d*)?$", "", common) or names[0]


def _letters() -> Iterator[str]:
    return (chr(ord("A") + i) if i < 26 else str(i) for i in itertools.count())


def _scenes() -> list[Scene]:
    source = open_run_data(FLAGS.ckpt[0], FLAGS.split)
    if not source.is_labelled:
        raise UserError(f"{source.name} has no labels to find objects by")
    for path in FLAGS.ckpt[1:]:
        if models.read_info(path).class_names != tuple(source.class_names):
            raise UserError(f"the model of {path} has other classes than {source.name}")
    name, number = FLAGS["class"].value, None
    if name is not None:
        check_choice("--class", name, source.class_names)
        number = source.class_names.index(name)
    examples = (source[i] for i in range(len(source)))
    scenes = scenes_of_all_classes(examples, len(source.class_names), FLAGS.images, number)
    if len(scenes) < FLAGS.images:
        raise UserError(
            f"{source.name} has {len(scenes)} images with {name or 'an object'} and without some "
            f"other class, not {FLAGS.images}; lower --images"
        )
    return scenes


def _panel(
    title: str, runs: list[list[Response]], patch: int, scenes: list[Scene], scale: float
) -> Evidence:
    body = np.mean([response.body for response in runs[0]], axis=0) / patch**2
    longest = scale * max(max(scene.body.shape) for scene in scenes)
    return Evidence(title, mass_above_floor(_excess(runs).mean(axis=0)), body, patch, longest / 2)


def _excess(runs: list[list[Response]]) -> np.ndarray:
    return np.array([[response.excess for response in responses] for responses in runs])


def _rows(
    group: _Group,
    runs: list[list[Response]],
    scale: float,
    objects: str,
    chosen: np.ndarray,
    patch: int,
) -> list[tuple]:
    """Return the lines of the table about some of the images; none where these are too few."""
    if chosen.sum() < MIN_IMAGES:
        return []
    excess, body = _excess(runs)[:, chosen], np.array([one.body for one in runs[0]])[chosen]
    right = np.mean([[one.is_right for one in responses] for responses in runs], axis=0)[chosen]
    rows = []
    for share in SHARES:
        area = measure_area(excess, body, patch, share)
        ends = [f"{end:.0f}" if math.isfinite(end) else "" for end in (*area.runs, *area.images)]
        rows.append(
            (
                group.name, len(runs), f"{scale:g}", objects, len(excess[0]),
                f"{right.mean():.3f}", share, area.pixels, *ends, f"{area.object_share:.3f}",
            )
        )  # fmt: skip
    return rows
