"""Figures of the studies, drawn by matplotlib without a window."""

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "gcn_jax",
}


@contextlib.contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Make a figure.

    Args:
        width: In inches.
        height: In inches.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


@contextlib.contextmanager
def svg_figure(width: float, height: float) -> Iterator[tuple[Figure, Callable[[], str]]]:
    """Make a figure, and a function that returns its SVG file once it is drawn.

    Args:
        width: In inches.
        height: In inches.
    """
    with new_figure(width, height) as figure:

        def svg() -> str:
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None})
            return buffer.getvalue()

        yield figure, svg
