"""Count what a network costs, level by level, and against its kernel size.

    gcn-jax analysis complexity --model gcn_resnet152 --size 512 --output costs

Prints parameters, FLOPs and activation memory of each level of a network for one image of that size
(512 px), and for a network with a kernel size what its head on res-5 costs against k. FLOPs leave
out products with the zeros of a padding, which are many where k is near the size of the map: on a
map that is not much larger than k they grow more slowly with k than the parameters do. With
--output writes DIR/complexity.json, complexity.md, levels.csv, kernel_size.csv and
kernel_size.svg.
"""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

from absl import flags
from flax import linen as nn

from gcn_jax import atomic
from gcn_jax.analysis.costs.complexity import BACKBONE, Cost, compiled_flops, cost_by_level
from gcn_jax.analysis.costs.kernel_size import head_costs, plot_head_costs, top_features
from gcn_jax.analysis.sheets import Sheet
from gcn_jax.cli import process
from gcn_jax.cli.flags import expect_arguments, key_and_value, settings_of
from gcn_jax.errors import UserError
from gcn_jax.models import create_model
from gcn_jax.terminal import make_console, say

#: Of the cost against k: as in Table 1 of the paper.
_KERNEL_SIZES = (3, 5, 7, 9, 11, 13, 15)

_NOTES = """\
Parameters are what is learnt. FLOPs are of inference on one image: a product that is added to a sum
is two; products with the zeros of a padding are none. They are XLA's count for the program that it
is handed. Activations are what the forward pass of training keeps of one image for the gradient.
"""


FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "model", None, "The network's name, such as gcn_resnet50.", required=True, flag_values=FLAGS
)
flags.DEFINE_string("size", "512", "The image's size, in px: N or HxW.", flag_values=FLAGS)
flags.DEFINE_integer("num_classes", 21, "Classes that it scores.", 1, flag_values=FLAGS)
flags.DEFINE_multi_string("field", [], "KEY=VALUE of the network.", flag_values=FLAGS)
flags.DEFINE_string("output", None, "Folder to write to.", flag_values=FLAGS)
process.define_compilation_cache(FLAGS)


def run(arguments: list[str]) -> None:
    """Print the costs of a network, and write them to a folder."""
    expect_arguments(arguments, "", 0)
    values = FLAGS
    model, size = _model(values), _size(values.size)
    levels, compiled = cost_by_level(model, size), compiled_flops(model, size)
    sheets = {"levels": _level_sheet(values, size, levels, compiled)}
    numbers = {
        "settings": settings_of(FLAGS),
        "network": dataclasses.asdict(sum(levels.values(), Cost())),
        "compiled_flops": compiled,
        "levels": {level: dataclasses.asdict(cost) for level, cost in levels.items()},
    }
    files = {}
    if hasattr(model, "kernel_size"):
        features = top_features(model, size)
        costs = head_costs(features, values.num_classes, _KERNEL_SIZES)
        sheets["kernel_size"] = _kernel_size_sheet(costs)
        numbers["kernel_size"] = {
            head: {k: {"parameters": c.parameters, "flops": c.flops} for k, c in of.items()}
            for head, of in costs.items()
        }
        files["kernel_size.svg"] = plot_head_costs(costs, features)
    for sheet in sheets.values():
        make_console().print(sheet.table())
    if values.output:
        files["complexity.json"] = json.dumps(numbers, indent=2) + "\n"
        texts = [f"{sheet.caption}\n\n{sheet.markdown()}" for sheet in sheets.values()]
        files["complexity.md"] = "\n".join([_NOTES, *texts])
        files |= {f"{name}.csv": _csv(sheet) for name, sheet in sheets.items()}
        for name, content in files.items():
            atomic.write(Path(values.output) / name, content)
        say(f"wrote {', '.join(sorted(files))} in {values.output}")


# -------------------------------------------------------------------------------------- the flags
def _model(values: flags.FlagValues) -> nn.Module:
    fields = dict(key_and_value("--field", field) for field in values.field)
    return create_model(values.model, **{"num_classes": values.num_classes, **fields})


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if not match:
        raise UserError(f"--size={text} is neither N nor HxW, such as 512 or 360x480")
    return int(match[1]), int(match[2] or match[1])


# ------------------------------------------------------------------------------------- the sheets
def _level_sheet(
    values: flags.FlagValues, size: tuple[int, int], levels: Mapping[str, Cost], compiled: int
) -> Sheet:
    backbone = sum((levels[level] for level in levels if level.startswith(BACKBONE)), Cost())
    network = sum(levels.values(), Cost())
    rows = [
        (
            level,
            f"{cost.parameters:,}",
            f"{cost.flops / 1e9:,.3f}",
            f"{cost.activation_bytes / 2**20:,.1f}",
        )
        for level, cost in {**levels, "the backbone": backbone, "the network": network}.items()
    ]
    caption = (
        f"{values.model}, {values.num_classes} classes, {size[0]} x {size[1]} px; compiled for "
        f"this machine: {compiled / 1e9:.3f} GFLOPs"
    )
    return Sheet(caption, ("level", "parameters", "GFLOPs", "activations, MiB"), rows)


def _kernel_size_sheet(costs: Mapping[str, Mapping[int, Cost]]) -> Sheet:
    rows = []
    for k, gcn in costs["gcn"].items():
        conv = costs["conv"][k]
        counts = [f"{cost.parameters:,}" for cost in (gcn, conv)]
        ratio = [f"{value:.3f}" for value in (gcn.parameters / conv.parameters, 2 / k)]
        flops = [f"{cost.flops / 1e6:,.1f}" for cost in (gcn, conv)]
        rows.append((str(k), *counts, *ratio, *flops))
    counted = ("GCN parameters", "k x k parameters", "ratio", "2 / k")
    heads = ("k", *counted, "GCN MFLOPs", "k x k MFLOPs")
    return Sheet("One head on res-5, without biases, against its kernel size k", heads, rows)


def _csv(sheet: Sheet) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(sheet.heads)
    writer.writerows([cell.replace(",", "") for cell in row] for row in sheet.rows)
    return buffer.getvalue()
