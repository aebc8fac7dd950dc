"""The long form: thousands of cases of each reader, in processes that may die.

    python -m tests.fuzz.run                     # all readers, 10,000 cases each
    python -m tests.fuzz.run "mask: TIFF" --cases 500 --keep found

Prints a table; the inputs of findings are kept. The exit code is 1 where there are any.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from tests.fuzz.cases import BYTES, OUTCOMES, SECONDS, Case, Reader, Subject
from tests.fuzz.readers import READERS

CASES = 10_000


def is_finding(reader: Reader, case: Case) -> bool:
    """Return whether a case must not end so."""
    return case.outcome not in ("refused", "same") and (case.outcome != "other" or reader.checksum)


def limit_memory() -> int:
    """Leave this process `BYTES` more address space than it has; return the limit before."""
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, most))
    return before


def fuzz(reader: Reader, count: int, folder: Path, keep: Path) -> Counter[str]:
    """Run the first cases of a reader in a process of their own; go on where one ends it.

    Args:
        reader: The reader.
        count: How many cases.
        folder: An empty folder.
        keep: Where the inputs of findings go, each with its message.

    Returns:
        How many cases ended in which way.
    """
    found: Counter[str] = Counter()
    keep = keep / reader.name.replace("/", "_")
    keep.mkdir(parents=True, exist_ok=True)
    for case in _cases(reader, count, folder, keep):
        found[case.outcome] += 1
        if is_finding(reader, case):
            (keep / f"{case.number} {case.outcome}.txt").write_text(case.message)
    if not any(keep.iterdir()):
        keep.rmdir()
    return found


def _cases(reader: Reader, count: int, folder: Path, keep: Path) -> Iterator[Case]:
    context, first = multiprocessing.get_context("spawn"), 0
    while first < count:
        here, there = context.Pipe(duplex=False)
        place = folder / str(first)
        process = context.Process(
            target=_work, args=(reader.name, first, count, place, keep, there)
        )
        process.start()
        there.close()
        here.recv()  # it is ready, or cannot be made so: EOFError
        try:
            while first < count:
                if not here.poll(3 * SECONDS):
                    process.kill()
                    yield Case(first, "hang", "the process answered no more")
                    break
                yield here.recv()
                first += 1
        except EOFError:
            process.join()
            yield Case(first, "crash", f"the process ended with {process.exitcode}")
        process.join()
        first += 1


def _work(name: str, first: int, count: int, place: Path, keep: Path, there: Connection) -> None:
    """Run cases in this process and send how they ended; what is being read lies in `keep`.

    A traceback that another thread prints, perhaps of the case before, is one.
    """
    said = os.memfd_create("said")
    for stream in (sys.stdout, sys.stderr):
        os.dup2(said, stream.fileno())  # C code writes there, too
    place.mkdir()
    subject = Subject(READERS[name], place)
    limit_memory()
    there.send("ready")
    for number in range(first, count):
        path, content = subject.mutated(number)
        kept = keep / f"{number} {path.name}"
        kept.write_bytes(content)
        os.ftruncate(said, 0)
        os.lseek(said, 0, os.SEEK_SET)
        case = subject.run(number)
        printed = os.pread(said, os.fstat(said).st_size, 0)
        if b"Traceback" in printed and not is_finding(READERS[name], case):
            case = Case(number, "traceback", printed.decode(errors="replace"))
        if not is_finding(READERS[name], case):
            kept.unlink()
        there.send(case)


def table_row(reader: Reader, count: int, found: Counter[str]) -> str:
    """Return the counts of a reader as a row of a Markdown table."""
    counts = " | ".join(f"{found[outcome]:,}" for outcome in OUTCOMES)
    return f"| {reader.name} | {'yes' if reader.checksum else 'no'} | {count:,} | {counts} |"


def main() -> None:
    """Fuzz the readers of the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", help="names of readers; all by default")
    parser.add_argument("--cases", type=int, default=CASES, help="of each reader")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_findings"), help="a folder")
    arguments = parser.parse_args()
    print(f"| reader | checksum | cases | {' | '.join(OUTCOMES)} |")
    print("| --- " * (3 + len(OUTCOMES)) + "|", flush=True)
    failed = False
    for reader in [READERS[name] for name in arguments.readers or READERS]:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = fuzz(reader, arguments.cases, Path(folder), arguments.keep)
        print(table_row(reader, arguments.cases, found), flush=True)
        print(f"{reader.name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
        failed |= any(is_finding(reader, Case(0, outcome)) for outcome in found)
    sys.exit(failed)


if __name__ == "__main__":
    main()
