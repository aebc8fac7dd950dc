"""List the recipes that come with the package, or copy one to edit.

    gcn-jax configs
    gcn-jax configs copy folder my_recipe.py
    gcn-jax train --config my_recipe.py

A recipe is a Python file whose get_config() returns the settings of a run.
"""

from pathlib import Path

from absl import flags

from gcn_jax import atomic
from gcn_jax.cli.config_flag import recipes
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.cli.help_text import first_line
from gcn_jax.errors import UserError, check_choice
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()


def run(arguments: list[str]) -> None:
    """Print the recipes, or write a copy of one."""
    known = recipes()
    if arguments:
        check_choice("verb of gcn-jax configs", arguments[0], ("copy",))
        expect_arguments(arguments[1:], "NAME FILE: a name of `gcn-jax configs`, a new file", 2)
        _, name, path = arguments
        check_choice("recipe", name, known)
        if Path(path).exists():
            raise UserError(f"{path} exists already; name another file")
        atomic.write(path, known[name].read_text())
        say(f"wrote {path}; train with it by `gcn-jax train --config {path}`")
        return
    width = max(map(len, known))
    for name, file in known.items():
        say(f"{name:<{width}}  {first_line(file)}")
