"""Write a page of images with their labels.

    gcn-jax data show my_data:val
    gcn-jax data show camvid --augmented --augment.crop_size="(160, 224)"
    gcn-jax data show --augmented --config configs/folder.py --config.data.manual_dir=my_data

Without a split that of training is shown. With --augmented these are the images of the first
batches of training, as --config (then without a name) or --augment.KEY=VALUE has them.
"""

import dataclasses
from pathlib import Path
from typing import Any

from absl import flags

from gcn_jax import report
from gcn_jax.analysis.studies.recipes import read_value
from gcn_jax.cli.config_flag import config_path, define_config
from gcn_jax.cli.flags import define_data_flags, resolve_data_set
from gcn_jax.data import list_data_sets
from gcn_jax.data.transforms import Augment
from gcn_jax.errors import UserError
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()
_SETTINGS = define_data_flags(FLAGS)
_CONFIG = define_config(FLAGS, "The settings of a run; what it trains on is shown.", required=False)
flags.DEFINE_bool("augmented", False, "Show the images as training sees them.", flag_values=FLAGS)
_AUGMENT = {
    field.name: flags.DEFINE_string(
        f"augment.{field.name}",
        None,
        f"How they are augmented, without --config: as config.augment.{field.name}.",
        flag_values=FLAGS,
    )
    for field in dataclasses.fields(Augment)
    if field.name != "fill"  # the mean that a model subtracts
}
flags.DEFINE_integer("num_images", 24, "How many images.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("seed", None, "The seed; by default the config's, or 0.", flag_values=FLAGS)
flags.DEFINE_string("output", "contact_sheet.html", "The page to write.", flag_values=FLAGS)


def run(arguments: list[str]) -> None:
    """Write the page."""
    if len(arguments) + (_CONFIG.value is not None) != 1:
        names = ", ".join(list_data_sets())
        raise UserError(f"show needs either one NAME[:SPLIT] or --config=FILE; names: {names}")
    if arguments:
        name, _, split = arguments[0].partition(":")
        name, settings = resolve_data_set(name, _SETTINGS())
        augment = _augment() if FLAGS.augmented else None
        view = report.split_view(f"{name}:{split or 'train'}", settings, augment)
    else:
        workdir = Path("runs") / config_path(FLAGS).stem
        view = report.config_view(_CONFIG.value, workdir, FLAGS.augmented)
    if FLAGS.seed is not None:
        view = view._replace(seed=FLAGS.seed)
    say(f"wrote {report.contact_sheet(view, FLAGS.output, num_images=FLAGS.num_images)}")


def _augment() -> dict[str, Any]:
    """Return the `augment` section that the flags describe; what they leave out is off."""
    given = {name: flag.value for name, flag in _AUGMENT.items() if flag.value is not None}
    return {name: read_value(text) for name, text in given.items()}
