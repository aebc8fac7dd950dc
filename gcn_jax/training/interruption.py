"""Ctrl-C and SIGTERM: the run ends between two steps, with everything saved."""

import os
import signal


class Interruption:
    """Notes the first SIGINT or SIGTERM while it is entered; a second Ctrl-C ends at once.

    Attributes:
        signal: The signal that came, or None.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.signal: signal.Signals | None = None
        self._previous = {}

    def __enter__(self) -> "Interruption":
        """Take over the two signals."""
        self._previous = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        return self

    def __exit__(self, *exception) -> None:
        """Give them back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame) -> None:
        del frame
        self.signal = signal.Signals(number)
        os.write(2, b"\nstopping after this step; Ctrl-C again to end at once, unsaved\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)
