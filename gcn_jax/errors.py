"""The one exception that stands for a mistake of the user, not of this library."""

import difflib
import re
from collections.abc import Callable, Collection


class UserError(ValueError):
    """A mistake of the user: the message says what is wrong, where, and what to do.

    The verbs (`train.py`, `evaluate.py`, `predict.py`, `gcn-jax VERB`) print it as one
    line and exit with code 2, without a traceback. In a notebook it is a plain `ValueError`.
    """

    def __str__(self) -> str:
        """Return the message; settings in it are named as `train` takes them."""
        return self.told(lambda key: f"--config.{key}")

    def told(self, spell: Callable[[str], str]) -> str:
        """Return the message for a verb that takes settings in its own way.

        Args:
            spell: Returns how a setting, such as "data.manual_dir", is typed there.
        """
        return re.sub("\0(.*?)\0", lambda match: spell(match[1]), super().__str__())


def setting(key: str) -> str:
    """Return a setting for the message of a `UserError`, which names it as its verb takes it.

    Args:
        key: Its name, such as "data.manual_dir".
    """
    return f"\0{key}\0"


def check_choice(what: str, name: str, valid: Collection[str]) -> None:
    """Check that a name is one of those that there are.

    Args:
        what: The kind of thing that is named.
        name: The name.
        valid: The names that there are; those that begin with "_" are not listed.

    Raises:
        UserError: It is none of them; the message lists them, the nearest first.
    """
    names = [n for n in valid if not n.startswith("_")]
    if name not in valid:
        close = difflib.get_close_matches(str(name), names)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise UserError(f"unknown {what} {name!r}{hint}; choose one of: {', '.join(names)}")
