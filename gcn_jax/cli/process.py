"""A verb as a process: flags are parsed, and a mistake of the user becomes one clear line.

A verb is a module with

- a docstring: a line that says what the verb does, an example, and what else a person who types it
  has to know;
- `FLAGS`, the `absl.flags.FlagValues` that hold its flags and no others;
- `CONFIG`, where it has the flag `--config`: what `define_config` returned;
- `run(arguments)`, which gets what is left of the command line without the flags.
"""

import contextlib
import ctypes
import difflib
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from logging import getLogger
from pathlib import Path
from typing import Any

from absl import flags, logging

from gcn_jax import extras
from gcn_jax.errors import UserError

#: The exit code of a process that a mistake of the user ended.
USER_ERROR_CODE = 2

#: What absl says about the value of a flag -> what it wants.
_WANTED = {
    r"invalid literal for int\(\) with base 10": "a whole number",
    "could not convert string to float": "a number",
    r"\('Non-boolean argument": "true or false",
    "Error while parsing string": """a tuple, such as '(1, 2)' or '("a", "b")'""",
}

#: Programs that compile sooner than this, in seconds, are not worth a file.
_MIN_COMPILE_SECONDS = 0.3

#: On a CPU jaxlib, from 0.10 on, hands much to YNNPACK. Its sums (batch-norm) are faster than XLA's
#: own, but not its matrix products and convolutions, of which those with few channels keep to one
#: thread. Measured with 0.10.2 and 0.12.0.1 (`docs/performance.md`), accepted by 0.11.2.
_XLA_FLAGS_OF = ("0.10.", "0.11.", "0.12.")
_XLA_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE"
#: From glibc's malloc.h: its parameters M_TRIM_THRESHOLD, M_MMAP_MAX and M_ARENA_MAX, and here
#: their values: free memory stays, large blocks come from it too, and all threads share it.
_KEEP_FREED_MEMORY = {-1: -1, -4: 0, -8: 1}

#: What `typed_words` returns.
_typed: list[str] = []


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
    with _long_names_refused():
        rest = _parse_verb(verb, arguments)
        if "compilation_cache" in verb.FLAGS:
            _keep_compiled_programs(verb.FLAGS["compilation_cache"].value)
        _run(verb, rest)


def call(verb: Any, arguments: Sequence[str]) -> None:
    """Run a verb inside a process that goes on, such as a test.

    Args:
        verb: Its module.
        arguments: The command line after its name.

    Raises:
        UserError: A flag is unknown, its value makes no sense, or the verb says so.
    """
    with _long_names_refused():
        _run(verb, _parse_verb(verb, arguments))


@contextlib.contextmanager
def _long_names_refused() -> Iterator[None]:
    """Turn the system's error about a file name that is too long, a user's, into a `UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UserError(f"{error.filename!s:.80}... is too long for the name of a file") from None


def _parse_verb(verb: Any, arguments: Sequence[str]) -> list[str]:
    _typed[:] = arguments
    config = getattr(verb, "CONFIG", None)
    return parse(verb.FLAGS, arguments if config is None else config.take(arguments))


def typed_words() -> list[str]:
    """Return the command line after the name of the verb that runs, as it was typed."""
    return list(_typed)


def _run(verb: Any, arguments: list[str]) -> None:
    def spell(key: str) -> str:
        last = key.rpartition(".")[2]
        if hasattr(verb, "CONFIG"):
            return f"--config.{key}"
        if "set" in verb.FLAGS:
            return f"--set {key}"
        return f"--{last}" if last in verb.FLAGS else key

    try:
        with extras.explained():
            verb.run(arguments)
    except UserError as error:
        raise UserError(error.told(spell)) from None


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
            of ours and keeps its traceback. Ctrl-C ends it with code 130, a reader of its output
            that has gone (`| head`) with 141.
    """
    try:
        run()
    except UserError as error:
        from gcn_jax.terminal import printable  # not sooner: --help needs no console

        print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(USER_ERROR_CODE)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in its buffer
        with contextlib.suppress(BrokenPipeError):  # standard error may have had the same reader
            print("stopped: nobody reads the output any more", file=sys.stderr)
        sys.exit(128 + signal.SIGPIPE)


def parse(values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Parse a command line.

    Args:
        values: The flags, which get their values; those of an earlier call are forgotten.
        arguments: The words of the command line.

    Returns:
        The words that are no flags.

    Raises:
        UserError: A flag is unknown or missing, or a value is not of its kind.
    """
    if values is not flags.FLAGS:
        for name in values:
            values[name].unparse()
    try:
        return values(["", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        close = difflib.get_close_matches(error.flagname, list(values))
        hint = f"did you mean --{' or --'.join(close)}?" if close else "--help lists the flags"
        raise UserError(f"unknown flag --{error.flagname}; {hint}") from None
    except flags.Error as error:
        if missing := re.search(r"--(\w+) must have a value other than None", str(error)):
            raise UserError(f"--{missing[1]} is missing: {values[missing[1]].help}") from None
        raise UserError(plain_value_error(str(error))) from None


def plain_value_error(message: str) -> str:
    """Return absl's message about the value of a flag in plain words.

    Args:
        message: Such as "flag --top=x: invalid literal for int() with base 10: 'x'".
    """
    message = message.removeprefix("flag ")
    for reason, wanted in _WANTED.items():
        message = re.sub(rf": {reason}.*", f": give {wanted}", message, flags=re.DOTALL)
    return message


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
    # What XLA, TFDS, Orbax and the hub's client note about themselves helps nobody who types.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.FATAL)  # the errors that they log, they raise, too
    getLogger("huggingface_hub").setLevel("ERROR")
    _choose_xla_flags()


def _choose_xla_flags() -> None:
    """Let XLA compute convolutions on a CPU with all its threads; `XLA_FLAGS` of the user win.

    It must come before the first computation. Nothing happens with a release of JAX whose flags
    were not seen: XLA ends a process over a flag that it does not know.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if version("jaxlib").startswith(_XLA_FLAGS_OF) and _XLA_FLAGS not in given:
        os.environ["XLA_FLAGS"] = f"{_XLA_FLAGS} {given}".strip()


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
