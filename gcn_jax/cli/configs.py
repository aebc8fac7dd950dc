"""List the recipes that come with the package, or copy one to edit.

gcn-jax configs
gcn-jax configs copy folder my_recipe.py
gcn-jax train --config my_recipe.py
"""

import ast
from pathlib import Path

from absl import flags

from gcn_jax import atomic
from gcn_jax.cli.config_flag import recipes
from gcn_jax.cli.flags import expect_arguments
from gcn_jax.errors import UserError, check_choice
from gcn_jax.terminal import say

FLAGS = flags.FlagValues()


def run(arguments: list[str]) -> None:
    """Print the recipes, or write a copy of one."""
    known = recipes()
    if arguments:
        verb, *rest = arguments
        check_choice("verb of configs", verb, ("copy",))
        expect_arguments(rest, "a NAME of `gcn-jax configs` and a FILE to write", 2)
        name, path = rest
        check_choice("recipe", name, known)
        if Path(path).exists():
            raise UserError(f"{path} exists already; name another file")
        atomic.write(path, known[name].read_text())
        say(f"wrote {path}; train with it by `gcn-jax train --config {path}`")
        return
    width = max(map(len, known))
    for name, file in known.items():
        summary = (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n\n")[0]
        say(f"{name:<{width}}  {' '.join(summary.split())}")
