"""The one exception that stands for a mistake of the user, not of this library."""

import difflib
from collections.abc import Collection


class UserError(ValueError):
    """A mistake of the user: the message says what is wrong, where, and what to do.

    The verbs (`train.py`, `evaluate.py`, `predict.py`, `python -m gcn_jax...`) print it as one
    line and exit with code 2, without a traceback. In a notebook it is a plain `ValueError`.
    """


def check_choice(what: str, name: str, valid: Collection[str]) -> None:
    """Raise `UserError` unless `name` is among the valid names, which the message lists."""
    names = [n for n in valid if not n.startswith("_")]
    if name not in valid:
        close = difflib.get_close_matches(str(name), names)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise UserError(f"unknown {what} {name!r}{hint}; choose one of: {', '.join(names)}")
