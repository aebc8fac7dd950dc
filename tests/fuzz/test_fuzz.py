"""Every reader of a user's bytes refuses what is damaged, in one line, and within its means."""

import json
import os
import resource
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gcn_jax.errors import UserError
from tests.fuzz import cases, mutations, run
from tests.fuzz.cases import Case, Reader, Subject, fingerprint
from tests.fuzz.readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_short(name, tmp_path, limited, capfd):
    subject = Subject(READERS[name], tmp_path)
    found = limited(map, subject.run, range(READERS[name].short))
    assert not [case for case in found if run.is_finding(READERS[name], case)]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_long(name, tmp_path):
    found = run.fuzz(READERS[name], run.CASES, tmp_path, tmp_path / "keep")
    findings = [end for end in found if run.is_finding(READERS[name], Case(0, end))]
    assert not findings, (found, sorted((tmp_path / "keep").rglob("*.txt")))


@pytest.fixture
def limited():
    """Call a function with little more memory than there is now, and make a list of it."""

    def call(function, *arguments):
        before = run.limit_memory()
        try:
            return list(function(*arguments))
        finally:
            most = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (before, most))

    return call


# ------------------------------------------------------------------------------- the fuzzer itself
def _misread(folder: Path) -> bytes:
    """Read a file in one of the ways that there are, by its content."""
    content = (folder / "file").read_bytes()
    if content == b"refused":
        raise UserError("no")
    if content == b"traceback":
        raise KeyError("x")
    if content == b"memory":
        try:
            raise MemoryError
        except MemoryError:
            raise UserError("no") from None
    if content == b"print":
        os.write(2, b"Traceback (most recent call last):")
        return b"same"
    while content == b"hang":
        pass
    if content == b"crash":
        os.abort()
    return content.lower()


_ENDS = (b"refused", b"traceback", b"memory", b"other", b"crash", b"SAME", b"print", b"hang")


def _first(rng: Random) -> float:
    rng.choice([0])  # of the only file
    return rng.random()


_NUMBERS = [_first(Random(f"misread {number}")) for number in range(len(_ENDS))]
_MISREAD = Reader(
    "misread",
    write=lambda folder: (folder / "file").write_bytes(b"same"),
    read=_misread,
    mutate=lambda content, rng: _ENDS[_NUMBERS.index(rng.random())],
)


def test_ends_of_cases(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "SECONDS", 0.2)
    subject = Subject(_MISREAD, tmp_path)
    for number, end in enumerate(_ENDS):
        if end not in (b"crash", b"print"):
            assert subject.run(number).outcome == end.decode().lower()
    assert subject.run(1).message == "KeyError: 'x'"
    assert (tmp_path / "file").read_bytes() == b"same"


def test_findings():
    never = ("traceback", "crash", "hang", "memory")
    for outcome in cases.OUTCOMES:
        case = Case(0, outcome)
        assert run.is_finding(_MISREAD, case) == (outcome in never)
        checked = _MISREAD._replace(checksum=True)
        assert run.is_finding(checked, case) == (outcome in (*never, "other"))


@pytest.mark.slow
def test_a_crash_is_counted_and_its_input_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_work", _work)
    found = run.fuzz(_MISREAD, 7, tmp_path, tmp_path / "keep")
    assert found == Counter([end.decode().lower() for end in _ENDS[:6]] + ["traceback"])
    kept = {path.name: path.read_bytes() for path in (tmp_path / "keep/misread").iterdir()}
    assert kept == {
        "1 file": b"traceback",
        "1 traceback.txt": b"KeyError: 'x'",
        "2 file": b"memory",
        "2 memory.txt": b"UserError: no",
        "4 file": b"crash",
        "4 crash.txt": b"the process ended with -6",
        "6 file": b"print",
        "6 traceback.txt": b"Traceback (most recent call last):",
    }


def _work(*arguments: Any) -> None:
    READERS["misread"] = _MISREAD
    _WORK(*arguments)


_WORK = run._work


def test_mutations_are_functions_of_the_seed():
    content = json.dumps({"a": [1, "x"], "b": {"c": 0.5}}).encode()
    for mutate in (mutations.of_bytes, mutations.of_json):
        changed = [mutate(content, Random(seed)) for seed in range(50)]
        assert changed == [mutate(content, Random(seed)) for seed in range(50)]
        assert len(set(changed)) > 40
    words = json.dumps(["--a=1", "b"]).encode()
    assert len({mutations.of_words(words, Random(seed)) for seed in range(50)}) > 30


def test_lines_of_json_stay_lines():
    content = b'{"a": 1}\n{"a": 2}\n'
    for seed in range(20):
        lines = mutations.of_json(content, Random(seed)).split(b"\n")
        assert len(lines) == 3
        assert lines[-1] == b""
        assert sum(line not in content.split(b"\n") for line in lines) <= 1


@pytest.mark.parametrize(
    ("left", "right"), [((1,), [1]), (0, False), (float("nan"), float("nan")), ({1: 2}, {1: 3})]
)
def test_fingerprints(left, right):
    assert (fingerprint(left) == fingerprint(right)) == (repr(left) == repr(right) or left == (1,))
