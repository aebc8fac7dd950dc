"""The terminal: one console, one progress bar, one way to print text that holds a user's names.

Names of files, classes and runs may hold anything: `folder:train:`, `[bold red]`, control
characters. They are printed as they are, never as emoji, markup or commands to the terminal.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

_T = TypeVar("_T")


def make_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Make the console on which tables and bars appear.

    Args:
        stderr: Whether it is standard error.
        width: Characters in a line; those of the terminal if None.
    """
    return Console(stderr=stderr, width=width, emoji=False, markup=False, highlight=False)


def say(text: str) -> None:
    """Print a line to standard output, at once; control characters are shown, not obeyed.

    Args:
        text: The line; it may hold names of the user's.
    """
    print(printable(text), flush=True)


def printable(text: str) -> str:
    """Return text with its control characters escaped, but for the ends of lines and tabs.

    Args:
        text: Any text.
    """
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def cell(name: str) -> Text:
    """Return a name for the cell of a table.

    Args:
        name: Any text.
    """
    return Text(printable(name))


class ProgressBar:
    """A bar for long work, which appears only where there is a terminal.

    Args:
        name: The work.
        total: The number at which it ends; None where it is not known yet.
        completed: The number at which it begins.
        stderr: Whether it is on standard error.
        transient: Whether it is gone afterwards.
    """

    def __init__(
        self,
        name: str = "",
        total: int | None = None,
        *,
        completed: int = 0,
        stderr: bool = False,
        transient: bool = True,
    ):
        self._console = make_console(stderr=stderr)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=transient,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(
            printable(name), total=total, completed=completed, status=""
        )

    def __enter__(self) -> "ProgressBar":
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the bar as it stands, or remove it."""
        self._progress.stop()

    def track(self, items: Iterable[_T], total: int, name: str) -> Iterator[_T]:
        """Go through items and show how far that is; the bar begins anew, and appears now.

        Args:
            items: Any items.
            total: How many there are.
            name: The work.

        Yields:
            The items.
        """
        self._progress.reset(self._task, total=total, description=printable(name))
        self._progress.start()
        for item in items:
            yield item
            self._progress.advance(self._task)
        self._progress.refresh()  # the last step is seen, however soon the bar begins anew

    def advance(self, completed: int, total: int | None = None) -> None:
        """Move the bar.

        Args:
            completed: How much is done.
            total: The number at which it ends, where that was not known before.
        """
        self._progress.update(self._task, completed=completed, total=total)

    def status(self, text: str, otherwise: str | None = None) -> None:
        """Show the latest figures beside the bar.

        Args:
            text: The figures.
            otherwise: The line to print where there is no terminal.
        """
        self._progress.update(self._task, status=printable(text))
        if otherwise is not None and not self._console.is_terminal:
            self.say(otherwise)

    def say(self, text: str) -> None:
        """Print a line that stays, above the bar.

        Args:
            text: The line; it may hold names of the user's.
        """
        self._console.print(printable(text), soft_wrap=True)


@contextlib.contextmanager
def progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for the time of the block.

    Args:
        name: What is being done.

    Yields:
        A function that is told how many are done, and of how many.
    """
    with ProgressBar(name) as bar:
        yield lambda done, total: bar.advance(done, total)
