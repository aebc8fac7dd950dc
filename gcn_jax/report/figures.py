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
#: What matplotlib writes into a file of its own about itself, and not into a page.
_METADATA = ("Date", "Creator", "Format", "Type")
#: What lines and points are drawn in, one after the other.
LINE_COLORS = ("#3b82c4", "#d9822b", "#2f9e60", "#a15bb5")
#: Above these numbers of classes, cells are too small for their value, and rows for their name.
_MAX_CLASSES_WITH_VALUES, _MAX_CLASSES_WITH_NAMES = 21, 60
#: Characters of a name beside a matrix; longer ones would leave it no room.
_MAX_NAME = 24
#: The relative luminance at which black and white stand out alike (WCAG's contrast of 4.6).
_MIDDLE_LUMINANCE = 0.179


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    unit: str,
    over: str = "step",
    last: float | None = None,
) -> str:
    """Draw values over whole numbers, both axes from 0, few values as points.

    Args:
        series: (number, value) pairs by the name of their line, none below 0; one line goes
            without a legend.
        unit: What the values are, such as "mIoU, %".
        over: What the numbers are.
        last: Where the axis of the numbers ends; by default at the last one.

    Returns:
        An `<svg>` element.
    """
    from matplotlib.ticker import MaxNLocator

    pairs = [pair for points in series.values() for pair in points]
    last = last or max(number for number, _ in pairs)
    highest = max(value for _, value in pairs)
    with _figure(4.2, 2.7) as figure:
        axes = figure.add_subplot()
        axes.set_prop_cycle(color=LINE_COLORS)
        for name, points in series.items():
            numbers, values = zip(*points, strict=True)
            marker = "o" if len(points) <= 30 else None
            axes.plot(numbers, values, label=name, marker=marker, markersize=4)
        axes.set_xlabel(over)
        axes.set_ylabel(unit)
        axes.set_xlim(0, 1.03 * last or 1)
        axes.set_ylim(0, 1.08 * highest or 1)
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
            names = [_short(name) for name in class_names]
            axes.set_xticks(range(num_classes), names, rotation=90, fontsize=size)
            axes.set_yticks(range(num_classes), names, fontsize=size)
        if num_classes <= _MAX_CLASSES_WITH_VALUES:
            for (row, column), value in np.ndenumerate(percent):
                if value >= 0.5:  # below, it would read 0
                    is_bright = _luminance(picture.to_rgba(value)) > _MIDDLE_LUMINANCE
                    color = "black" if is_bright else "white"
                    text = f"{value:.0f}"
                    axes.text(column, row, text, ha="center", va="center", color=color, size=8)
        return _svg(figure, bbox_inches="tight", pad_inches=0.05)  # however long the names are


def largest_confusions(
    matrix: np.ndarray, class_names: Sequence[str], count: int = 10
) -> list[tuple[str, str, float]]:
    """Return what is taken for something else most.

    Args:
        matrix: Integers `[C, C]`; rows are the truth, columns the prediction.
        class_names: C names.
        count: How many at most.

    Returns:
        (truth, prediction, share of the true class's pixels), the largest share first.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:count]
    rows, columns = np.unravel_index(order, shares.shape)
    return [
        (class_names[row], class_names[column], float(shares[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if shares[row, column] > 0
    ]


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"


def _luminance(color: np.ndarray) -> float:
    """Return the relative luminance of (red, green, blue, ...) in 0..1, after WCAG 2."""
    channels = np.asarray(color[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


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


def _svg(figure: "Figure", **options: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA), **options
    )
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")
