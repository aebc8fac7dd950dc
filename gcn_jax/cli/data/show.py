"""Write a page of images with their labels.

    gcn-jax data show my_data:val
    gcn-jax data show camvid --augmented --config.augment.crop_size="(160, 224)"
    gcn-jax data show --augmented --config folder --config.data.manual_dir=my_data

Without a split that of training is shown. With --augmented these are the images of the first
batches of training, as --config has them (then without a name), or with a name the default
settings; --config.augment.KEY=VALUE changes them.
"""

from pathlib import Path

from absl import flags

from gcn_jax.cli.config_flag import define_config
from gcn_jax.cli.flags import define_data_flags, resolve_data_set
from gcn_jax.errors import UserError
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()
_SETTINGS = define_data_flags(FLAGS)
CONFIG = define_config(FLAGS, "The settings of a run; what it trains on is shown.", required=False)
flags.DEFINE_bool("augmented", False, "Show the images as training sees them.", flag_values=FLAGS)
flags.DEFINE_integer("num_images", 24, "How many images.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("seed", None, "The seed; by default the config's, or 0.", flag_values=FLAGS)
flags.DEFINE_string("output", "contact_sheet.html", "The page to write.", flag_values=FLAGS)


def run(arguments: list[str]) -> None:
    """Write the page."""
    from gcn_jax import report  # not sooner: slow to import
    from gcn_jax.data import list_data_sets

    if len(arguments) + (CONFIG.path is not None) != 1:
        names = ", ".join(list_data_sets())
        raise UserError(f"show needs either one NAME[:SPLIT] or --config=FILE; names: {names}")
    config = CONFIG.value
    with config.unlocked():
        config.data.update(_SETTINGS())
    if CONFIG.path is not None:
        view = report.config_view(config, Path("runs") / CONFIG.name, FLAGS.augmented)
    else:
        name, _, split = arguments[0].partition(":")
        name, settings = resolve_data_set(name, config.data)
        augment = config.augment if FLAGS.augmented else None
        view = report.split_view(f"{name}:{split or 'train'}", settings, augment)
    if FLAGS.seed is not None:
        view = view._replace(seed=FLAGS.seed)
    say(f"wrote {report.contact_sheet(view, FLAGS.output, num_images=FLAGS.num_images)}")
