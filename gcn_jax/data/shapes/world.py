"""A small world whose difficulty is context: the data set `shapes`, drawn on demand.

It looks like PASCAL VOC in small (128x128 images, palette labels, void borders, objects of very
different scales on cluttered ground), and it rewards a wide view as VOC does, but by construction:

* a *rod* is warm or cool by its head, at one end of a long bent stick;
* a *slab* is dark or bright by a dot near one end of a large plate;
* a *bar* is short or long, which only shows once enough of it is in view;
* *polygons*, *discs*, *rings* and *stars* are told by their own look, from nearby.

Twins (warm and cool, dark and bright, short and long) are alike everywhere else, so how many pixels
a model labels correctly measures how far it sees. `cue_distance` says how far it has to.
"""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gcn_jax import IGNORE_LABEL
from gcn_jax.data.shapes import drawing as draw
from gcn_jax.data.shapes.drawing import SIZE
from gcn_jax.data.shapes.objects import POSES, cue_distance

#: The `cue_distance` of pixels whose class no cue decides.
NO_CUE = 255


class ShapeClass(NamedTuple):
    """One class of the world.

    Attributes:
        name: Its name.
        kind: What it looks like without its cue; an image holds at most one object of a kind.
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


def render(seed: int, index: int) -> dict[str, np.ndarray]:
    """Draw image `index` of the endless split `seed`; equal arguments give equal arrays.

    Args:
        seed: Which split, >= 0; other seeds draw other images.
        index: Which image, >= 0.

    Returns:
        `image`: uint8 `[128, 128, 3]`, RGB.
        `label`: uint8 `[128, 128]`, an index into `CLASSES`, or 255 (void) on the outlines.
        `cue_distance`: uint8 `[128, 128]`, how many pixels away the cue is that decides the
        class (see `shapes_objects.cue_distance`); 255 where none does: background, void, and the
        kinds that have no twin.
    """
    rng = np.random.default_rng((seed, index))
    canvas = draw.background(rng, clutter=rng.integers(8, 20))
    chosen = rng.permutation(len(_KINDS))[: rng.integers(4, len(_KINDS))]
    return _draw(rng, canvas, _place(rng, [_KINDS[i] for i in sorted(chosen)]))


def render_one(seed: int, index: int) -> dict[str, np.ndarray]:
    """Draw a small image of one object; its class is the label of every pixel.

    Args:
        seed: As of `render`.
        index: As of `render`.

    Returns:
        `image`: uint8 `[64, 64, 3]`, RGB, half the size of those of `render`.
        `label`: uint8 `[64, 64]`, one index into `CLASSES[1:]`, each equally probable.
    """
    rng = np.random.default_rng((seed, index))
    canvas = draw.background(rng, clutter=rng.integers(8, 20))
    kind = rng.choice([c.kind for c in CLASSES[1:]])  # twins twice, then one of them
    placed: list[Any] = []
    while not placed:
        placed = _place(rng, [kind])
    image = np.array(Image.fromarray(_draw(rng, canvas, placed)["image"]).reduce(2))
    return {"image": image, "label": np.full(image.shape[:2], placed[0][0] - 1, np.uint8)}


def _draw(rng, canvas, placed):
    """Finish an image of objects, and label it; see `render`."""
    _scatter_stray_cues(rng, canvas, draw.footprint([o for _, p in placed for o in p.outlines]))

    label = np.zeros((SIZE, SIZE), np.uint8)
    distance = np.full((SIZE, SIZE), NO_CUE, np.uint8)
    for number, piece in placed:
        body = _paint(rng, canvas, CLASSES[number], piece)
        label[body] = number
        cue = CLASSES[number].cue
        distance[body] = cue_distance(cue, piece, *np.nonzero(body)) if cue else NO_CUE
    void = _outlines(label)
    label[void] = IGNORE_LABEL
    distance[void] = NO_CUE
    canvas += 4 * rng.standard_normal((SIZE, SIZE, 1), np.float32)  # grain
    return {
        "image": np.clip(canvas, 0, 255).astype(np.uint8),
        "label": label,
        "cue_distance": distance,
    }


def _place(rng, kinds):
    """Return (label, piece) for each kind that found room without hiding an earlier cue."""
    occupied = np.zeros((SIZE, SIZE), bool)
    reserved = np.zeros((SIZE, SIZE), bool)
    placed = []
    for kind in kinds:
        number = int(rng.choice(_LABELS[kind]))
        size = rng.uniform()  # drawn once: were it drawn at every try, large ones would be rare
        for _ in range(_TRIES):
            piece = POSES[kind](rng, size, CLASSES[number].cue)
            points = np.concatenate(piece.outlines)
            room = SIZE - 2 * draw.SHADOW_REACH - np.ptp(points, axis=0)
            if room.min() < 0:
                continue
            corner = draw.SHADOW_REACH + rng.uniform(0, room)
            piece = piece.moved(corner - points.min(axis=0))
            body = draw.footprint(piece.outlines)
            if (body & reserved).any() or (body & occupied).sum() > _MAX_OVERLAP * body.sum():
                continue
            occupied |= body
            reserved |= draw.footprint([draw.circle((x, y), r + 3) for x, y, r in piece.cues])
            placed.append((number, piece))
            break
    return placed


def _scatter_stray_cues(rng, canvas, bodies):
    """Draw cue-colored blobs on the ground, clear of all objects."""
    for _ in range(rng.integers(0, 4)):
        x, y = rng.integers(12, SIZE - 12, 2)
        rgb = draw.color(rng, *_CUE[rng.choice(list(_CUE))])
        if not bodies[y - 12 : y + 12, x - 12 : x + 12].any():
            draw.solid(canvas, rgb, [draw.circle((x, y), rng.uniform(3, 5))])


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
