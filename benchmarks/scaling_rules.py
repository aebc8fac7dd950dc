"""What a slice of TPU chips takes for a training step: the arithmetic, without any network."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.tpu_report import CHIPS
from gcn_jax.errors import UserError

#: Seconds that data takes from one chip to the next: https://jax-ml.github.io/scaling-book/sharding
HOP = 1e-6


class Pod(NamedTuple):
    """What is around a chip, by the pages that `tpu_report.CHIPS` names, but for `ring`.

    Attributes:
        memory: Bytes of its large memory.
        links: Bytes/s that it can send, over all its links: half of what is published for both
            directions.
        axes: Along how many axes it has two neighbours each.
        ring: How many chips an axis has at least for its ends to be linked; all axes have to.
        chips: How many chips a host has.
        cpus: How many vCPUs the machine type of such a host has.
    """

    memory: float
    links: float
    axes: int
    ring: int
    chips: int
    cpus: int


#: v5e's ring: https://jax-ml.github.io/scaling-book/tpus; v5p's: its page ("4x4x4 and larger").
PODS = {
    "v5e": Pod(memory=16e9, links=200e9, axes=2, ring=16, chips=8, cpus=224),
    "v5p": Pod(memory=95 * 2**30, links=600e9, axes=3, ring=4, chips=4, cpus=208),
}


class State(NamedTuple):
    """Bytes of a training state.

    Attributes:
        parameters: Of the parameters, as they are kept.
        statistics: Of the running statistics of batch-norm.
        norms: How many batch-norms there are.
        all: Of all that a checkpoint holds.
    """

    parameters: int
    statistics: int
    norms: int
    all: int


class Slice(NamedTuple):
    """Chips that are linked.

    Attributes:
        kind: A name of `PODS`.
        shape: How many lie along each axis.
    """

    kind: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind}:{'x'.join(map(str, self.shape))}"

    @property
    def chips(self) -> int:
        """How many chips there are."""
        return math.prod(self.shape)

    @property
    def is_torus(self) -> bool:
        """Whether both ends of each axis are linked."""
        return min(self.shape) >= PODS[self.kind].ring


def read_slice(name: str) -> Slice:
    """Return a slice by its name, such as "v5e:8x8" or "v5p:4x4x4".

    Args:
        name: Kind and arrangement.

    Raises:
        UserError: There is no such slice, or its chips' rates are not known here.
    """
    kind, _, shape = name.partition(":")
    if kind not in PODS:
        raise UserError(f"slice {name!r}: the kinds that are known here are {', '.join(PODS)}")
    sides = shape.split("x")
    if len(sides) != PODS[kind].axes or not all(re.fullmatch(r"[1-9][0-9]{0,3}", s) for s in sides):
        raise UserError(
            f"slice {name!r}: chips of {kind} lie along {PODS[kind].axes} axes, such as "
            f"{kind}:{'x'.join('4' * PODS[kind].axes)}"
        )
    return Slice(kind, tuple(map(int, sides)))


def all_reduce(size: float, of: Slice, count: int = 1) -> float:
    """Return the seconds that sums over all chips take at least.

    Each sum is a reduce-scatter and an all-gather, all links of a chip at work: it sends
    (chips - 1) / chips of the bytes in each. Without links between the ends of an axis the chips at
    the corners have one link along it in place of two. Each of the two takes as many hops as the
    farthest chip is away.

    Args:
        size: Bytes that each chip has to sum, in all.
        of: The chips.
        count: How many sums, one after the other.
    """
    links = PODS[of.kind].links / (1 if of.is_torus else 2)
    hops = sum(side // 2 if of.is_torus else side - 1 for side in of.shape)
    return 2 * size * (of.chips - 1) / of.chips / links + 2 * count * hops * HOP


class Estimate(NamedTuple):
    """A training step on a slice; times in seconds, sizes in bytes.

    Attributes:
        batch: Images of all chips.
        memory: What a chip sets aside.
        arithmetic: The FLOPs at the chip's peak.
        traffic: The bytes at the peak of its memory.
        gradients: Their all-reduce.
        statistics: The all-reduces of batch-norm, where it is not frozen.
        step: The longer of arithmetic and traffic, and then the gradients.
        host: Images/s that a host has to decode.
        hosts: How many hosts there are.
    """

    batch: int
    memory: int
    arithmetic: float
    traffic: float
    gradients: float
    statistics: float
    step: float
    host: float
    hosts: int

    def hours(self, images: int, area: float = 1.0) -> float:
        """Return the hours of a stage.

        Args:
            images: Images that it sees, each pass counted.
            area: Pixels of its crops, as a multiple of those that were compiled.
        """
        step = area * max(self.arithmetic, self.traffic) + self.gradients
        return images / self.batch * step / 3600


def estimate(report: Mapping[str, Any], state: State, of: Slice) -> Estimate:
    """Estimate a training step on a slice, each of whose chips has as many images as compiled.

    Args:
        report: What `benchmarks.tpu` wrote about a training step.
        state: The network's training state.
        of: The slice.
    """
    chip, pod = CHIPS[of.kind], PODS[of.kind]
    memory = report["memory"]
    moved = max(
        report["cost"]["bytes accessed"], sum(part["padded"] for part in report["parts"].values())
    )
    arithmetic, traffic = report["cost"]["flops"] / chip.flops, moved / chip.bandwidth
    gradients = all_reduce(state.parameters, of)
    batch = images_a_chip(report) * of.chips
    step = max(arithmetic, traffic) + gradients
    hosts = math.ceil(of.chips / pod.chips)
    return Estimate(
        batch=batch,
        memory=memory["argument"] + memory["output"] - memory["alias"] + memory["temp"],
        arithmetic=arithmetic,
        traffic=traffic,
        gradients=gradients,
        statistics=all_reduce(2 * state.statistics, of, 2 * state.norms),
        step=step,
        host=batch / step / hosts,
        hosts=hosts,
    )


def images_a_chip(report: Mapping[str, Any]) -> int:
    """Return how many images a chip has in a compiled step.

    Args:
        report: What `benchmarks.tpu` wrote.
    """
    shape = report["topology"].partition(":")[2].split("x")
    return report["batch"] // math.prod(map(int, shape))
