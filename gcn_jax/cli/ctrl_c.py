"""Ctrl-C before the work begins: half-imported libraries cannot be left by an exception."""

import os
import signal
from types import FrameType


def end_imports_at_once() -> None:
    """Let Ctrl-C end the process while a module is imported, and raise `KeyboardInterrupt` later.

    NumPy and others turn an exception in their imports into another one, or lose it.
    """
    signal.signal(signal.SIGINT, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, b"interrupted\n")
            os._exit(128 + number)
        frame = frame.f_back
    raise KeyboardInterrupt
