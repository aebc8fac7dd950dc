"""An event loop of asyncio that ends what it began.

Orbax reads and writes all arrays at once, and closes its event loop at the first error. What ends
later then finds it closed: for each array TensorStore prints a traceback, in threads where nobody
can catch it.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

#: How long a read or write that failed waits for the others.
_SECONDS = 20.0


class _Loop(asyncio.SelectorEventLoop):
    def close(self) -> None:
        """Wait for what still runs, where an error closes the loop and not a signal."""
        end = self.time() + _SECONDS
        failed = isinstance(sys.exc_info()[1], Exception) and not self.is_closed()
        while failed and (tasks := asyncio.all_tasks(self)) and self.time() < end:
            self.run_until_complete(asyncio.wait(tasks, timeout=end - self.time()))
        super().close()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Log nothing: the first error is raised, and here are only those beside it."""


class _Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return _Loop()


@contextlib.contextmanager
def tasks_end() -> Iterator[None]:
    """Let event loops that are made in this block wait for their tasks when they are closed."""
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(_Policy())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(before)
