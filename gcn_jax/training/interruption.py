"""Ctrl-C, SIGTERM and SIGHUP: the run ends soon, with everything saved."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

#: Seconds after a signal until a block that may end at once is ended from outside: it is in a
#: compiler or in a read, where Python's own handlers wait.
_PATIENCE = 1.0


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
        self._previous_wakeup = -1
        self._is_noted = False  # by the main thread
        self._pipe = (-1, -1)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        # What to do if the block that may end at once does not; None outside of such a block.
        self._end: Callable[[], None] | None = None
        self._left = threading.Condition()

    def __enter__(self) -> "Interruption":
        """Take over the signals."""
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._previous_wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        self._watcher.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Give them back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        os.write(self._pipe[1], b"\0")  # no signal; its end might be kept open by a child process
        self._watcher.join()
        for end in self._pipe:
            os.close(end)

    @contextlib.contextmanager
    def at_once(self, end: Callable[[], None]) -> Iterator[None]:
        """Let a signal end the block, such as one that waits for a disk or for a compiler.

        Args:
            end: Saves and says what there is to save and to say where the block is in code that no
                exception reaches; it is called in another thread, and the process ends after it.

        Raises:
            Interrupted: A signal came in the block, or was there before.
        """
        try:
            self.check()
            self._end = end
            yield
        finally:
            with self._left:  # or a thread is about to end the process: then this waits for ever
                self._end = None
                self._left.notify_all()

    @contextlib.contextmanager
    def nothing_to_save(self, when: str) -> Iterator[None]:
        """End the process where a signal comes in the block, in which there is nothing to save.

        Args:
            when: What is said after "stopped by SIGTERM", such as "before the first step".

        Raises:
            SystemExit: A signal came; the code is 128 + its number.
        """

        def end() -> None:
            number = self.signal or signal.SIGINT
            print(f"stopped by {number.name} {when}", file=sys.stderr)

        try:
            with self.at_once(end):
                yield
        except Interrupted:
            end()
            raise SystemExit(128 + (self.signal or signal.SIGINT)) from None

    def check(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self.signal is not None:
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal in the main thread, as soon as that runs Python."""
        del frame
        if self._is_noted and number == signal.SIGINT:
            _end_unsaved()
        self._is_noted = True
        if self.signal is None:
            self._first(number)
        if self._end is not None:
            self._end = None
            raise Interrupted

    def _watch(self) -> None:
        """Handle signals in a thread of their own, where the main thread cannot."""
        count = 0
        while number := os.read(self._pipe[0], 1)[0]:
            if number not in self._SIGNALS:
                continue
            count += 1
            if count == 1:
                ending = threading.Thread(
                    target=self._end_from_outside, args=(number,), daemon=True
                )
                ending.start()
            elif number == signal.SIGINT:
                time.sleep(_PATIENCE / 5)  # the main thread does it sooner if it can
                _end_unsaved()

    def _end_from_outside(self, number: int) -> None:
        with self._left:
            if self._left.wait_for(lambda: self._end is None, _PATIENCE) or self._end is None:
                return
            if self.signal is None:
                self._first(number)
            with contextlib.suppress(Exception):
                self._end()
            _exit(128 + number)

    def _first(self, number: int) -> None:
        self.signal = signal.Signals(number)
        if self._end is None:  # else that ends within a second
            _tell(b"\nstopping after this step; Ctrl-C again to end at once, unsaved\n")


def _end_unsaved() -> None:
    _tell(b"\nended at once; what was saved before is whole\n")
    _exit(128 + signal.SIGINT)


def _exit(code: int) -> None:
    """End the process; threads in the middle of a write or a compilation are not waited for."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if sys.stdout.isatty():
        os.write(1, b"\x1b[?25h")  # the bar has hidden the cursor
    os._exit(code)


def _tell(text: bytes) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, text)
