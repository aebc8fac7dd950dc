"""The parts of a program: what the names that its operations carry say of the network."""

import re

from gcn_jax.analysis.costs.complexity import level_of

#: The step outside the network: loss, optimiser, copies that carry no name.
OUTSIDE = "loss, optimiser, unnamed"


def part_of(name: str) -> str:
    """Name the part that a name stack belongs to: "gcn5", "backbone/res4, backward".

    Example:
        >>> part_of("transpose(jvp(GCN))/GCN._score/gcn5/left_k1")
        'gcn5, backward'
    """
    if not re.match(r"(transpose\()?jvp\((?!jit)\w|[A-Z]\w*/", name):  # in a forward pass: GCN/...
        return OUTSIDE
    return level_of(name) + (", backward" if name.startswith("transpose") else "")


def part_of_operation(op_name: str) -> str | None:
    """Name the part that an operation of a compiled program belongs to; None if it has no name."""
    found = re.fullmatch(r"(?:jit\([^)]*\)/)?(.*)/[^/]*", op_name)
    return part_of(found[1]) if found else None
