"""The command `gcn-jax VERB`: finds the verb, shows its help, ends the process with its code.

Only the module of the verb that was typed is imported. To add a verb: a file, and its line here.
"""

import importlib
import sys
from collections.abc import Sequence

from gcn_jax import __version__
from gcn_jax.cli import process
from gcn_jax.errors import check_choice

#: Verb -> what it does. Its module is `gcn_jax.cli.<words>`, with `_` for `-`.
VERBS = {
    "train": "train a network, or go on with a run",
    "evaluate": "score a trained model on a split",
    "predict": "segment images of any size",
    "data prepare": "download, check and prepare data sets",
    "data validate": "count the classes of a data set, list all that is wrong with it",
    "data show": "write a page of images with their labels",
    "configs": "list the recipes that come with the package; copy one to edit",
    "verify": "check that the checkpoints of a run are what was written",
    "compare": "say which of two evaluations is better, and whether it is noise",
    "crf-search": "find the parameters of a dense CRF for a trained model",
    "analysis table": "train what a table of the paper compares",
    "analysis compare": "train all systems under one budget",
    "analysis pictures": "draw what several runs predict for the same images",
    "analysis receptive-field": "show what a network could see, and what it looks at",
    "analysis complexity": "count parameters, FLOPs and memory of a network",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb of a command line and end the process where it fails.

    Args:
        arguments: The words after `gcn-jax`; those of the process if None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    process.one_line_for_user_errors(lambda: _run(words))


def _run(words: list[str]) -> None:
    if words in (["--version"], ["version"]):
        print(f"gcn-jax {__version__}")
        return
    name = next((name for name in VERBS if name.split() == words[: len(name.split())]), None)
    if name is None:
        _explain(words)
        return
    verb = importlib.import_module("gcn_jax.cli." + name.replace("-", "_").replace(" ", "."))
    arguments = words[len(name.split()) :]
    if "--help" in arguments or "-h" in arguments:
        print(process.help_text(name, VERBS[name], verb))
    else:
        process.run_verb(verb, arguments)


def _explain(words: list[str]) -> None:
    """List the verbs, or those of a group; exit with code 2 unless that was asked for."""
    group = words[0] if words and any(name.startswith(f"{words[0]} ") for name in VERBS) else ""
    prefix = f"{group} " if group else ""
    rest = words[1:] if group else words
    shown = {name: text for name, text in VERBS.items() if name.startswith(prefix)}
    if rest and rest[0] not in ("--help", "-h", "help"):
        firsts = dict.fromkeys(name.removeprefix(prefix).split()[0] for name in shown)
        check_choice(f"{prefix}verb", rest[0], firsts)
    width = max(map(len, shown))
    listing = "\n".join(f"  gcn-jax {name:<{width}}  {text}" for name, text in shown.items())
    text = f"usage: gcn-jax {prefix}VERB ...\n\n{listing}\n\nEach says more with --help."
    if not rest:
        print(text, file=sys.stderr)
        sys.exit(process.USER_ERROR_CODE)
    print(text)
