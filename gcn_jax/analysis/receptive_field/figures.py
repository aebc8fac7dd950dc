"""Pictures of receptive fields, as PNG."""

import io
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from flax import linen as nn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from PIL import Image
from scipy import ndimage

from gcn_jax.analysis.figures import new_figure
from gcn_jax.analysis.receptive_field.evidence import inside
from gcn_jax.analysis.receptive_field.sight import SHARE, Sight
from gcn_jax.analysis.receptive_field.theory import AxisField, ReceptiveField, receptive_fields
from gcn_jax.analysis.receptive_field.units import level_holding
from gcn_jax.models.layers import Conv
from gcn_jax.models.preprocessing import as_rgb

_HEAT = matplotlib.colormaps["inferno"]
_BOX, _PATCH, _PAPER = "#1fa8e0", "#ff2d20", "#ffffff"
#: Standard deviation with which gradients are blurred, as a share of the image's longer side.
_BLUR = 0.02
#: Width of a row of panels, and of one panel of averages, in inches.
_ROW_WIDTH, _AVERAGE_WIDTH = 10.0, 2.9
#: In inches: a narrower panel has its title on two lines.
_TITLE_WIDTH = 1.8
_LINES = (
    f"white line: the smallest area that holds {100 * SHARE:.0f} % of the map;  "
    "blue dashes: the theoretical field"
)
#: Width of the outline around each share of what is above the noise floor, and the parts of a
#: place's side that it is drawn with.
_OUTLINES, _FINE = {0.5: 2.0, 0.8: 1.3, 0.95: 0.7}, 8
_LEGEND = f"colour: how much the score at + moves;  {_LINES}"


class Evidence(NamedTuple):
    """A panel of `evidence_panels`; the unit is in the middle of both maps.

    Attributes:
        title: The line above it.
        mass: float `[R, R]`, what is above the floor in each place, 0 where nothing is.
        body: float `[R, R]`, the share of each place that is the object, mean of all.
        patch: Side of a place, in px.
        reach: How far the panel reaches from the unit, in px.
    """

    title: str
    mass: np.ndarray
    body: np.ndarray
    patch: int
    reach: float


def panels(sights: Sequence[tuple[str, Sight, str]]) -> bytes:
    """Draw images, and maps over them, side by side, pixels of all images equally large.

    Args:
        sights: For each panel its title, what is shown, and what of it: the "image", the
            "stimulus", or a map, "effective" (blurred: the gradient in a single image is grainy)
            or "valid".

    Returns:
        The bytes of a PNG file.
    """
    sizes = [sight.valid.shape for _, sight, _ in sights]
    ratios = [width for _, width in sizes]
    inches = _ROW_WIDTH / sum(ratios)
    narrow = min(ratios) * inches < _TITLE_WIDTH
    with new_figure(_ROW_WIDTH, max(height for height, _ in sizes) * inches + 0.45) as figure:
        row = figure.subplots(1, len(sights), width_ratios=ratios, squeeze=False)[0]
        for axes, (title, sight, kind) in zip(row, sights, strict=True):
            _draw_panel(axes, sight, kind)
            text = title.replace(", ", "\n", 1) if narrow else title
            axes.set_title(text, fontsize=9, loc="left")
            axes.set_anchor("N")
        figure.supxlabel(_LEGEND, fontsize=8, x=0.01, ha="left")
        return _png(figure)


def _draw_panel(axes: Axes, sight: Sight, kind: str) -> None:
    """Draw a panel of `panels`, with a cross on the unit."""
    if kind == "image":
        axes.imshow(as_rgb(sight.scene.image))
    elif kind == "stimulus":
        axes.imshow(as_rgb(sight.stimulus.image))
        _draw_frame(axes, sight.stimulus.box, edgecolor=_PATCH)
    else:
        # With faint colours, so that those of the map stand out.
        image = as_rgb(sight.scene.image)
        grey = image.mean(axis=2, keepdims=True)
        axes.imshow(((image + 2 * grey) / 3).astype(np.uint8))
        field = getattr(sight, kind)
        if kind == "effective":
            field = ndimage.gaussian_filter(field, _BLUR * max(field.shape))
        _draw_map(axes, field, sight.box)
    axes.plot(sight.scene.unit.column, sight.scene.unit.row, "+", color=_BOX, ms=9, mew=2)
    axes.set_axis_off()


