"""One case of a reader: a valid file that is changed, read, and compared with what it was."""

import hashlib
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from gcn_jax.errors import UserError

#: Every way in which a case can end; the first three are no finding by themselves.
OUTCOMES = ("refused", "same", "other", "traceback", "crash", "hang", "memory")
#: Seconds that a case may take.
SECONDS = 10
#: Bytes that a case may take.
BYTES = 2**30


class Reader(NamedTuple):
    """A reader of a user's bytes.

    Attributes:
        name: What it is called in tables and on the command line.
        write: Writes valid files into a folder that is empty.
        read: Reads the folder, and returns what can be compared: arrays, numbers, texts, and
            tuples, lists, dicts and sets of them; a `UserError` refuses it.
        mutate: Changes the content of one of the files.
        files: A pattern of the files that are changed.
        checksum: Whether the format carries one: then nothing else may be read in silence.
        short: How many cases every run of the tests takes: fewer where one takes long.
    """

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], Any]
    mutate: Callable[[bytes, Random], bytes]
    files: str = "*"
    checksum: bool = False
    short: int = 100


class Case(NamedTuple):
    """The end of one case.

    Attributes:
        number: Which it is.
        outcome: One of `OUTCOMES`.
        message: The error; empty without one.
    """

    number: int
    outcome: str
    message: str = ""


class _Hang(BaseException):
    """The time of a case is over; no reader catches it."""


class Subject:
    """A reader with its valid files in a folder.

    Args:
        reader: The reader.
        folder: An empty folder.

    Raises:
        UserError: The valid files are refused.
    """

    def __init__(self, reader: Reader, folder: Path):
        self._reader, self._folder = reader, folder
        reader.write(folder)
        found = sorted(path for path in folder.glob(reader.files) if path.is_file())
        self._files = {path: path.read_bytes() for path in found if path.stat().st_size}
        assert self._files, reader.name
        self._expected = fingerprint(reader.read(folder))
        assert fingerprint(reader.read(folder)) == self._expected, f"{reader.name} varies"

    def mutated(self, number: int) -> tuple[Path, bytes]:
        """Return the file of a case and its changed content: a function of reader and number."""
        rng = Random(f"{self._reader.name} {number}")
        path = rng.choice(list(self._files))
        return path, self._reader.mutate(self._files[path], rng)

    def run(self, number: int) -> Case:
        """Run a case; the file is valid again after it."""
        path, content = self.mutated(number)
        path.write_bytes(content)
        try:
            with warnings.catch_warnings(), time_limit():
                warnings.simplefilter("ignore")
                found = fingerprint(self._reader.read(self._folder))
            return Case(number, "same" if found == self._expected else "other")
        except _Hang:
            return Case(number, "hang", f"more than {SECONDS} s")
        except BaseException as error:  # this is what is looked for
            if isinstance(error, KeyboardInterrupt):
                raise
            return Case(number, outcome_of(error), f"{type(error).__name__}: {error}")
        finally:
            path.write_bytes(self._files[path])


def outcome_of(error: BaseException) -> str:
    """Return how a case ended that an exception ended; a lack of memory may lie behind it."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, MemoryError):
            return "memory"
        behind = behind.__cause__ or behind.__context__
    return "refused" if isinstance(error, UserError) else "traceback"


@contextmanager
def time_limit() -> Iterator[None]:
    """End what a case does after `SECONDS`."""

    def over(*unused: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fingerprint(value: Any) -> str:
    """Return a text that two values share if they are equal, bit by bit and in their kinds."""
    digest = hashlib.sha256()
    _add(value, digest.update)
    return digest.hexdigest()


def _add(value: Any, add: Callable[[bytes], None]) -> None:
    if isinstance(value, Mapping):
        value = sorted(value.items(), key=lambda item: repr(item[0]))
    elif isinstance(value, set | frozenset):
        value = sorted(value, key=repr)
    if isinstance(value, list | tuple):
        add(f"[{len(value)}".encode())
        for one in value:
            _add(one, add)
    elif isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        array = np.asarray(value)
        add(f"{array.dtype} {array.shape}".encode())
        add(array.tobytes())
    else:
        add(repr(value).encode("utf-8", "surrogatepass"))
