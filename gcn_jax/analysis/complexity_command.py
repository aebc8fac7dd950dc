"""`python -m gcn_jax.analysis complexity`: what a network costs, level by level, and against k."""

import ast
import csv
import dataclasses
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from flax import linen as nn
from rich.console import Console
from rich.table import Table

from gcn_jax import atomic
from gcn_jax.analysis.complexity import BACKBONE, Cost, compiled_flops, cost_by_level
from gcn_jax.analysis.kernel_size import head_costs, top_features
from gcn_jax.analysis.kernel_size_plot import plot_head_costs
from gcn_jax.errors import UserError
from gcn_jax.models import create_model

#: Of the cost against k: as in Tables 1 and 2 of the paper.
_KERNEL_SIZES = (3, 5, 7, 9, 11, 13, 15)

_NOTES = """\
Parameters are what is learnt. FLOPs are of inference on one image: multiplications and additions,
two for a product that is added, without those with the zeros of a padding, as XLA's cost analysis
counts them in the program that it is handed (`gcn_jax/analysis/complexity.py`). Activations are
what the forward pass of training keeps for the gradient, float32 unless `dtype` says otherwise.
"""

#: Column heads and rows, as text.
_Rows = tuple[Sequence[str], list[list[str]]]


def run(arguments: Sequence[str]) -> None:
    """Print the costs of a network, and write them to a folder.

    Args:
        arguments: Flags, such as `["--model=gcn_resnet50", "--size=512", "--output=costs"]`.

    Raises:
        UserError: A flag, the model or one of its fields is unknown.
    """
    values = _parse(arguments)
    model = _model(values)
    size = _size(values["size"].value)
    levels = cost_by_level(model, size)
    compiled = compiled_flops(model, size)
    title = f"{values['model'].value}, {values['num_classes'].value} classes, {size[0]} x {size[1]}"
    tables = {"levels": _level_rows(levels)}
    content = {
        "model": values["model"].value,
        "size": size,
        "compiled_flops": compiled,
        "levels": {level: dataclasses.asdict(cost) for level, cost in levels.items()},
        "network": dataclasses.asdict(sum(levels.values(), Cost())),
    }
    costs = None
    if hasattr(model, "kernel_size"):
        features = top_features(model, size)
        costs = head_costs(features, values["num_classes"].value, _KERNEL_SIZES)
        tables["kernel_size"] = _kernel_size_rows(costs)
        content["kernel_size"] = {
            head: {
                k: {"parameters": cost.parameters, "flops": cost.flops} for k, cost in of.items()
            }
            for head, of in costs.items()
        }
    captions = {
        "levels": f"{title}; compiled for this machine: {compiled / 1e9:.2f} GFLOPs",
        "kernel_size": "One head after res-5, without biases, against its kernel size k",
    }
    for name, rows in tables.items():
        _print(captions[name], *rows)
    if values["output"].value:
        _write(Path(values["output"].value), tables, captions, content)
        if costs:
            plot_head_costs(costs, features, Path(values["output"].value))
        print(f"wrote {values['output'].value}")


# -------------------------------------------------------------------------------------- the flags
def _parse(arguments: Sequence[str]) -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_string("model", None, "Its name.", flag_values=values)
    flags.DEFINE_string("size", "512", "Of the image, in px: N or HxW.", flag_values=values)
    flags.DEFINE_integer("num_classes", 21, "That it scores.", 1, flag_values=values)
    flags.DEFINE_multi_string("field", [], "KEY=VALUE of the model.", flag_values=values)
    flags.DEFINE_string("output", None, "Folder to write to.", flag_values=values)
    try:
        rest = values(["complexity", *arguments])[1:]
    except flags.Error as error:
        raise UserError(str(error)) from None
    if rest or not values["model"].value:
        raise UserError(
            "usage: python -m gcn_jax.analysis complexity --model NAME [--size N|HxW] "
            "[--num_classes N] [--field KEY=VALUE ...] [--output DIR]"
        )
    return values


def _model(values: flags.FlagValues) -> nn.Module:
    fields: dict[str, Any] = {}
    for field in values["field"].value:
        key, equals, text = field.partition("=")
        if not equals:
            raise UserError(f"--field={field} is not KEY=VALUE, such as kernel_size=7")
        try:
            fields[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            fields[key] = text
    return create_model(
        values["model"].value, **{"num_classes": values["num_classes"].value, **fields}
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if not match:
        raise UserError(f"--size={text} is neither N nor HxW, such as 512 or 360x480")
    return int(match[1]), int(match[2] or match[1])


# ------------------------------------------------------------------------------------- the tables
def _level_rows(levels: dict[str, Cost]) -> _Rows:
    network = sum(levels.values(), Cost())
    backbone = sum((levels[level] for level in levels if level.startswith(BACKBONE)), Cost())
    named = {**levels, "all of the backbone": backbone, "network": network}
    rows = [
        [
            level,
            f"{cost.parameters:,}",
            f"{cost.flops / 1e9:,.3f}",
            f"{cost.activation_bytes / 2**20:,.1f}",
        ]
        for level, cost in named.items()
    ]
    return ("level", "parameters", "GFLOPs", "activations, MiB"), rows


def _kernel_size_rows(costs: dict[str, dict[int, Cost]]) -> _Rows:
    rows = []
    for k, gcn in costs["gcn"].items():
        conv = costs["conv"][k]
        ratio = gcn.parameters / conv.parameters
        counts = [f"{cost.parameters:,}" for cost in (gcn, conv)]
        flops = [f"{cost.flops / 1e6:,.1f}" for cost in (gcn, conv)]
        rows.append([str(k), *counts, f"{ratio:.3f}", f"{2 / k:.3f}", *flops])
    head = ("k", "GCN parameters", "k x k parameters", "ratio", "2 / k")
    return (*head, "GCN MFLOPs", "k x k MFLOPs"), rows


def _print(title: str, head: Sequence[str], rows: list[list[str]]) -> None:
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(head):
        table.add_column(name, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _write(
    folder: Path, tables: dict[str, _Rows], captions: dict[str, str], content: dict[str, Any]
) -> None:
    atomic.write(folder / "complexity.json", json.dumps(content, indent=2) + "\n")
    parts = [_NOTES]
    for name, (head, rows) in tables.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([head, *rows])
        atomic.write(folder / f"{name}.csv", text.getvalue())
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"{captions[name]}\n\n{body}\n")
    atomic.write(folder / "complexity.md", "\n".join(parts))