def averages(fields: Sequence[tuple[str, np.ndarray, ReceptiveField]]) -> bytes:
    """Draw re-centred averages of maps, all on one scale of pixels.

    Args:
        fields: For each panel its title, a map from `units.recentre`, and the theoretical field of
            the network's output.

    Returns:
        The bytes of a PNG file.
    """
    boxes = [
        [_around_unit(axis, n) for axis, n in zip(theory, field.shape, strict=True)]
        for _, field, theory in fields
    ]
    reach = 1.1 * np.abs(boxes).max()
    with new_figure(_AVERAGE_WIDTH * len(fields), _AVERAGE_WIDTH + 0.7) as figure:
        row = figure.subplots(1, len(fields), squeeze=False)[0]
        for axes, (title, field, _), box in zip(row, fields, boxes, strict=True):
            height, width = field.shape
            extent = (-width / 2, width / 2, height / 2, -height / 2)  # the unit at (0, 0)
            axes.set_facecolor(_HEAT(0.0))
            _draw_map(axes, field, (*np.transpose(box).ravel(),), extent)
            axes.set(xlim=(-reach, reach), ylim=(reach, -reach))
            axes.set_title(title, fontsize=9, loc="left")
            axes.tick_params(labelsize=7, length=2)
        figure.supxlabel(f"pixels from the score's own;  {_LINES}", fontsize=8)
        return _png(figure)


def evidence_panels(rows: Sequence[Sequence[Evidence]]) -> bytes:
    """Draw what is above the noise floor, with outlines around shares of it.

    Args:
        rows: For each factor by which images are enlarged, a panel for each network; the panels of
            a row show the same part of the scene.

    Returns:
        The bytes of a PNG file.
    """
    width = _AVERAGE_WIDTH * max(len(rows[0]), 2)  # the line below needs as much
    with new_figure(width, _AVERAGE_WIDTH * len(rows) + 0.7) as figure:
        grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
        for axes, panel in zip(grid.ravel(), itertools.chain.from_iterable(rows), strict=True):
            _draw_evidence(axes, panel)
        styles = ", ".join(f"{100 * share:.0f} %" for share in _OUTLINES)
        figure.supxlabel(
            f"pixels from the score's own;  white lines, from thick to thin: {styles} of what is "
            "above the floor;\nblue dashes: where at least half of the objects are",
            fontsize=8,
        )
        return _png(figure)


