"""Studies of networks.

python -m gcn_jax.analysis receptive-field --ckpt DIR [--compare DIR]   what they see
"""

import sys

from gcn_jax import cli
from gcn_jax.analysis import receptive_field_command
from gcn_jax.errors import UserError, check_choice

_COMMANDS = {"receptive-field": receptive_field_command.run}


def main(argv):
    """Run a command with its own flags, which stand behind it."""
    if len(argv) < 2:
        raise UserError(f"give a command: {', '.join(_COMMANDS)}")
    check_choice("command", argv[1], _COMMANDS)
    _COMMANDS[argv[1]](argv[2:])


if __name__ == "__main__":
    sys.argv.insert(2, "--")  # what follows are flags of the command
    cli.run(main)
