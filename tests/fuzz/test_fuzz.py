"""Every reader of a user's bytes refuses what is damaged, in one line, and within its means."""

import json
import os
import resource
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from gcn_jax.errors import UserError
from tests.fuzz import mutations, run
from tests.fuzz.cases import Case, Reader, Subject, fingerprint
from tests.fuzz.readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_short(name, tmp_path, limited):
    subject = Subject(READERS[name], tmp_path)
    cases = limited(map, subject.run, range(READERS[name].short))
    assert not [case for case in cases if run.is_finding(READERS[name], case)]


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
def _misread(folder: Path):
    """A reader with every fault there is, by the first letter of its file."""
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
    if content == b"hang":
        while True:
            pass
    if content == b"crash":
        os.abort()
    return content.lower()


_ENDS = (b"refused", b"traceback", b"memory", b"other", b"crash", b"hang", b"SAME", b"refused")


def _end(content: bytes, rng: Random) -> bytes:
    return _ENDS[_numbers.index(rng.random())]


def _first(rng: Random) -> float:
    rng.choice([0])  # of the only file
    return rng.random()


_numbers = [_first(Random(f"misread {number}")) for number in range(len(_ENDS))]
MISREAD = Reader("misread", lambda folder: (folder / "file").write_bytes(b"same"), _misread, _end)


def test_every_end_of_a_case_is_counted_and_the_inputs_of_findings_are_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(READERS, "misread", MISREAD)
    monkeypatch.setattr(run, "_work", _work_misread)
    found = run.fuzz(MISREAD, len(_ENDS), tmp_path, tmp_path / "keep")
    ends = ("refused", "traceback", "memory", "other", "crash", "hang", "same")
    assert found == Counter({**dict.fromkeys(ends, 1), "refused": 2})
    kept = {path.name: path.read_bytes() for path in (tmp_path / "keep/misread").iterdir()}
    assert kept["1 file"] == b"traceback"
    assert kept["1 traceback.txt"] == b"KeyError: 'x'"
    assert {name for name in kept if name.endswith(".txt")} == {
        "1 traceback.txt", "2 memory.txt", "4 crash.txt", "5 hang.txt",
    }  # fmt: skip


def _work_misread(name, *arguments):
    READERS[name] = MISREAD
    _WORK(name, *arguments)


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
