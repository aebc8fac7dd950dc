"""The picture of two networks along borders: outlines, errors by their distance, and curves."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gcn_jax import IGNORE_LABEL
from gcn_jax.analysis.borders.differences import Differences
from gcn_jax.analysis.figures import new_figure
from gcn_jax.evaluation.boundary import BOUNDARY_WIDTH, MAX_TRIMAP_WIDTH, border_distance
from gcn_jax.models.preprocessing import as_rgb

#: Of the truth, of the first network and of the second.
_COLORS = ("#ffffff", "#e4572e", "#2e86e4")
#: Pixels from a border from which on errors have the last colour.
_FAR = 20
_DOTS_PER_INCH = 110
#: In inches: the width of the picture, the height of the curves, and the width of an image.
_WIDTH, _CURVES_INCHES, _IMAGE_INCHES = 9, 3, 2.6


def draw(
    differences: Differences,
    examples: Sequence[Mapping[str, Any]],
    predictions: Sequence[tuple[np.ndarray, np.ndarray]],
    names: tuple[str, str],
) -> bytes:
    """Draw a row for each chosen image, and the accuracy against the width of the trimap.

    Args:
        differences: What was found.
        examples: Those that were chosen, with "image" and "label".
        predictions: The class maps of both networks of each, integers `[H, W]`.
        names: What the networks are called.

    Returns:
        A PNG file.
    """
    rows = len(examples)
    mosaic: list[Any] = [[f"outlines{i}", f"first{i}", f"second{i}"] for i in range(rows)]
    above_inches = sum(_row_inches(example) for example in examples)
    with new_figure(_WIDTH, above_inches + _CURVES_INCHES) as figure:
        parts = figure.add_gridspec(2, 1, height_ratios=(above_inches, _CURVES_INCHES))
        above, below = (figure.add_subfigure(parts[i]) for i in (0, 1))
        axes = above.subplot_mosaic(mosaic, height_ratios=[*map(_row_inches, examples)])
        for i, (chosen, example, maps) in enumerate(
            zip(differences.chosen, examples, predictions, strict=True)
        ):
            _draw_outlines(axes[f"outlines{i}"], example, maps)
            axes[f"outlines{i}"].set_title(
                f"{chosen.why}: image {chosen.index}, {100 * chosen.gain:+.1f} points"
            )
            for which, name, classes in zip(("first", "second"), names, maps, strict=True):
                shown = _draw_errors(axes[f"{which}{i}"], example, classes)
                axes[f"{which}{i}"].set_title(f"errors of {name}")
        colorbar = above.colorbar(
            shown,
            ax=[axes[f"second{i}"] for i in range(rows)],
            shrink=0.6,
            pad=0.02,
            ticks=(1, 5, 10, 15, _FAR),
        )
        colorbar.ax.set_yticklabels(["1", "5", "10", "15", f"{_FAR} and more"])
        colorbar.set_label("px to the border")
        titles = ("truth", *names)
        for color, title in zip(_COLORS, titles, strict=True):
            axes["outlines0"].plot([], [], color=color, label=title)
        legend = axes["outlines0"].legend(
            loc="lower left", fontsize=7, facecolor="#555555", framealpha=0.8, labelcolor="white"
        )
        legend.set_zorder(5)
        _draw_curves(below.subplots(1, 2), differences, names)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
        return buffer.getvalue()


def trimap_curves(differences: Differences) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what both networks score within 1, 2, ... 40 pixels of a border.

    Returns:
        "pixel accuracy" and "mIoU", each float64 `[40]`, in 0..1, of the first and of the second.
    """
    first, second = differences.counts
    return {
        "pixel accuracy": (first.trimap_accuracy, second.trimap_accuracy),
        "mIoU": (first.trimap_miou, second.trimap_miou),
    }


def _row_inches(example: Mapping[str, Any]) -> float:
    height, width = example["label"].shape
    return _IMAGE_INCHES * height / width + 0.35


def _draw_outlines(
    axes: Axes, example: Mapping[str, Any], maps: tuple[np.ndarray, np.ndarray]
) -> None:
    image = as_rgb(example["image"])
    axes.imshow(image // 2 + 32)
    axes.set_axis_off()
    for labels, color, width in zip(
        (example["label"], *maps), _COLORS, (2.0, 0.9, 0.9), strict=True
    ):
        for number in np.unique(labels):
            if number != IGNORE_LABEL and (labels != number).any():
                axes.contour(labels == number, levels=[0.5], colors=color, linewidths=width)


def _draw_errors(axes: Axes, example: Mapping[str, Any], classes: np.ndarray) -> Any:
    image, label = as_rgb(example["image"]), example["label"].astype(np.int32)
    axes.imshow(image.mean(axis=-1), cmap="gray", vmin=-60, vmax=420)
    axes.set_axis_off()
    wrong = (label != classes) & (label != IGNORE_LABEL)
    distance = np.where(wrong, np.minimum(border_distance(label), _FAR), np.nan)
    return axes.imshow(distance, cmap="plasma", vmin=1, vmax=_FAR, interpolation="nearest")


def _draw_curves(
    every_axes: Sequence[Axes], differences: Differences, names: tuple[str, str]
) -> None:
    widths = np.arange(1, MAX_TRIMAP_WIDTH + 1)
    for axes, (title, curves) in zip(every_axes, trimap_curves(differences).items(), strict=True):
        for name, color, curve in zip(names, _COLORS[1:], curves, strict=True):
            axes.plot(widths, 100 * curve, color=color, label=name)
        axes.axvline(BOUNDARY_WIDTH, color="#999999", linewidth=0.6, linestyle=":")
        axes.set(
            xlabel="within px of the border", ylabel=f"{title}, %", xlim=(0, MAX_TRIMAP_WIDTH + 1)
        )
        axes.set_title(f"{title} of {differences.num_images} images")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.legend(frameon=False)
