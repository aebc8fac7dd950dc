"""The flag `--config`: a recipe by its name or its path, and settings that change it.

`--config NAME:ARGUMENT` hands an argument to the recipe's `get_config`, as ml_collections' own flag
does. It reads `--config.KEY=VALUE`; what a user can get wrong is looked at before, since it answers
a name that does not exist with the bare name.
"""

import difflib
import importlib
import importlib.util
import inspect
import re
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from gcn_jax.cli.process import plain_value_error
from gcn_jax.errors import UserError

_SETTING = re.compile(r"--?(?:no)?config\.(?P<key>[^=]*)")


class Config:
    """The settings of a verb, once its command line was taken.

    Args:
        required: Whether there are none without `--config`.

    Attributes:
        path: The file that `--config` named; None without.
        argument: What stood behind its name and a colon; None without.
        value: The settings, changed as the command line says, and locked.
    """

    path: Path | None
    argument: str | None
    value: ConfigDict

    @property
    def name(self) -> str:
        """The name of the settings, that of their file without its ending; "default" without.

        An argument follows it: "finetune_segformer_b0".
        """
        if self.path is None:
            return "default"
        return self.path.stem + (f"_{self.argument}" if self.argument else "")

    def __init__(self, required: bool):
        self._required = required

    def take(self, arguments: Sequence[str]) -> list[str]:
        """Take `--config.KEY=VALUE` out of a command line.

        Args:
            arguments: The command line.

        Returns:
            The rest; `--config` itself stays there.

        Raises:
            UserError: There is no such recipe, file or setting, or a value is not of its kind.
        """
        name = _config_of(arguments)
        self.path, self.argument = (None, None) if name is None else _find(name)
        if self.path is None and self._required:
            return list(arguments)
        self.value = _default() if self.path is None else read_config(self.path, self.argument)
        _check_names(arguments, self.value)
        _set_none(arguments, self.value)
        before = self.value.to_dict()
        settings = flags.FlagValues()
        # The flag --config itself belongs to the verb: here it is one that nobody knows.
        words = [
            re.sub(r"^--?config(?=$|=)", "--config_file", word)
            for word in arguments
            if not _is_none(word)
        ]
        try:
            config_flags.DEFINE_config_dict(
                "config", self.value, flag_values=settings, sys_argv=words
            )
            self.value = settings["config"].value
            rest = settings(["", *words], known_only=True)[1:]
        except flags.Error as error:
            raise UserError(plain_value_error(str(error))) from None
        except (
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:  # a value of another kind
            raise UserError(f"a --config.KEY=VALUE cannot be set: {error}") from None
        _check_tuples(arguments, before, self.value)
        return [re.sub(r"^--config_file(?=$|=)", "--config", word) for word in rest]


def define_config(values: flags.FlagValues, text: str, *, required: bool) -> Config:
    """Define `--config` and, with it, `--config.KEY=VALUE`.

    Args:
        values: The flags of a verb.
        text: What the settings are for.
        required: Whether there is no way without; else those of `default_config` stand for it.

    Returns:
        What `gcn_jax.cli.process` fills with the settings.
    """
    flags.DEFINE_string(
        "config",
        None,
        f"{text} A name of `gcn-jax configs`, or a file; finetune:NETWORK hands it an argument; "
        "--config.KEY=VALUE changes one.",
        required=required,
        flag_values=values,
    )
    return Config(required)


def recipes() -> dict[str, Path]:
    """Return the recipes of the package, by name: the files of `gcn_jax.configs`."""
    folder = Path(str(importlib.import_module("gcn_jax.configs").__file__)).parent
    files = sorted(folder.glob("*.py"))
    return {file.stem: file for file in files if file.stem not in ("__init__", "common")}


def read_config(path: Path, argument: str | None = None) -> ConfigDict:
    """Return what a config file's `get_config()` returns.

    Args:
        path: The file.
        argument: What `get_config` is called with; None for nothing.

    Raises:
        UserError: The file fails, has no `get_config` or one that takes no argument where there is
            one, or sets what is no setting.
    """
    spec = importlib.util.spec_from_file_location("config_file", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--config={path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, "get_config", None)):
            raise UserError("there is no function get_config() that returns the settings")
        arguments = () if argument is None else (argument,)
        if arguments and not inspect.signature(module.get_config).parameters:
            raise UserError(f"get_config() takes no argument; leave away :{argument}")
        config = module.get_config(*arguments)
    except UserError as error:
        raise UserError(f"--config={path}: {error}") from None
    except Exception as error:  # whatever a file of the user's raises
        raise UserError(f"--config={path}{_place(error, path)}") from None
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"--config={path}: get_config() returns {type(config).__name__}, not a ConfigDict; "
            "begin with gcn_jax.training.default_config()"
        )
    known = _keys(_default())
    for key in _keys(config):
        if key not in known and not key.startswith("model."):  # those are the network's to check
            raise UserError(f"--config={path}: {_no_setting(key, known)}")
    return config


