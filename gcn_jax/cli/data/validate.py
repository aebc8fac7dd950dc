"""Count the classes of a data set and list all that is wrong with it, at once.

    gcn-jax data validate my_data
    gcn-jax data validate voc_segmentation --json found.json

my_data is a folder of yours, which stands for `folder --manual_dir=my_data`. The exit code is 1
where something is wrong.
"""

import json
import sys

from absl import flags

from gcn_jax import atomic
from gcn_jax.cli.flags import define_data_flags, expect_arguments, resolve_data_set
from gcn_jax.terminal import make_console

FLAGS = flags.FlagValues()
_SETTINGS = define_data_flags(FLAGS)
flags.DEFINE_string("json", None, "File to write all that was found to.", flag_values=FLAGS)


def run(arguments: list[str]) -> None:
    """Validate, print what was found, and exit with 1 where there is a problem."""
    from gcn_jax.data import list_data_sets  # not sooner: --help needs no data library
    from gcn_jax.data.validation import validate
    from gcn_jax.report.validation_table import print_validation

    names = ", ".join(list_data_sets())
    expect_arguments(arguments, f"one NAME, a folder of yours or one of: {names}", 1)
    validation = validate(*resolve_data_set(arguments[0], _SETTINGS()))
    print_validation(validation, make_console(width=None if sys.stdout.isatty() else 120))
    if FLAGS.json:
        atomic.write(FLAGS.json, json.dumps(validation.to_json(), indent=2) + "\n")
    if validation.problems:
        sys.exit(1)
