"""The texts that `--help` prints."""

import ast
import inspect
import shutil
import textwrap
from pathlib import Path
from typing import Any

from absl import flags


def first_line(file: Path) -> str:
    """Return the first line of a module's docstring, without importing it.

    Args:
        file: The module.
    """
    return (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]


def help_text(name: str, verb: Any) -> str:
    """Return what `--help` prints: the verb's docstring and its flags with their defaults.

    Args:
        name: The words of the verb, such as "data show".
        verb: Its module.
    """
    shown = {}
    for flag in (verb.FLAGS[flag_name] for flag_name in verb.FLAGS):
        shown[f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"] = flag.help + _note(flag)
    shown["--help"] = "Print this."
    width = max(map(len, shown)) + 4
    columns = min(100, shutil.get_terminal_size((100, 0)).columns)
    lines = [
        textwrap.fill(
            text,
            columns,
            initial_indent=f"  {flag_name}".ljust(width),
            subsequent_indent=" " * width,
            break_on_hyphens=False,
            break_long_words=False,
        )
        for flag_name, text in shown.items()
    ]
    return "\n".join([f"gcn-jax {name}", "", inspect.cleandoc(verb.__doc__), "", "Flags:", *lines])


def _note(flag: flags.Flag) -> str:
    if any(isinstance(flag.default, kind) and not flag.default for kind in (list, str)):
        return ""
    if flag.default is None:
        required = any("other than None" in validator.message for validator in flag.validators)
        return " Required." if required else ""
    if isinstance(flag.default, float):
        return f" (default: {flag.default:.4g})"
    return f" (default: {str(flag.default_as_str).strip(chr(39))})"
