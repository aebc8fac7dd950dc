"""What every verb shares: flags are parsed, and a mistake of the user becomes one clear line."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from absl import app, flags, logging

from gcn_jax.errors import UserError

#: Exit code of a run that a mistake of the user ended.
USER_ERROR_CODE = 2

_COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Where compiled programs are kept for the next start; '' for nowhere. By default "
    "$JAX_COMPILATION_CACHE_DIR, or else ~/.cache/gcn_jax.",
)
#: Programs that compile sooner than this, in seconds, are not worth a file.
_MIN_COMPILE_SECONDS = 0.3

#: On a CPU jaxlib 0.10 hands much to YNNPACK. Its sums (batch-norm) are faster than XLA's own, but
#: not its matrix products and convolutions, of which those with few channels keep to one thread.
_XLA_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE"
#: Of glibc's malloc.h: its parameters M_TRIM_THRESHOLD, M_MMAP_MAX and M_ARENA_MAX, and here their
#: values: free memory stays, large blocks come from it too, and all threads share it.
_KEEP_FREED_MEMORY = {-1: -1, -4: 0, -8: 1}


def run(main: Callable[[Sequence[str]], None], argv: Sequence[str] | None = None) -> None:
    """Parse the command line, call `main(argv)`, and end the process.

    Args:
        main: What is done; it gets what is left of the command line without the flags.
        argv: The command line; that of the process if None.

    A `UserError`, an unknown flag and an unreadable flag value end it with one line on standard
    error and exit code 2; any other exception is a fault of ours and keeps its traceback.
    """
    # What XLA, TFDS and Orbax note about themselves helps nobody who types a verb.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.ERROR)
    _choose_xla_flags()
    app.run(_one_line_for_user_errors(main), argv, flags_parser=_parse_flags)


def keep_freed_memory() -> None:
    """Let malloc keep what a training step on a CPU frees: the next one needs it again.

    By default large blocks go back to the system, and come again as zeroed pages: 160,000 page
    faults a step of GCN-ResNet-50. Nothing happens on other devices, or without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and jax.default_backend() == "cpu":
        for parameter, value in _KEEP_FREED_MEMORY.items():
            mallopt(parameter, value)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        _fail(str(error))
    except (FileNotFoundError, AttributeError, KeyError, TypeError, ValueError) as error:
        # ml_collections raises these for a config file or a config field that does not exist.
        _fail(f"bad --config or --config.key=value: {error}")
    raise AssertionError("unreachable")


def _choose_xla_flags() -> None:
    """Let XLA compute convolutions on a CPU with all its threads; `XLA_FLAGS` of the user win.

    It must come before the first computation. Nothing happens with a release of JAX whose flags
    were not seen: XLA ends a process over a flag that it does not know.
    """
    if jax.__version__.startswith("0.10."):
        os.environ["XLA_FLAGS"] = f"{_XLA_FLAGS} {os.environ.get('XLA_FLAGS', '')}".strip()


def _keep_compiled_programs() -> None:
    """Turn JAX's persistent compilation cache on; its own environment variables come first."""
    folder = _COMPILATION_CACHE.value
    if folder is None:
        folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "~/.cache/gcn_jax")
    if folder:
        folder = str(Path(folder).expanduser().resolve())
    jax.config.update("jax_compilation_cache_dir", folder or None)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_SECONDS)


def _one_line_for_user_errors(main):
    def wrapped(argv):
        try:
            _keep_compiled_programs()
            main(argv)
        except UserError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)

    return wrapped


def _fail(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USER_ERROR_CODE)
