"""The studies of the paper, and tools to look at a network.

python -m gcn_jax.analysis table 1|2|3|4|5|7        train what a table of the paper compares
python -m gcn_jax.analysis compare                  train all systems under one budget
python -m gcn_jax.analysis pictures                 draw what several runs predict
python -m gcn_jax.analysis receptive-field          what a network could see, and what it looks at
python -m gcn_jax.analysis complexity               parameters, FLOPs and memory of a network

Each says more with --help.
"""

import importlib
import sys

from gcn_jax.cli import process
from gcn_jax.errors import UserError, check_choice

#: Each is a module of this package with a function `run(arguments)`.
_COMMANDS = ("table", "compare", "pictures", "receptive-field", "complexity")


def main(arguments: list[str]) -> None:
    """Run a command."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(0 if arguments else process.USER_ERROR_CODE)
    command, *rest = arguments
    check_choice("command", command, _COMMANDS)
    module = importlib.import_module(f"gcn_jax.cli.analysis.{command.replace('-', '_')}")
    try:
        module.run(rest)
    except UserError as error:
        # Messages about settings name the flags of train.py.
        raise UserError(str(error).replace("--config.", "--set ")) from None


if __name__ == "__main__":
    # Every command has flags of its own.
    process.run(lambda argv: main(sys.argv[1:]), argv=sys.argv[:1])
