"""The table of a training on slices of TPU chips."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gcn_jax.configs import stage1, stage2, stage3

from benchmarks.scaling_rules import PODS, Slice, State, estimate, images_a_chip
from benchmarks.tpu_report import CHIPS
from gcn_jax.analysis.sheets import Sheet

#: Bytes/s of a checkpoint with its digests into the page cache: docs/reliability.md.
SAVED = 240 * 2**20 / 0.371


def markdown(
    report: Mapping[str, Any], state: State, slices: Sequence[Slice], decoded: float
) -> str:
    """Return the estimates as Markdown that reads well as plain text.

    Args:
        report: What `benchmarks.tpu` wrote about a training step.
        state: The network's training state.
        slices: The slices, a column each.
        decoded: Images/s that a core decodes, as measured.
    """
    compiled = report["topology"].partition(":")[0]
    images, size = images_a_chip(report), report["size"]
    sums = report["collectives"].get("all-reduce", {"count": 0, "padded": 0})
    found = [(of, estimate(report, state, of)) for of in slices]
    rows = {
        "chips, hosts": [f"{of.chips}, {e.hosts}" for of, e in found],
        "GiB a chip, of": [
            f"{e.memory / 2**30:.2f}, {PODS[of.kind].memory / 2**30:.1f}" for of, e in found
        ],
        "arithmetic, ms": [f"{1e3 * e.arithmetic:.2f}" for _, e in found],
        "memory traffic, ms": [f"{1e3 * e.traffic:.2f}" for _, e in found],
        "all-reduce of gradients, ms": [f"{1e3 * e.gradients:.2f}" for _, e in found],
        "step, ms": [f"{1e3 * e.step:.2f}" for _, e in found],
        "all-reduces of batch-norm, ms": [f"{1e3 * e.statistics:.2f}" for _, e in found],
        "batch": [f"{e.batch:,}" for _, e in found],
        "images/s": [f"{e.batch / e.step:,.0f}" for _, e in found],
        "images/s a host decodes": [f"{e.host:,.0f}" for _, e in found],
        "cores for that, of vCPUs": [
            f"{math.ceil(e.host / decoded)}, {PODS[of.kind].cpus}" for of, e in found
        ],
    }
    for number, stage in enumerate((stage1, stage2, stage3), 1):
        config = stage.get_config()
        seen = config.num_steps * config.batch_size
        area = math.prod(config.augment.crop_size) / size**2
        rows[f"stage {number}, steps"] = [f"{math.ceil(seen / e.batch):,}" for _, e in found]
        rows[f"stage {number}, hours"] = [f"{e.hours(seen, area):.2g}" for _, e in found]
        rate = config.optimizer.learning_rate / config.batch_size
        rows[f"stage {number}, rate"] = [f"{rate * e.batch:.1e}" for _, e in found]
    heads = ("", *(f"{of}{'' if of.kind == compiled else ' *'}" for of in slices))
    note = ""
    if any(of.kind != compiled for of in slices):
        note = f"\\* {compiled}'s program at the rates of another chip: not compiled for it."
    sources = ", ".join(CHIPS[kind].source for kind in dict.fromkeys(of.kind for of in slices))
    return (
        f"# {report['network']}: a training on slices of TPUs\n\n"
        f"Compiled: one chip's part of a step on {report['topology']}, {images} x {size} x {size} "
        f"px a chip, {report['dtype']} ({report['date'][:10]}); {sums['count']} all-reduces of "
        f"{sums['padded'] / 1e6:.1f} MB. Measured: {decoded:.1f} images/s that a core decodes. "
        f"Computed: all else, from published rates ({sources}).\n\n"
        f"Parameters {state.parameters / 1e6:.1f} MB, and as many gradients; statistics of "
        f"{state.norms} batch-norms {state.statistics / 1e6:.2f} MB; a checkpoint "
        f"{state.all / 1e6:.1f} MB, {state.all / SAVED:.2f} s at {SAVED / 1e6:.0f} MB/s.\n\n"
        + Sheet("", heads, [(name, *texts) for name, texts in rows.items()], note).markdown()
    )
