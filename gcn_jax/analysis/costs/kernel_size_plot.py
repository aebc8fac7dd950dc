"""The cost of a head against its kernel size, drawn."""

from collections.abc import Mapping, Sequence

from gcn_jax.analysis.costs.complexity import Cost
from gcn_jax.analysis.figures import svg_figure

#: Head -> (its name in the legend, how its dashed line grows with k, its colour).
_LINES = {
    "gcn": ("global convolution", "linear", "#3b82c4"),
    "conv": ("k x k", "quadratic", "#d9822b"),
}


def plot_head_costs(costs: Mapping[str, Mapping[int, Cost]], features: Sequence[int]) -> str:
    """Draw parameters and FLOPs against k.

    FLOPs leave out products with the zeros of the padding; dashed lines are what they would be with
    them, 2 * H * W * parameters.

    Args:
        costs: From `head_costs`.
        features: The shape `(H, W, C)` that these are for.

    Returns:
        An SVG file.
    """
    height, width, channels = features
    with svg_figure(8.4, 3.2) as (figure, svg):
        figure.suptitle(f"One head on a {height} x {width} map of {channels} channels")
        left, right = figure.subplots(1, 2)
        for head, of in costs.items():
            name, growth, color = _LINES[head]
            style = {"color": color, "marker": "o", "markersize": 4}
            left.plot([*of], [cost.parameters / 1e6 for cost in of.values()], label=name, **style)
            right.plot([*of], [cost.flops / 1e9 for cost in of.values()], **style)
            padded = [2 * height * width * cost.parameters / 1e9 for cost in of.values()]
            dashed = {"color": color, "linestyle": "--", "linewidth": 1}
            right.plot([*of], padded, label=f"with the padding's zeros: {growth}", **dashed)
        for axes, label in ((left, "parameters, millions"), (right, "GFLOPs")):
            axes.set_xticks([*of])
            axes.set(xlabel="k", ylabel=label, ylim=(0, None))
            axes.grid(alpha=0.25, linewidth=0.6)
            axes.legend(frameon=False)
        return svg()
