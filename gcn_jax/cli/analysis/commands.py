"""What the commands of `python -m gcn_jax.analysis` share: flags, KEY=VALUE, names of runs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from gcn_jax.analysis.studies.recipes import read_value
from gcn_jax.errors import UserError


def parse_flags(
    values: flags.FlagValues, arguments: Sequence[str], usage: str, positional: int = 0
) -> list[str]:
    """Parse the flags of a command.

    Args:
        values: The command's flags, which get their values.
        arguments: What was typed after the command.
        usage: What is printed for `--help`, which ends the process.
        positional: How many arguments may be no flags.

    Returns:
        What is no flag.

    Raises:
        UserError: A flag is unknown, its value makes no sense, or there are more arguments.
    """
    if "--help" in arguments or "-h" in arguments:
        print(usage)
        sys.exit(0)
    try:
        rest = values(["", *arguments])[1:]
    except flags.Error as error:
        raise UserError(str(error)) from None
    if len(rest) > positional:
        raise UserError(f"unexpected argument {rest[positional]!r}; --help lists what there is")
    return rest


def key_and_value(flag: str, text: str) -> tuple[str, Any]:
    """Split KEY=VALUE, what a flag was given, and read the value.

    Raises:
        UserError: There is no =.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{flag}={text} is not KEY=VALUE, such as kernel_size=7")
    return key, read_value(value)


def run_names(paths: Sequence[str]) -> list[str]:
    """Call runs as their folders, with as many folders above as tell them apart.

    Args:
        paths: Their workdirs.

    Raises:
        UserError: Two are the same folder.
    """
    folders = [Path(path).resolve() for path in paths]
    for i, path in enumerate(paths):
        if folders[i] in folders[:i]:
            raise UserError(f"the run {path} is named twice; name each run once")
    depth = 1
    while len({folder.parts[-depth:] for folder in folders}) < len(folders):
        depth += 1
    return ["_".join(folder.parts[-depth:]) for folder in folders]
