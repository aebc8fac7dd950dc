"""Compare two evaluations of the same images: which is better, class by class, and is it noise.

    gcn-jax compare A.json B.json [--json FILE]

A and B are written by `gcn-jax evaluate --json`.
"""

import json

from absl import flags

from gcn_jax import atomic
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.evaluation.compare import compare
from gcn_jax.evaluation.results import read_image_sums
from gcn_jax.terminal import make_console, say

FLAGS = flags.FlagValues()
flags.DEFINE_string("json", None, "File to write the comparison to.", flag_values=FLAGS)


def run(arguments: list[str]) -> None:
    """Compare run B with run A and print the table."""
    expect_arguments(arguments, "A.json B.json, which `gcn-jax evaluate --json` writes", 2)
    comparison = compare(*map(read_image_sums, arguments))
    make_console().print(comparison.table())
    if FLAGS.json:
        values = {"files": {"a": arguments[0], "b": arguments[1]}, **comparison.to_json()}
        atomic.write(FLAGS.json, json.dumps(values, indent=2) + "\n")
        say(f"wrote {FLAGS.json}")
