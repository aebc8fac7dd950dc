"""The report about a program for TPUs, and the chips whose rates are known."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.tpu_program import Traffic
from gcn_jax.analysis.sheets import Sheet

#: How many arrays are listed.
_MOST_ARRAYS = 12


class Chip(NamedTuple):
    """What one chip can do at most.

    Attributes:
        flops: FLOP/s with bfloat16 operands, which products of float32 have on a TPU, too, unless
            a higher precision is asked for.
        bandwidth: Bytes/s of its large memory.
        source: Where both are published.
    """

    flops: float
    bandwidth: float
    source: str


#: Chips by the names of their topologies; the pages as of November 2026.
CHIPS = {
    "v5e": Chip(197e12, 819e9, "https://cloud.google.com/tpu/docs/v5e"),
    "v5p": Chip(459e12, 2765e9, "https://cloud.google.com/tpu/docs/v5p"),
    "v6e": Chip(918e12, 1638e9, "https://cloud.google.com/tpu/docs/v6e"),
}


def markdown(report: Mapping[str, Any]) -> str:
    """Return a report as Markdown that reads well as plain text.

    Args:
        report: What `main` writes as JSON.
    """
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    program = "training step" if report["program"] == "train" else "forward pass"
    memory = ", ".join(f"{name} {size / 2**30:.2f}" for name, size in report["memory"].items())
    total = sum((Traffic(**traffic) for traffic in report["parts"].values()), Traffic())
    lines = [
        f"# {report['network']}, {program}, on {report['topology']}\n",
        f"{report['batch']} x {report['size']} x {report['size']} px, {report['dtype']}, split: "
        f"{report['split']}; {report['chip']}; {report['date'][:10]}; {versions}. Compiled, not "
        "run; all figures are of one chip (`python -m benchmarks.tpu`).\n",
        f"Memory, GiB: {memory} (alias: outputs that lie where arguments lay).\n",
        _roofline(report, total.padded),
    ]
    parts = [
        (part, *_gigabytes(**traffic), f"{100 * traffic['padded'] / total.padded:.1f}")
        for part, traffic in report["parts"].items()
    ]
    parts.append(("all", *_gigabytes(*total), "100"))
    arrays = [
        (f"`{text}`", str(array["count"]), f"{array['padded'] / 1e6:,.1f}",
         f"{array['padded'] / max(1, array['values']):.1f}",
         f"{array['count'] * array['padded'] / 1e9:.2f}")
        for text, array in [*report["arrays"].items()][:_MOST_ARRAYS]
    ]  # fmt: skip
    sent = [
        (kind, str(of["count"]), f"{of['padded'] / 2**20:.2f}")
        for kind, of in report["collectives"].items()
    ] or [("none", "0", "0")]
    for title, heads, rows in (
        ("Parts", ("part", "GB", "GB without padding", "% of all"), parts),
        ("Arrays written", ("shape", "count", "MB each", "padding x", "GB"), arrays),
        ("Collectives", ("kind", "count", "MiB handed over"), sent),
    ):
        lines.append(f"## {title}\n\n{Sheet('', heads, rows).markdown()}")
    return "\n".join(lines)


def _roofline(report: Mapping[str, Any], moved: int) -> str:
    """Return a paragraph about the time that the chip takes at least for arithmetic and memory."""
    flops, accessed = report["cost"]["flops"], report["cost"]["bytes accessed"]
    counted = (
        f"By XLA's count: {flops / 1e9:,.1f} GFLOP, {accessed / 1e9:,.2f} GB accessed. "
        f"Operations read and write {moved / 1e9:,.2f} GB of HBM."
    )
    chip = CHIPS.get(report["topology"].partition(":")[0])
    if chip is None:
        return f"{counted} No rates of this chip are known here.\n"
    arithmetic = 1e3 * flops / chip.flops
    by_xla, by_operations = (1e3 * count / chip.bandwidth for count in (accessed, moved))
    bound = "memory" if min(by_xla, by_operations) > arithmetic else "arithmetic"
    return (
        f"{counted} At {chip.flops / 1e12:.0f} TFLOP/s and {chip.bandwidth / 1e9:.0f} GB/s "
        f"({chip.source}): {arithmetic:.2f} ms of arithmetic; {by_xla:.2f} and "
        f"{by_operations:.2f} ms of memory; bound by {bound}.\n"
    )


def _gigabytes(values: int, padded: int) -> tuple[str, str]:
    return f"{padded / 1e9:.3f}", f"{values / 1e9:.3f}"
