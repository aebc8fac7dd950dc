"""The cost of a head against its kernel size, drawn."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gcn_jax import atomic
from gcn_jax.analysis.complexity import Cost

#: Head -> (its name in the legend, its colour).
_LINES = {"gcn": ("global convolution: linear", "#3b82c4"), "conv": ("k x k: quadratic", "#d9822b")}


def plot_head_costs(
    costs: Mapping[str, Mapping[int, Cost]], features: Sequence[int], folder: Path
) -> None:
    """Draw parameters and FLOPs against k into `kernel_size.png` and `.svg` of a folder.

    Dashed lines are what FLOPs would be with the zeros of the padding: 2 * H * W * parameters.

    Args:
        costs: From `head_costs`.
        features: The shape `(H, W, C)` that these are for.
        folder: Where to write.
    """
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    height, width, channels = features
    figure.suptitle(f"One head on a {height} x {width} map of {channels} channels", fontsize=11)
    left, right = figure.subplots(1, 2)
    for head, of in costs.items():
        name, color = _LINES[head]
        line = partial(Axes.plot, marker="o", markersize=4, color=color)
        line(left, [*of], [cost.parameters / 1e6 for cost in of.values()], label=name)
        line(right, [*of], [cost.flops / 1e9 for cost in of.values()])
        padded = [2 * height * width * cost.parameters / 1e9 for cost in of.values()]
        right.plot([*of], padded, linestyle="--", linewidth=1, color=color)
    for axes, label in ((left, "parameters, millions"), (right, "GFLOPs")):
        axes.set_xticks([*of])
        axes.set_xlabel("k")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    dashed = Line2D([], [], linestyle="--", linewidth=1, color="gray")
    right.legend([dashed], ["with the zeros of the padding"], frameon=False)
    for suffix, metadata in (("png", {}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=150, metadata=metadata)
        atomic.write(folder / f"kernel_size.{suffix}", buffer.getvalue())
