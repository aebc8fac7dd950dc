"""The sessions of a run: each start of it, in `sessions.json`."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator

from gcn_jax.errors import UserError
from gcn_jax.sessions import Session
from gcn_jax.workdir import Workdir


@contextlib.contextmanager
def recorded(folder: Workdir, session: Session, first_step: int) -> Iterator[None]:
    """Add a session to those of a run, and its end when the block ends, however it does.

    Args:
        folder: The run's folder, locked.
        session: What begins.
        first_step: The step that it goes on from.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        before = folder.read_sessions()
    except UserError as error:
        warnings.warn(f"{error}; it is begun anew", stacklevel=3)
        before = []
    session = dataclasses.replace(session, first_step=first_step)
    folder.write_sessions([*before, session])
    try:
        yield
    finally:
        with contextlib.suppress(UserError):  # what ended the block counts
            folder.write_sessions([*before, session.end()])
