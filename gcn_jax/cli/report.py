"""Write the page about a training run again, such as of one in a place that cannot be written.

    gcn-jax report --ckpt runs/quickstart --output page.html

Nothing is written into the run's folder unless the page is to lie there.
"""

from absl import flags

from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()
flags.DEFINE_string("ckpt", None, "Workdir of a training run.", required=True, flag_values=FLAGS)
flags.DEFINE_string("output", "report.html", "The page to write.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Evaluate the best checkpoint and write the page."""
    from gcn_jax.report import training_report  # not sooner: --help needs no plotting library

    expect_arguments(arguments, "", 0)
    say(f"report: {training_report(FLAGS.ckpt, FLAGS.output)}")
