"""The flag `--config`: a recipe by its name or its path, and settings that change it.

ml_collections parses it. What a user can get wrong is looked at before, since it answers a name
that does not exist with the bare name.
"""

import difflib
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from gcn_jax.errors import UserError

#: The command line that ml_collections looks for `--config.key=value` in: that of the last call.
_words: list[str] = []


def define_config(values: flags.FlagValues, help_text: str, required: bool) -> flags.FlagHolder:
    """Define `--config` and, with it, `--config.key=value`.

    Args:
        values: The flags of a verb.
        help_text: What the settings are for.
        required: Whether there is no way without.

    Returns:
        The holder of the settings, a locked `ConfigDict`.
    """
    holder = config_flags.DEFINE_config_file(
        "config",
        None,
        f"{help_text} A name of `gcn-jax configs`, or a file; --config.KEY=VALUE changes one.",
        flag_values=values,
        lock_config=True,
        sys_argv=_words,
    )
    if required:
        flags.mark_flag_as_required("config", flag_values=values)
    return holder


def config_path(values: flags.FlagValues) -> Path:
    """Return the path of the file that `--config` named."""
    return Path(config_flags.get_config_filename(values["config"]))


def recipes() -> dict[str, Path]:
    """Return the recipes of the package, by name: the files of `gcn_jax.configs`."""
    spec = importlib.util.find_spec("gcn_jax.configs")
    folders = spec.submodule_search_locations if spec else None
    paths = sorted(Path(folder) for folder in folders or ())
    return {
        file.stem: file
        for folder in paths
        for file in sorted(folder.glob("*.py"))
        if file.stem not in ("__init__", "common")
    }


def name_config_file(values: flags.FlagValues, words: list[str]) -> list[str]:
    """Put the path of a recipe where its name was typed, and check the settings that follow.

    Args:
        values: The flags of a verb; nothing happens where `--config` is none of them.
        words: The command line.

    Returns:
        The command line for `values`.

    Raises:
        UserError: There is no such recipe or file, it cannot be read, or there is no such setting.
    """
    if "config" not in values:
        return words
    if "--config" in words[:-1]:
        at = words.index("--config")
        words[at : at + 2] = [f"--config={words[at + 1]}"]
    for at, word in enumerate(words):
        if word.startswith("--config="):
            path = _find(word.partition("=")[2])
            words[at] = f"--config={path}"
            _check_settings(words, _read(path))
    _words[:] = words
    return words


def _find(name: str) -> Path:
    known = recipes()
    path = Path(name)
    if path.is_file():
        return path
    if name in known:
        return known[name]
    if path.suffix == ".py" or len(path.parts) > 1:
        raise UserError(f"--config={name}: no such file")
    close = difflib.get_close_matches(name, known)
    hint = f" (did you mean {' or '.join(close)}?)" if close else ""
    raise UserError(
        f"--config={name}: there is no such recipe{hint} and no such file; `gcn-jax configs` lists "
        "the recipes"
    )


def _read(path: Path) -> ConfigDict:
    """Read a config file as ml_collections does, for what it has."""
    spec = importlib.util.spec_from_file_location("get_config_of_a_file", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--config={path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:  # whatever a file of the user's raises
        where = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserError(f"--config={path}: {where}{type(error).__name__}: {reason}") from None
    if not callable(getattr(module, "get_config", None)):
        raise UserError(f"--config={path} has no function get_config() that returns the settings")
    config = module.get_config()
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"--config={path}: get_config() returns {type(config).__name__}, not a ConfigDict; "
            "begin with gcn_jax.training.default_config()"
        )
    return config


def _check_settings(words: list[str], config: ConfigDict) -> None:
    """Raise `UserError` for `--config.key=value` whose key is no setting; name the nearest."""
    for word in words:
        if not (match := re.match(r"--(?:no)?config\.([^=]*)", word)):
            continue
        key = match[1]
        node = config
        for part in key.split("."):
            if not isinstance(node, ConfigDict) or part not in node:
                raise UserError(f"{word}: there is no setting {key!r}; {_nearest(key, config)}")
            node = node._fields[part]
        if isinstance(node, ConfigDict):
            names = ", ".join(f"{key}.{name}" for name in node)
            raise UserError(f"{word}: {key} is a section; its settings are {names}")


def _nearest(key: str, config: ConfigDict) -> str:
    names = list(_names(config))
    last = key.rpartition(".")[2]
    by_last = {name: name.rpartition(".")[2] for name in names}
    close = [
        *difflib.get_close_matches(key, names, n=2),
        *(name for name in names if by_last[name] == last),
        *(name for name in names if difflib.get_close_matches(last, [by_last[name]], cutoff=0.7)),
    ]
    if not close:
        return f"the settings are {', '.join(names)}"
    return f"did you mean {' or '.join(list(dict.fromkeys(close))[:3])}?"


def _names(config: Mapping[str, object], prefix: str = "") -> list[str]:
    names = []
    for name in config:
        value = config._fields[name] if isinstance(config, ConfigDict) else config[name]
        if isinstance(value, ConfigDict):
            names += _names(value, f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
    return names
