"""`python -m gcn_jax.evaluation compare A.json B.json`: which run is better, and is it noise."""

import json
from collections.abc import Sequence

from absl import flags
from rich.console import Console

from gcn_jax import atomic
from gcn_jax.cli import process
from gcn_jax.errors import UserError
from gcn_jax.evaluation.compare import compare
from gcn_jax.evaluation.results import read_image_sums

_JSON = flags.DEFINE_string("json", None, "File to write the comparison to.")

_USAGE = (
    "usage: python -m gcn_jax.evaluation compare A.json B.json [--json FILE]; "
    "A and B are written by `python evaluate.py --json`"
)


def main(argv: Sequence[str]) -> None:
    """Compare run B with run A and print the table."""
    verb, *paths = argv[1:] or [""]
    if verb != "compare" or len(paths) != 2:
        raise UserError(_USAGE)
    comparison = compare(*map(read_image_sums, paths))
    Console().print(comparison.table())
    if _JSON.value:
        values = {"files": {"a": paths[0], "b": paths[1]}, **comparison.to_json()}
        atomic.write(_JSON.value, json.dumps(values, indent=2) + "\n")
        print(f"wrote {_JSON.value}")


if __name__ == "__main__":
    process.run(main)