def _config_of(arguments: Sequence[str]) -> str | None:
    """Return the value of the last `--config` of a command line."""
    name = None
    for at, word in enumerate(arguments):
        if word in ("--config", "-config"):
            name = arguments[at + 1] if at + 1 < len(arguments) else None
        elif match := re.match(r"--?config=(.*)", word):
            name = match[1]
    return name


def _find(name: str) -> tuple[Path, str | None]:
    """Return the file that a name stands for, and what stands behind a colon."""
    known = recipes()
    file, colon, argument = name.rpartition(":")
    for one, behind in ((name, None), (file, argument)):
        if one and Path(one).is_file():
            return Path(one), behind
        if one in known:
            return known[one], behind
    name = file if colon else name
    path = Path(name)
    if path.suffix == ".py" or len(path.parts) > 1:
        raise UserError(f"--config={name}: no such file")
    close = difflib.get_close_matches(name, known)
    hint = f" (did you mean {' or '.join(close)}?)" if close else ""
    raise UserError(
        f"--config={name}: there is no such recipe{hint} and no such file; `gcn-jax configs` lists "
        "the recipes"
    )


def _default() -> ConfigDict:
    from gcn_jax.training import default_config  # not sooner: --help needs no JAX

    return default_config()


def _place(error: Exception, path: Path) -> str:
    """Return where in a config file an error arose, and what it says."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}: {error.msg}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path
    ]
    where = f", line {lines[-1]}" if lines else ""
    return f"{where}: {type(error).__name__}: {error}"


def _check_names(arguments: Iterable[str], config: ConfigDict) -> None:
    """Raise `UserError` for `--config.KEY=VALUE` whose key is no setting."""
    known = _keys(config)
    for key in (match["key"] for match in map(_SETTING.match, arguments) if match):
        if key in known:
            continue
        inside = [name for name in known if name.startswith(f"{key}.")]
        if inside:
            raise UserError(f"--config.{key} is a section; its settings are {', '.join(inside)}")
        raise UserError(f"--config.{key}: {_no_setting(key, known)}")


def _is_none(word: str) -> bool:
    match = _SETTING.match(word)
    return match is not None and word[match.end() :] == "=None"


def _set_none(arguments: Iterable[str], config: ConfigDict) -> None:
    """Set what `--config.KEY=None` names, a text too; ml_collections would take it as one."""
    for word in filter(_is_none, arguments):
        *sections, last = word.removesuffix("=None").partition(".")[2].split(".")
        section: Any = config
        for name in sections:
            section = section[name]
        section[last] = None


def _check_tuples(arguments: Iterable[str], before: dict[str, Any], config: ConfigDict) -> None:
    """Raise `UserError` for words where a setting had numbers."""
    for key in (match["key"] for match in map(_SETTING.match, arguments) if match):
        old: Any = before
        new: Any = config
        for name in key.split("."):
            old, new = old[name], new[name]
        numbers = isinstance(old, tuple) and old and not any(isinstance(x, str) for x in old)
        if numbers and any(isinstance(x, str) for x in new):
            raise UserError(f"--config.{key}={','.join(map(str, new))}: give numbers, as in {old}")


def _keys(config: ConfigDict) -> list[str]:
    from gcn_jax.training.config import flatten

    return list(flatten(config.to_dict()))


def _no_setting(key: str, known: Sequence[str]) -> str:
    """Return that there is no such setting, and the nearest that there are."""
    section, _, last = key.rpartition(".")
    lasts = [name.rpartition(".")[2] for name in known]
    close = difflib.get_close_matches(last, lasts, n=3, cutoff=0.7)
    names = [name for name, end in zip(known, lasts, strict=True) if end in close]
    if names:
        return f"there is no setting {key!r}; did you mean {' or '.join(names[:3])}?"
    inside = [name for name in known if name.startswith(f"{section}.")]
    return f"there is no setting {key!r}; choose one of: {', '.join(inside or known)}"
