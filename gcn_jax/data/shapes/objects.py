"""The objects of the `shapes` world: the geometry of each kind, and where its cue is.

A pose is a function of (rng, size in 0..1, cue) that returns a `Piece` near the origin, turned at
random. It uses the cue for the length of bars only: twins differ in nothing else but the color of
their cues.
"""

from dataclasses import dataclass, field

import numpy as np

from gcn_jax.data.shapes import drawing as draw

#: Shortest and longest bar of either class, in pixels where nothing is zoomed.
BAR_LENGTHS = {"short": (30.0, 50.0), "long": (80.0, 115.0)}


@dataclass
class Piece:
    """The place of an object.

    Attributes:
        outlines: The parts of its body.
        holes: What is cut out of the body.
        cues: Discs (x, y, radius) that later objects must leave in view.
    """

    outlines: list
    holes: list = field(default_factory=list)
    cues: list = field(default_factory=list)

    def moved(self, offset):
        """Return the same object `offset` = (x, y) pixels away."""
        return Piece(
            [points + offset for points in self.outlines],
            [points + offset for points in self.holes],
            [(x + offset[0], y + offset[1], radius) for x, y, radius in self.cues],
        )

    def zoomed(self, zoom):
        """Return the same object `zoom` times as large, about the origin."""
        return Piece(
            [zoom * points for points in self.outlines],
            [zoom * points for points in self.holes],
            [(zoom * x, zoom * y, zoom * radius) for x, y, radius in self.cues],
        )


def cue_distance(
    cue: str, piece: Piece, rows: np.ndarray, columns: np.ndarray, zoom: float = 1.0
) -> np.ndarray:
    """Measure how far from a pixel one has to see to know the class of the object it belongs to.

    Args:
        cue: The cue of the class, not empty.
        piece: The object.
        rows: int `[n]`, rows of pixels of its body.
        columns: int `[n]`, their columns.
        zoom: What the object was zoomed by.

    Returns:
        Pixels, float64 `[n]`: the distance to the head of a rod or to the dot of a slab; to the
        farther end of a short bar; for a long bar the reach, either way along it, in which more
        of it is seen than any short bar has.
    """
    away = [np.hypot(columns + 0.5 - x, rows + 0.5 - y) for x, y, _ in piece.cues]
    if cue == "short":
        return np.maximum(*away)
    if cue == "long":
        too_long = zoom * BAR_LENGTHS["short"][1]
        return np.maximum(too_long / 2, too_long - np.minimum(*away))
    return np.maximum(away[0] - piece.cues[0][2], 0)


def _pose_rod(rng, size, cue):
    """A long bent stick with a head at its start."""
    length, width = 75 + 75 * size, rng.uniform(9, 12)
    path = draw.arc(length, angle=rng.uniform(0, 2 * np.pi), bend=rng.uniform(-1.6, 1.6))
    head = (*path[0], 0.85 * width)
    return Piece([draw.stroke(path, width), draw.circle(path[0], head[2])], cues=[head])


def _pose_slab(rng, size, cue):
    """A large plate with a dot near one end."""
    half_axes = np.array([34 + 23 * size, rng.uniform(17, 25)])
    angle = rng.uniform(0, 2 * np.pi)
    dot = draw.rotate(np.array([half_axes[0] - 13, 0.0]), angle)
    outline = draw.superellipse(half_axes, angle, power=rng.choice([2.0, 5.0]))
    return Piece([outline], cues=[(*dot, 7.0)])


def _pose_bar(rng, size, cue):
    """A straight bar; both its ends are its cues."""
    low, high = BAR_LENGTHS[cue]
    path = draw.arc(low + (high - low) * size, angle=rng.uniform(0, 2 * np.pi), bend=0.0)
    width = rng.uniform(11, 15)
    return Piece([draw.stroke(path, width)], cues=[(*path[i], width / 2) for i in (0, -1)])


def _pose_polygon(rng, size, cue):
    """A triangle, quadrangle or pentagon."""
    radii = (10 + 8 * size) * rng.uniform(0.9, 1.1, rng.integers(3, 6))
    return Piece([draw.star(np.zeros(2), radii, angle=rng.uniform(0, 2 * np.pi))])


def _pose_disc(rng, size, cue):
    """A disc, larger than any dot."""
    return Piece([draw.circle(np.zeros(2), 9 + 7 * size)])


def _pose_ring(rng, size, cue):
    """A disc with a hole."""
    radius = 11 + 8 * size
    outline, hole = (draw.circle(np.zeros(2), r) for r in (radius, radius / 2))
    return Piece([outline], holes=[hole])


def _pose_star(rng, size, cue):
    """A star of five points."""
    radius = 12 + 8 * size
    radii = [radius, 0.45 * radius] * 5
    return Piece([draw.star(np.zeros(2), radii, angle=rng.uniform(0, 2 * np.pi))])


#: Kind -> its pose.
POSES = {
    "slab": _pose_slab,
    "rod": _pose_rod,
    "bar": _pose_bar,
    "ring": _pose_ring,
    "polygon": _pose_polygon,
    "star": _pose_star,
    "disc": _pose_disc,
}
