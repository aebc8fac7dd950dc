"""Ctrl-C, SIGTERM and SIGHUP: the run ends soon, with everything saved."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Interrupted(Exception):  # no error: somebody asked for it
    """The end of what can be left at once, because a signal came."""


class Interruption:
    """Notes the first signal while it is entered; a second Ctrl-C ends the process at once.

    Attributes:
        signal: The signal that came, or None.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._can_leave = False

    def __enter__(self) -> "Interruption":
        """Take over the signals."""
        self._previous = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        """Give them back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end the block, such as one that waits for a disk.

        Raises:
            Interrupted: A signal came in the block, or was there before.
        """
        self._can_leave = True
        try:
            self.check()
            yield
        finally:
            self._can_leave = False

    def check(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self.signal is not None:
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is None:
            self.signal = signal.Signals(number)
            _tell(b"\nstopping after this step; Ctrl-C again to end at once, unsaved\n")
            if self._can_leave:
                self._can_leave = False
                raise Interrupted
        elif number == signal.SIGINT:
            _tell(b"\nended at once; what was saved before is whole\n")
            if sys.stdout.isatty():
                os.write(1, b"\x1b[?25h")  # the bar has hidden the cursor
            os._exit(128 + number)  # threads in the middle of a write are not waited for


def _tell(text: bytes) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, text)
