"""The command `gcn-jax VERB`: finds the verb, shows its help, ends the process with its code.

Only the module of the verb that was typed is imported, and nothing before Ctrl-C is taken care of.
To add a verb: a file, and its line here.
"""

import importlib
import keyword
import sys
from collections.abc import Sequence
from pathlib import Path

from gcn_jax import __version__, extras
from gcn_jax.cli.ctrl_c import end_imports_at_once

#: The module of each (`module_of`) has a docstring that begins with a line that says what it does.
VERBS = (
    "train",
    "evaluate",
    "predict",
    "import",
    "export",
    "demo",
    "data prepare",
    "data convert",
    "data validate",
    "data show",
    "configs",
    "report",
    "verify",
    "compare",
    "crf-search",
    "analysis table",
    "analysis compare",
    "analysis pictures",
    "analysis borders",
    "analysis receptive-field",
    "analysis valid-field",
    "analysis complexity",
)
_HELP = ("--help", "-h", "help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb of a command line and end the process where it fails.

    Args:
        arguments: The words after `gcn-jax`; those of the process if None.
    """
    end_imports_at_once()
    from gcn_jax.cli import process

    words = list(sys.argv[1:] if arguments is None else arguments)
    process.one_line_for_user_errors(lambda: _run(words))


def module_of(verb: str) -> str:
    """Return the module of a verb within `gcn_jax.cli`: "data show" is `data.show`.

    A hyphen becomes an underscore, and one follows a word of Python itself, such as `import_`.

    Args:
        verb: One of `VERBS`.
    """
    words = verb.replace("-", "_").split()
    return ".".join(f"{word}_" if keyword.iskeyword(word) else word for word in words)


def _run(words: list[str]) -> None:
    from gcn_jax.cli import process
    from gcn_jax.cli.help_text import help_text

    if words == ["--version"]:
        print(f"gcn-jax {__version__}")
        return
    name = next((name for name in VERBS if name.split() == words[: len(name.split())]), None)
    if name is None:
        _explain(words)
        return
    with extras.explained():
        verb = importlib.import_module(f"gcn_jax.cli.{module_of(name)}")
    arguments = words[len(name.split()) :]
    if "--help" in arguments or "-h" in arguments:
        print(help_text(name, verb))
    else:
        process.run_verb(verb, arguments)


def _explain(words: list[str]) -> None:
    """List the verbs, or those of a group; exit with code 2 unless that was asked for."""
    from gcn_jax.cli import process
    from gcn_jax.errors import check_choice

    group = words[0] if words and any(name.startswith(f"{words[0]} ") for name in VERBS) else ""
    rest = words[1:] if group else words
    shown = [name for name in VERBS if name.startswith(group)]
    if rest and rest[0] in _HELP:
        print(_listing(group, shown))
        return
    print(_listing(group, shown), file=sys.stderr)
    if rest:
        first_words = [name.removeprefix(group).split()[0] for name in shown]
        check_choice(f"{group} verb".strip(), rest[0], dict.fromkeys(first_words))
    sys.exit(process.USER_ERROR_CODE)


def _listing(group: str, names: Sequence[str]) -> str:
    from gcn_jax.cli.help_text import first_line

    width = max(map(len, names))
    lines = [f"usage: {' '.join(filter(None, ('gcn-jax', group, 'VERB')))} ...", ""]
    for name in names:
        file = Path(__file__).parent / f"{module_of(name).replace('.', '/')}.py"
        lines.append(f"  gcn-jax {name:<{width}}  {first_line(file)}")
    return "\n".join([*lines, "", "Each says more with --help."])
