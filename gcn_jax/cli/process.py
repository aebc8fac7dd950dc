"""A verb as a process: flags are parsed, and a mistake of the user becomes one clear line.

A verb is a module with

- a docstring: usage, an example, and what else a person who types it has to know;
- `FLAGS`, the `absl.flags.FlagValues` that hold its flags and no others;
- `run(arguments)`, which gets what is left of the command line without the flags;
- `SETTING`, where it takes settings in another way than `--config.KEY=VALUE`.
"""

import ctypes
import inspect
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from absl import flags, logging

from gcn_jax.cli.config_flag import name_config_file
from gcn_jax.errors import UserError

#: The exit code of a process that a mistake of the user ended.
USER_ERROR_CODE = 2

#: Programs that compile sooner than this, in seconds, are not worth a file.
_MIN_COMPILE_SECONDS = 0.3

#: On a CPU jaxlib 0.10 hands much to YNNPACK. Its sums (batch-norm) are faster than XLA's own, but
#: not its matrix products and convolutions, of which those with few channels keep to one thread.
_XLA_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE"
#: From glibc's malloc.h: its parameters M_TRIM_THRESHOLD, M_MMAP_MAX and M_ARENA_MAX, and here
#: their values: free memory stays, large blocks come from it too, and all threads share it.
_KEEP_FREED_MEMORY = {-1: -1, -4: 0, -8: 1}


class Verb(Protocol):
    """The module of a verb."""

    FLAGS: flags.FlagValues

    def run(self, arguments: list[str]) -> None:
        """Do what the verb is for."""


def define_compilation_cache(values: flags.FlagValues) -> None:
    """Define `--compilation_cache`, for a verb that compiles programs worth keeping."""
    flags.DEFINE_string(
        "compilation_cache",
        None,
        "Where compiled programs are kept for the next start; '' for nowhere. By default "
        "$JAX_COMPILATION_CACHE_DIR, or else ~/.cache/gcn_jax.",
        flag_values=values,
    )


def run_verb(verb: Any, arguments: Sequence[str]) -> None:
    """Run a verb in a process that is prepared for it.

    Args:
        verb: Its module.
        arguments: The command line after its name.

    Raises:
        UserError: A flag is unknown, its value makes no sense, or the verb says so.
    """
    _prepare()
    rest = parse(verb.FLAGS, arguments)
    if "compilation_cache" in verb.FLAGS:
        _keep_compiled_programs(verb.FLAGS["compilation_cache"].value)
    _run(verb, rest)


def call(verb: Any, arguments: Sequence[str]) -> None:
    """Run a verb inside a process that goes on, such as a test.

    Args:
        verb: Its module.
        arguments: The command line after its name.
    """
    _run(verb, parse(verb.FLAGS, arguments))


def _run(verb: Any, arguments: list[str]) -> None:
    try:
        verb.run(arguments)
    except UserError as error:
        # A verb without --config says how it takes settings.
        raise UserError(error.told(getattr(verb, "SETTING", "--config."))) from None


def run_script(main: Callable[[list[str]], None]) -> None:
    """Run a program whose flags are absl's global ones, such as a benchmark, as a verb is run.

    Args:
        main: The program; it gets what is left of the command line without the flags.
    """
    define_compilation_cache(flags.FLAGS)

    def run() -> None:
        if "--help" in sys.argv[1:]:
            print(flags.FLAGS.main_module_help())
            return
        _prepare()
        rest = parse(flags.FLAGS, sys.argv[1:])
        _keep_compiled_programs(flags.FLAGS["compilation_cache"].value)
        main(rest)

    one_line_for_user_errors(run)


def one_line_for_user_errors(run: Callable[[], None]) -> None:
    """Run, and end the process with one line on standard error where the user made a mistake.

    Args:
        run: Raises `UserError`, which ends the process with code 2; any other exception is a fault
            of ours and keeps its traceback. Ctrl-C ends it with code 130.
    """
    try:
        run()
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(USER_ERROR_CODE)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def parse(values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Parse a command line.

    Args:
        values: The flags, which get their values; those of an earlier call are forgotten.
        arguments: The words of the command line.

    Returns:
        The words that are no flags.

    Raises:
        UserError: A flag is unknown, or a value is not of its kind.
    """
    for name in list(values) if values is not flags.FLAGS else ():
        if name.startswith("config."):  # an earlier command line defined it
            delattr(values, name)
        else:
            values[name].unparse()
    words = name_config_file(values, list(arguments))
    try:
        return values(["", *words])[1:]
    except flags.Error as error:
        if missing := re.search(r"--(\w+) must have a value other than None", str(error)):
            raise UserError(f"--{missing[1]} is missing: {values[missing[1]].help}") from None
        raise UserError(str(error)) from None


def help_text(name: str, summary: str, verb: Any) -> str:
    """Return what `--help` prints.

    Args:
        name: The words of the verb, such as "data show".
        summary: What it does, in a line.
        verb: Its module.
    """
    lines = [f"gcn-jax {name}: {summary}", "", inspect.cleandoc(verb.__doc__), "", "flags:"]
    for flag_name in verb.FLAGS:
        flag = verb.FLAGS[flag_name]
        shown = f"--[no]{flag_name}" if flag.boolean else f"--{flag_name}"
        lines.append(f"  {shown}: {flag.help}{_default(flag)}")
    return "\n".join(lines)


def _default(flag: flags.Flag) -> str:
    if flag.default in (None, [], "", False):
        return ""
    return f" (default: {flag.default_as_str.strip(chr(39))})"


def keep_freed_memory() -> None:
    """Let malloc keep what a training step on a CPU frees: the next one needs it again.

    By default large blocks go back to the system, and come again as zeroed pages: 160,000 page
    faults a step of GCN-ResNet-50. Nothing happens on other devices, or without glibc.
    """
    import jax

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and jax.default_backend() == "cpu":
        for parameter, value in _KEEP_FREED_MEMORY.items():
            mallopt(parameter, value)


def _prepare() -> None:
    # What XLA, TFDS and Orbax note about themselves helps nobody who types a verb.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.ERROR)
    _choose_xla_flags()


def _choose_xla_flags() -> None:
    """Let XLA compute convolutions on a CPU with all its threads; `XLA_FLAGS` of the user win.

    It must come before the first computation. Nothing happens with a release of JAX whose flags
    were not seen: XLA ends a process over a flag that it does not know.
    """
    import jax

    if jax.__version__.startswith("0.10."):
        os.environ["XLA_FLAGS"] = f"{_XLA_FLAGS} {os.environ.get('XLA_FLAGS', '')}".strip()


def _keep_compiled_programs(folder: str | None) -> None:
    """Turn JAX's persistent compilation cache on; its own environment variables come first."""
    import jax

    if folder is None:
        folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "~/.cache/gcn_jax")
    if folder:
        folder = str(Path(folder).expanduser().resolve())
    jax.config.update("jax_compilation_cache_dir", folder or None)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_SECONDS)
