"""A small world whose difficulty is context: the data set `shapes` and its kin, drawn on demand.

It looks like PASCAL VOC in small (128x128 images, palette labels, void borders, objects of very
different scales on cluttered ground), and it rewards a wide view as VOC does, but by construction:

* a *rod* is warm or cool by its head, at one end of a long bent stick;
* a *slab* is dark or bright by a dot near one end of a large plate;
* a *bar* is short or long, which only shows once enough of it is in view;
* *polygons*, *discs*, *rings* and *stars* are told by their own look, from nearby.

Twins (warm and cool, dark and bright, short and long) are alike everywhere else, so how many pixels
a model labels correctly measures how far it sees. `cue_distance` says how far it has to. A `World`
says what is otherwise in the other data sets.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.shapes import drawing as draw
from gcn_jax.data.shapes.objects import POSES, cue_distance


@dataclass(frozen=True)
class World:
    """The settings of a world; the defaults are those of the data set `shapes`.

    Attributes:
        size: Pixels of a side of an image.
        zoom: How many times as large everything is that lies on the ground. Light and grain are of
            pixels, whatever the zoom.
        copies: How many objects of each kind that it shows an image has at the most, and how many
            times as much clutter. Of several, both twins may be there.
        void: Whether outlines are void: the pixels on either side of them. Otherwise all count.
    """

    size: int = 128
    zoom: float = 1.0
    copies: int = 1
    void: bool = True


#: The `cue_distance` of pixels whose class no cue decides.
NO_CUE = 255


class ShapeClass(NamedTuple):
    """One class of the world.

    Attributes:
        name: Its name.
        kind: What it looks like without its cue; see `World.copies`.
        cue: What tells it from its twin; empty where its own look does.
    """

    name: str
    kind: str
    cue: str


#: The classes in the order of their labels.
CLASSES = (
    ShapeClass("background", "", ""),
    ShapeClass("warm_rod", "rod", "warm"),
    ShapeClass("cool_rod", "rod", "cool"),
    ShapeClass("dark_slab", "slab", "dark"),
    ShapeClass("bright_slab", "slab", "bright"),
    ShapeClass("short_bar", "bar", "short"),
    ShapeClass("long_bar", "bar", "long"),
    ShapeClass("polygon", "polygon", ""),
    ShapeClass("disc", "disc", ""),
    ShapeClass("ring", "ring", ""),
    ShapeClass("star", "star", ""),
)
CLASS_NAMES = tuple(c.name for c in CLASSES)
# Painted in this order: the large ones first, so that the small ones stay whole.
_KINDS = ("slab", "rod", "bar", "ring", "polygon", "star", "disc")
_LABELS = {k: [i for i, c in enumerate(CLASSES) if c.kind == k] for k in _KINDS}

# Colors as ranges of (hue, saturation, value), each in 0..1.
_BODY = {
    "slab": ((0.28, 0.52), (0.25, 0.55), (0.45, 0.70)),
    "rod": ((0.07, 0.14), (0.30, 0.60), (0.70, 0.95)),
    "bar": ((0.70, 0.80), (0.25, 0.60), (0.55, 0.85)),
    "polygon": ((0.04, 0.12), (0.65, 0.95), (0.70, 1.00)),
    "star": ((0.10, 0.18), (0.65, 0.95), (0.75, 1.00)),
    "ring": ((0.16, 0.34), (0.60, 0.95), (0.60, 1.00)),
    "disc": ((0.82, 0.94), (0.50, 0.95), (0.60, 1.00)),
}
_CUE = {
    "warm": ((0.97, 1.04), (0.80, 1.00), (0.80, 1.00)),
    "cool": ((0.55, 0.64), (0.80, 1.00), (0.80, 1.00)),
    "dark": ((0.0, 1.0), (0.0, 0.5), (0.05, 0.15)),
    "bright": ((0.10, 0.18), (0.0, 0.25), (0.95, 1.00)),
}

_TRIES = 12  # poses to try before an object is left out
_MAX_OVERLAP = 0.4  # share of a new object that may lie on earlier ones


def render(seed: int, index: int, world: World = World()) -> dict[str, np.ndarray]:
    """Draw image `index` of the endless split `seed`; equal arguments give equal arrays.

    Args:
        seed: Which split, >= 0; other seeds draw other images.
        index: Which image, >= 0.
        world: What is drawn otherwise.

    Returns:
        `image`: uint8 `[size, size, 3]`, RGB; `size` is 128 by default.
        `label`: uint8 `[size, size]`, an index into `CLASSES`, or 255 (void) on the outlines.
        `cue_distance`: uint8 `[size, size]`, how many pixels away the cue is that decides the
        class (see `shapes_objects.cue_distance`), 254 for more; 255 where none does: background,
        void, and the kinds that have no twin.
    """
    rng = np.random.default_rng((seed, index))
    canvas = _ground(rng, world)
    chosen = rng.permutation(len(_KINDS))[: rng.integers(4, len(_KINDS))]
    kinds = [_KINDS[i] for i in sorted(chosen) for _ in range(world.copies)]
    return _draw(rng, canvas, _place(rng, kinds, world), world)


def render_one(seed: int, index: int) -> dict[str, np.ndarray]:
    """Draw a small image of one object; its class is the label of every pixel.

    Args:
        seed: As of `render`.
        index: As of `render`.

    Returns:
        `image`: uint8 `[64, 64, 3]`, RGB, half the size of those of `render`.
        `label`: uint8 `[64, 64]`, one index into `CLASSES[1:]`, each equally probable.
    """
    rng, world = np.random.default_rng((seed, index)), World()
    canvas = _ground(rng, world)
    kind = rng.choice([c.kind for c in CLASSES[1:]])  # twins twice, then one of them
    placed: list[Any] = []
    while not placed:
        placed = _place(rng, [kind], world)
    image = np.array(Image.fromarray(_draw(rng, canvas, placed, world)["image"]).reduce(2))
    return {"image": image, "label": np.full(image.shape[:2], placed[0][0] - 1, np.uint8)}


def _ground(rng, world):
    clutter = rng.integers(8, 20) * world.copies
    return draw.background(rng, clutter, world.size, world.zoom)


def _draw(rng, canvas, placed, world):
    """Finish an image of objects, and label it; see `render`."""
    outlines = [points for _, piece in placed for points in piece.outlines]
    _scatter_stray_cues(rng, canvas, draw.footprint(outlines, world.size), world)

    label = np.zeros(canvas.shape[:2], np.uint8)
    distance = np.full(label.shape, NO_CUE, np.uint8)
    for number, piece in placed:
        body = _paint(rng, canvas, CLASSES[number], piece)
        label[body] = number
        cue = CLASSES[number].cue
        distance[body] = NO_CUE
        if cue:
            rows, columns = np.nonzero(body)
            away = cue_distance(cue, piece, rows, columns, world.zoom)
            distance[body] = np.minimum(away, NO_CUE - 1)
    if world.void:
        void = _outlines(label)
        label[void] = IGNORE_LABEL
        distance[void] = NO_CUE
    canvas += 4 * rng.standard_normal((*label.shape, 1), np.float32)  # grain
    return {
        "image": np.clip(canvas, 0, 255).astype(np.uint8),
        "label": label,
        "cue_distance": distance,
    }


def _place(rng, kinds, world):
    """Return (label, piece) for each kind that found room without hiding an earlier cue."""
    occupied = np.zeros((world.size, world.size), bool)
    reserved = np.zeros((world.size, world.size), bool)
    placed = []
    for kind in kinds:
        number = int(rng.choice(_LABELS[kind]))
        size = rng.uniform()  # drawn once: were it drawn at every try, large ones would be rare
        for _ in range(_TRIES):
            piece = POSES[kind](rng, size, CLASSES[number].cue).zoomed(world.zoom)
            points = np.concatenate(piece.outlines)
            room = world.size - 2 * draw.SHADOW_REACH - np.ptp(points, axis=0)
            if room.min() < 0:
                continue
            corner = draw.SHADOW_REACH + rng.uniform(0, room)
            piece = piece.moved(corner - points.min(axis=0))
            body = draw.footprint(piece.outlines, world.size)
            if (body & reserved).any() or (body & occupied).sum() > _MAX_OVERLAP * body.sum():
                continue
            occupied |= body
            around = [draw.circle((x, y), radius + 3) for x, y, radius in piece.cues]
            reserved |= draw.footprint(around, world.size)
            placed.append((number, piece))
            break
    return placed


def _scatter_stray_cues(rng, canvas, bodies, world):
    """Draw cue-colored blobs on the ground, clear of all objects."""
    reach = round(12 * world.zoom)
    for _ in range(rng.integers(0, 4) * world.copies):
        x, y = rng.integers(reach, world.size - reach, 2)
        rgb = draw.color(rng, *_CUE[rng.choice(list(_CUE))])
        if not bodies[y - reach : y + reach, x - reach : x + reach].any():
            draw.solid(canvas, rgb, [draw.circle((x, y), world.zoom * rng.uniform(3, 5))])


def _paint(rng, canvas, shape_class, piece):
    """Paint an object and return the pixels it covers."""
    rgb = draw.color(rng, *_BODY[shape_class.kind])
    body = draw.solid(canvas, rgb, piece.outlines, piece.holes)
    if shape_class.cue in _CUE:
        ((x, y, radius),) = piece.cues
        draw.solid(canvas, draw.color(rng, *_CUE[shape_class.cue]), [draw.circle((x, y), radius)])
    return body


def _outlines(label):
    """Return where a pixel has a neighbour, above, below, left or right, of another class."""
    edge = np.zeros(label.shape, bool)
    across, down = label[:, 1:] != label[:, :-1], label[1:] != label[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge
