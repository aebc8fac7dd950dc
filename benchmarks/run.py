"""Ours beside PyTorch: training step, forward, time to the first step, peak memory.

    pip install -e '.[bench]'
    python -m benchmarks.run [--quick] [--only FCN] [--eager] [--output benchmarks/results/NAME]
    python -m benchmarks.run --modern [--only ...]    # beside transformers and smp

GCN on ResNet-50 and -152 at 256 and 512 px, in float32 and bfloat16; then each rival at 256 px in
float32. The logits of each pair of networks are the same (`tests/benchmarks/test_benchmarks.py`).
With `--modern` SegFormer, UPerNet, U-Net and DeepLabV3+ in float32, at 256 and 512 px, as the
libraries have them (`torch_modern.py`).

Each contestant has a process of its own. They take turns, one call each, so that other work on the
machine meets all of them; reported are medians over the turns, and of the ratio in each turn, after
a few turns that do not count. The time to the first step is from the start of the process, without
any compilation cache: imports, initialisation, compilation, one step. Peak memory is that of the
process after training steps, on a GPU that of its memory.
"""

import json
import os
import statistics
from collections.abc import Iterable
from pathlib import Path

from absl import flags

from benchmarks import machine
from benchmarks.contestants import CONTESTANTS, MODERN_TITLES, TITLES, Case
from benchmarks.served import Served
from gcn_jax import atomic
from gcn_jax.cli import process
from gcn_jax.errors import UserError

_QUICK = flags.DEFINE_bool("quick", False, "GCN-ResNet-50, 256 px, float32 alone; --eager.")
_MODERN = flags.DEFINE_bool("modern", False, "SegFormer, UPerNet, U-Net and DeepLabV3+; --eager.")
_EAGER = flags.DEFINE_bool("eager", False, "Without torch.compile, which takes minutes.")
_ONLY = flags.DEFINE_string("only", "", "Cases whose name has this in it, as 'FCN' or '152, 512'.")
_OUTPUT = flags.DEFINE_string("output", None, "Where to write NAME.json and NAME.md.")
_REPEATS = flags.DEFINE_integer("repeats", 9, "How often each is timed.")
_BATCH = flags.DEFINE_integer("batch", 2, "Images in a batch.")

#: Calls before those that count: a first forward pass compiles, and malloc has yet to find its
#: size.
_WARM_UP = 4

_COLUMNS = ("step s", "of torch", "forward s", "of torch", "first step s", "peak GiB")


def main(argv):
    """Time every case, print a table of each, write both files."""
    del argv
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    report = machine.describe("jax", "jaxlib", "flax", "optax", "torch", "numpy")
    report["cases"] = {}
    tables = []
    for case in _cases():
        results = _measure(case)
        report["cases"][str(case)] = results
        tables.append(_table(case, results))
        print(tables[-1], flush=True)
        if _OUTPUT.value:
            atomic.write(Path(f"{_OUTPUT.value}.json"), json.dumps(report, indent=2) + "\n")
            atomic.write(Path(f"{_OUTPUT.value}.md"), _markdown(report, tables))


def _cases() -> list[Case]:
    if _QUICK.value:
        return [Case("gcn_resnet50", 256, _BATCH.value, "float32")]
    if _MODERN.value:
        sizes = (256, 512)
        return _selected(
            Case(name, size, _BATCH.value, "float32") for name in MODERN_TITLES for size in sizes
        )
    gcn = [name for name in TITLES if name.startswith("gcn")]
    cases = [
        Case(name, size, _BATCH.value, dtype)
        for dtype in ("float32", "bfloat16")
        for name in gcn
        for size in (256, 512)
    ]
    rivals = [name for name in TITLES if name not in gcn]
    cases += [Case(name, 256, _BATCH.value, "float32") for name in rivals]
    return _selected(cases)


def _selected(cases: Iterable[Case]) -> list[Case]:
    """Return the cases that `--only` names.

    Raises:
        UserError: There are none.
    """
    cases = list(cases)
    selected = [case for case in cases if _ONLY.value in str(case)]
    if not selected:
        names = "; ".join(map(str, cases))
        raise UserError(f"--only={_ONLY.value!r} is in no name of a case; these are {names}")
    return selected


def _measure(case: Case) -> dict[str, dict]:
    """Return for each contestant the seconds of every turn, of the first step, and the memory."""
    eager = _EAGER.value or _QUICK.value or _MODERN.value
    names = [name for name in CONTESTANTS if not (eager and name == "torch.compile")]
    contestants = {name: Served(name, case) for name in names}
    results = {
        name: {"first_step": one.first_step, "peak_bytes": one.peak_bytes}
        for name, one in contestants.items()
    }
    for what in ("step", "forward"):
        for one in list(contestants.values()) * _WARM_UP:
            one.time(what)
        turns = [{n: c.time(what) for n, c in contestants.items()} for _ in range(_REPEATS.value)]
        for name in contestants:
            seconds = [turn[name] for turn in turns]
            results[name][what] = {"median": statistics.median(seconds), "turns": seconds}
            of_torch = [turn[name] / turn["torch"] for turn in turns]
            results[name][what]["of_torch"] = statistics.median(of_torch)
    for one in contestants.values():
        one.close()
    return results


def _table(case: Case, results: dict[str, dict]) -> str:
    """Return a table in Markdown that reads well as plain text too."""
    lines = [f"{case}:\n"]
    lines.append(" | ".join([f"| {'':13}", *(f"{column:>12}" for column in _COLUMNS)]) + " |")
    lines.append("|" + "-" * 15 + ("|" + "-" * 13 + ":") * len(_COLUMNS) + "|")
    for name, result in results.items():
        cells = [f"| {name:13}"]
        for what in ("step", "forward"):
            cells.append(f"{result[what]['median']:12.3f}")
            cells.append(f"{result[what]['of_torch']:12.2f}")
        cells.append(f"{result['first_step']:12.1f}")
        cells.append(f"{result['peak_bytes'] / 2**30:12.2f}")
        lines.append(" | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _markdown(report: dict, tables: list[str]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    head = (
        f"# Networks on {report['device']}, {report['cores']} cores\n\n"
        f"{report['date']}; {versions}; load before {report['load']:.1f}. "
        "Medians over turns; `python -m benchmarks.run` says what is measured.\n\n"
    )
    return head + "\n".join(tables)


if __name__ == "__main__":
    process.run_script(main)
