"""The cost of a head against its kernel size, drawn."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gcn_jax import atomic
from gcn_jax.analysis.complexity import Cost

#: Head -> (its name in the legend, its colour).
_LINES = {"gcn": ("global convolution: linear", "#3b82c4"), "conv": ("k x k: quadratic", "#d9822b")}


def plot_head_costs(
    costs: Mapping[str, Mapping[int, Cost]], features: Sequence[int], folder: Path
) -> None:
    """Draw parameters and FLOPs against k into `kernel_size.png` and `.svg` of a folder.

    Args:
        costs: From `head_costs`.
        features: The shape `(H, W, C)` that these are for.
        folder: Where to write.
    """
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    height, width, channels = features
    figure.suptitle(f"One head on a {height} x {width} map of {channels} channels", fontsize=11)
    units = (("parameters, millions", 1e6), ("GFLOPs", 1e9))
    for axes, (label, unit) in zip(figure.subplots(1, 2), units, strict=True):
        for head, of in costs.items():
            name, color = _LINES[head]
            numbers = [c.parameters if unit == 1e6 else c.flops for c in of.values()]
            values = [number / unit for number in numbers]
            axes.plot([*of], values, marker="o", markersize=4, color=color, label=name)
        axes.set_xticks([*next(iter(costs.values()))])
        axes.set_xlabel("k")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    for suffix, metadata in (("png", {}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=150, metadata=metadata)
        atomic.write(folder / f"kernel_size.{suffix}", buffer.getvalue())
