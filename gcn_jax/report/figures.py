"""Curves and matrices as SVG that lives inside an HTML page and takes on its text colour."""

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Stands for the page's text colour while matplotlib draws; nothing else has it.
_INK = "#010203"
_STYLE: dict[Any, Any] = {
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "gcn_jax",
}
_LINE_COLORS = ("#3b82c4", "#d9822b")
#: Above these numbers of classes, cells are too small for their value, and rows for their name.
_MAX_CLASSES_WITH_VALUES, _MAX_CLASSES_WITH_NAMES = 21, 60


def curves(series: Mapping[str, Sequence[tuple[float, float]]], over: str = "step") -> str:
    """Draw values over whole numbers.

    Args:
        series: (number, value) pairs by the name of their line; one line goes without a legend.
        over: What the numbers are.

    Returns:
        An `<svg>` element.
    """
    from matplotlib.ticker import MaxNLocator

    with _figure(4.2, 2.7) as figure:
        axes = figure.add_subplot()
        axes.set_prop_cycle(color=_LINE_COLORS)
        for name, points in series.items():
            numbers, values = zip(*points, strict=True)
            marker = "o" if len(points) <= 30 else None
            axes.plot(numbers, values, label=name, marker=marker, markersize=3)
        axes.set_xlabel(over)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.grid(alpha=0.25, linewidth=0.6)
        if len(series) > 1:
            axes.legend(frameon=False)
        return _svg(figure)


def confusion(matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """Draw a confusion matrix, each row in percent of its true class.

    Args:
        matrix: Integers `[C, C]`; rows are the truth, columns the prediction.
        class_names: C names.

    Returns:
        An `<svg>` element; rows of classes that the truth does not contain are empty.
    """
    num_classes = len(class_names)
    truth = matrix.sum(axis=1, keepdims=True)
    percent = np.where(truth > 0, 100 * matrix / np.maximum(truth, 1), np.nan)
    side = float(np.clip(0.42 * num_classes + 1.6, 4.0, 9.0))
    with _figure(side + 0.6, side) as figure:
        axes = figure.add_subplot()
        picture = axes.imshow(percent, cmap="viridis", vmin=0, vmax=100, interpolation="nearest")
        bar = figure.colorbar(picture, ax=axes, fraction=0.045, pad=0.03)
        bar.set_label("% of the true class")
        bar.outline.set_visible(False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("prediction")
        axes.set_ylabel("truth")
        if num_classes <= _MAX_CLASSES_WITH_NAMES:
            size = 9 if num_classes <= 24 else 6
            axes.set_xticks(range(num_classes), class_names, rotation=90, fontsize=size)
            axes.set_yticks(range(num_classes), class_names, fontsize=size)
        if num_classes <= _MAX_CLASSES_WITH_VALUES:
            for (row, column), value in np.ndenumerate(percent):
                if value >= 0.5:  # below, it would read 0
                    color = "black" if value > 60 else "white"
                    text = f"{value:.0f}"
                    axes.text(column, row, text, ha="center", va="center", color=color, size=8)
        return _svg(figure)


@contextlib.contextmanager
def _figure(width: float, height: float) -> Iterator["Figure"]:
    """Make a figure of so many inches in the style of the page."""
    import matplotlib  # here, so that a picture or a table needs no plotting library
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def _svg(figure: "Figure") -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")
