"""What is seen of long work on a data set: one bar, in place of the many of TFDS."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorflow_datasets.core.utils import tqdm_utils


def make_bar() -> Progress:
    """Make a bar that is not shown before its `start()`.

    It is on standard error, is gone when the work ends, and never appears where there is no
    terminal.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextlib.contextmanager
def preparation_bar() -> Iterator[Progress]:
    """Make a bar as `make_bar` does, and keep TFDS from showing its own."""
    bar = make_bar()
    shown_before = getattr(tqdm_utils, "_active", True)  # TFDS has a setter only
    tqdm_utils.display_progress_bar(False)
    try:
        yield bar
    finally:
        bar.stop()
        tqdm_utils.display_progress_bar(shown_before)
