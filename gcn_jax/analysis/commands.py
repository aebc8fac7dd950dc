"""What the commands of `python -m gcn_jax.analysis` share: flags of their own and KEY=VALUE."""

import ast
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from gcn_jax.errors import UserError


def parse_flags(values: flags.FlagValues, arguments: Sequence[str], usage: str) -> list[str]:
    """Parse the flags of a command.

    Args:
        values: The command's flags, which get their values.
        arguments: What was typed after the command.
        usage: What is printed for `--help`, and where there is no argument.

    Returns:
        What is no flag.

    Raises:
        UserError: A flag is unknown, or its value makes no sense.
    """
    if "--help" in arguments or "-h" in arguments:
        print(usage)
        sys.exit(0)
    try:
        return values(["", *arguments])[1:]
    except flags.Error as error:
        raise UserError(str(error)) from None


def read_value(text: str) -> Any:
    """Read the value of KEY=VALUE: a number, a truth value, a tuple or else a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
