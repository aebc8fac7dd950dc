"""Reading of JSON files that others wrote: whatever is in them, one `Problem` and no crash."""

import contextlib
import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gcn_jax.data.problems import Problem


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.

    Raises:
        Problem: It is missing, or holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise Problem("unreadable file", f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Problem("unreadable file", f"{path}: not a JSON file ({error})") from None
    if not isinstance(content, dict):
        raise Problem("unreadable file", f"{path}: holds no JSON object")
    return content


@contextlib.contextmanager
def reading(where: object) -> Iterator[None]:
    """Turn what goes wrong with the content of a file into one `Problem`.

    Args:
        where: The file, or the place in it.

    Raises:
        Problem: Something in the block failed.
    """
    try:
        yield
    except Problem as problem:
        text = str(problem)
        named = text if text.startswith(str(where)) else f"{where}: {text}"
        raise Problem(problem.kind, named, problem.split) from None
    except KeyError as error:
        message = f"{where}: {error.args[0]!r} is missing"
        raise Problem("unreadable annotation", message) from None
    except Exception as error:  # pycocotools and Pillow raise whatever the values lead to
        reason = (str(error).strip().splitlines() or [repr(error)])[0][:300]
        raise Problem("unreadable annotation", f"{where}: {reason}") from None


def text_of(value: Any, what: str) -> str:
    """Return a value that has to be a text that is not empty.

    Args:
        value: Any JSON value.
        what: Its name, for the message.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what} is {reprlib.repr(value)}, no text")
    return value.strip()


def list_of(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return a list of objects.

    Args:
        content: A JSON object.
        key: Where the list is.

    Raises:
        ValueError: It holds something else.
    """
    values = content[key]
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError(f"{key!r} is no list of objects")
    return values


def whole(value: Any, what: str) -> int:
    """Return a value that has to be a whole number from 0 on.

    Args:
        value: Any JSON value.
        what: Its name, for the message.

    Raises:
        ValueError: It is none.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{what} is {str(value)[:40]!r}, no whole number from 0 on")
    return value
