"""Check every checkpoint of a run: is it what was written?

    gcn-jax verify runs/camvid

Exits with code 1 where one is damaged; training and evaluation then use the one before.
"""

import sys

from absl import flags

from gcn_jax.cli.flags import expect_arguments
from gcn_jax.models.pretrained.verify import verify
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()


def run(arguments: list[str]) -> None:
    """Print a line for each checkpoint."""
    expect_arguments(arguments, "DIR, the workdir of a run", 1)
    problems = verify(arguments[0])
    for step, problem in problems.items():
        say(f"step {step}: {problem or 'whole'}")
    if any(problems.values()):
        sys.exit(1)