def _draw_evidence(axes: Axes, panel: Evidence) -> None:
    side = len(panel.mass)
    half = panel.patch * side / 2
    extent = (-half, half, half, -half)
    axes.set_facecolor(_HEAT(0.0))
    axes.set_title(panel.title, fontsize=9, loc="left")
    if panel.mass.any():
        heat = _HEAT(0.15 + 0.85 * np.sqrt(panel.mass / panel.mass.max()))
        heat[panel.mass == 0] = _HEAT(0.0)
        axes.imshow(heat, interpolation="nearest", extent=extent)
        fine = (np.arange(side * _FINE) + 0.5) * panel.patch / _FINE - half
        for share, width in _OUTLINES.items():
            area = np.kron(inside(panel.mass, share), np.ones((_FINE, _FINE)))
            axes.contour(fine, fine, area, [0.5], colors=_PAPER, linewidths=width)
    else:
        axes.text(0, -0.3 * panel.reach, "nothing above the floor", color=_PAPER, ha="center")
    middles = panel.patch * (np.arange(side) - side // 2)
    if panel.body.max() > 0.5:
        axes.contour(middles, middles, panel.body, [0.5], colors=_BOX, linestyles="dashed")
    axes.plot(0, 0, "+", color=_BOX, ms=7, mew=1.5)
    axes.set(xlim=(-panel.reach, panel.reach), ylim=(panel.reach, -panel.reach), aspect="equal")
    axes.tick_params(labelsize=7, length=2)


def _around_unit(axis: AxisField | None, length: int) -> tuple[float, float]:
    """Return where the field of an output begins and ends, in pixels from the output's own."""
    if axis is None:
        return -(length // 2), length // 2
    return axis.offset - (axis.size - 1) / 2, axis.offset + (axis.size - 1) / 2


def stack_of_3x3(depth: int) -> bytes:
    """Draw what one output of stacked 3 x 3 convolutions sees in each layer below it.

    Args:
        depth: How many convolutions there are.

    Returns:
        The bytes of a PNG file.
    """
    fields = receptive_fields(_Stack(depth))
    seen = [fields[f"conv{i}"].vertical for i in range(1, depth + 1)]
    sizes = [1, *(axis.size for axis in seen if axis)]
    cells, step = sizes[-1] + 2, 0.62 * sizes[-1]
    with new_figure(5.6, 1.5 * len(sizes)) as figure:
        axes = figure.add_subplot()
        corners = []
        for i, size in enumerate(sizes):
            last = i == depth
            name = (
                "image" if last else "output" if i == 0 else f"below {i} convolution{'s'[: i > 1]}"
            )
            corners.append(_draw_plane(axes, cells, size, -step * i))
            text = f"{name}: {size} x {size}"
            axes.text(1.48 * cells, -step * i + 0.18 * cells, text, va="center", fontsize=10)
        for upper, lower in zip(corners, corners[1:], strict=False):
            for start, end in zip(upper, lower, strict=True):
                axes.plot(*zip(start, end, strict=True), color=_BOX, linewidth=0.9, zorder=5)
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_xlim(-0.3, 2.35 * cells)
        return _png(figure)


class _Stack(nn.Module):
    """3 x 3 convolutions on top of each other."""

    depth: int

    @nn.compact
    def __call__(self, x, *, train: bool = False):
        for i in range(1, self.depth + 1):
            x = Conv(1, (3, 3), name=f"conv{i}")(x)
        return x


def _draw_plane(axes: Axes, cells: int, size: int, height: float) -> list[tuple[float, float]]:
    """Draw a layer as a lying grid, its middle coloured; return the corners of that."""

    def place(column, row):
        return column + 0.45 * row, 0.36 * row + height

    first = (cells - size) // 2
    for row in range(cells):
        for column in range(cells):
            seen = all(first <= place < first + size for place in (row, column))
            square = [place(column + dx, row + dy) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))]
            color = "#ffb347" if seen else "#f2f2f2"
            axes.add_patch(Polygon(square, facecolor=color, edgecolor="#9a9a9a", linewidth=0.6))
    end = first + size
    return [place(x, y) for x, y in ((first, first), (end, first), (end, end), (first, end))]


def _draw_map(axes: Axes, field: np.ndarray, box: tuple[int, ...], extent=None) -> None:
    """Draw a map, its contour, and the box (top, left, bottom, right) of the theoretical field."""
    # The square root shows the weak flanks too; where nothing moves the score the image stays.
    strength = np.sqrt(field / field.max())
    heat = _HEAT(0.15 + 0.85 * strength)
    heat[..., 3] = np.clip(1.6 * strength, 0, 0.85)
    axes.imshow(heat, interpolation="nearest", extent=extent)
    level = level_holding(field, SHARE)
    axes.contour(field, [level], colors=_PAPER, linewidths=1.2, extent=extent and _centres(extent))
    _draw_frame(axes, box, edgecolor=_BOX, linestyle=(0, (4, 2)))


def _draw_frame(axes: Axes, box: tuple[int, ...], **style) -> None:
    """Draw a line around the pixels of a box (top, left, bottom, right)."""
    top, left, bottom, right = box
    size = right - left + 1, bottom - top + 1
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), *size, fill=False, linewidth=1.6, **style))


def _centres(extent: tuple[float, ...]) -> tuple[float, ...]:
    """Return where the outermost pixels of an image have their centres, for `contour`."""
    left, right, bottom, top = extent
    return left + 0.5, right - 0.5, top + 0.5, bottom - 0.5


def _png(figure: Figure) -> bytes:
    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")
    # 256 colours, dithered: half the bytes, and the eye does not see it.
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(palette=picture.quantize(256)).save(reduced, "PNG", optimize=True)
    return reduced.getvalue()
