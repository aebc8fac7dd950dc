"""Compare two evaluations of the same images: which is better, class by class, and is it noise.

    gcn-jax compare A.json B.json [--json FILE] [--report FILE]

A and B are written by `gcn-jax evaluate --json`.
"""

import json

from absl import flags

from gcn_jax import atomic
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.evaluation.compare import compare
from gcn_jax.evaluation.results import read_image_sums
from gcn_jax.sessions import Session
from gcn_jax.terminal import make_console, say

FLAGS = flags.FlagValues()
flags.DEFINE_string("json", None, "File to write the comparison to.", flag_values=FLAGS)
flags.DEFINE_string("report", None, "HTML file to write.", flag_values=FLAGS)


def run(arguments: list[str]) -> None:
    """Compare run B with run A and print the table."""
    expect_arguments(arguments, "A.json B.json, which `gcn-jax evaluate --json` writes", 2)
    runs = [read_image_sums(path) for path in arguments]
    comparison = compare(*runs)
    make_console().print(comparison.table())
    if FLAGS.json:
        values = {"files": {"a": arguments[0], "b": arguments[1]}, **comparison.to_json()}
        atomic.write(FLAGS.json, json.dumps(values, indent=2) + "\n")
        say(f"wrote {FLAGS.json}")
    if FLAGS.report:
        from gcn_jax import report  # not sooner: its plotting library is slow to import

        command = ["gcn-jax", "compare", *process.typed_words()]
        report.comparison_report(comparison, runs, FLAGS.report, Session.begin(command, []))
        say(f"wrote {FLAGS.report}")
