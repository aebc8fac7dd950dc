"""Drawing for the `shapes` world: outlines, light, and a cluttered background.

Points are (x, y) in pixels, float arrays `[n, 2]`; a canvas is float32 `[size, size, 3]`, RGB in
0..255, and every function that draws on one changes it in place.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

#: How far a shadow reaches beyond its object: 2 pixels of blur, 3 of shift.
SHADOW_REACH = 5

_SUPERSAMPLING = 3
_SHADOW = 0.5  # share of the light that a full shadow takes away
_RELIEF = 0.9  # how much brighter a rim is that faces the light


def circle(centre, radius, points=32):
    """Return the outline of a circle.

    Args:
        centre: Its (x, y), in pixels.
        radius: In pixels.
        points: Corners of the polygon.
    """
    return star(centre, [radius] * points)


def star(centre, radii, angle=0.0):
    """Return the outline through `radii` at equal angles, a polygon; a star if they alternate.

    Args:
        centre: Its (x, y), in pixels.
        radii: The distances of its corners from the centre, in pixels.
        angle: The direction of the first corner, in radians.
    """
    t = angle + 2 * np.pi / len(radii) * np.arange(len(radii))
    return centre + np.stack([np.cos(t), np.sin(t)], axis=1) * np.asarray(radii)[:, None]


def superellipse(half_axes, angle, power):
    """Return the outline of an ellipse (`power` 2) or rounded box (4 and more) about the origin.

    Args:
        half_axes: Half of its width and height, in pixels.
        angle: Its turn, in radians.
        power: 2 for an ellipse, 4 and more for a rounded box.
    """
    unit = star(np.zeros(2), np.ones(72))
    unit = np.sign(unit) * np.abs(unit) ** (2 / power)
    return rotate(unit * half_axes, angle)


def arc(length, angle, bend, points=24):
    """Return a path from the origin that starts off at `angle` and turns by `bend` radians.

    Args:
        length: The length of the path, in pixels.
        angle: Its direction at the origin, in radians.
        bend: The turn from end to end, in radians.
        points: Corners of the path.
    """
    heading = angle + bend * (np.arange(points) + 0.5) / points
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * length / points
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def stroke(path, width):
    """Return the outline of a line of `width` along `path`, with flat ends.

    Args:
        path: Corners (x, y) of a line, in pixels.
        width: Its width, in pixels.
    """
    ahead = np.diff(path, axis=0, append=2 * path[-1:] - path[-2:-1])
    side = ahead[:, ::-1] * [-1, 1] * (width / 2 / np.linalg.norm(ahead, axis=1, keepdims=True))
    return np.concatenate([path + side, (path - side)[::-1]])


def rotate(points, angle):
    """Return `points` turned about the origin by `angle` radians.

    Args:
        points: Float `[N, 2]`.
        angle: In radians.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def footprint(outlines, size):
    """Return the pixels inside any of `outlines`, bool `[size, size]`, without anti-aliasing.

    Args:
        outlines: Polygons.
        size: Pixels of a side of the image.
    """
    image = Image.new("L", (size, size))
    draw = ImageDraw.Draw(image)
    for points in outlines:
        draw.polygon(points.ravel().tolist(), fill=1)
    return np.asarray(image, bool)


def color(rng, hue, saturation, value):
    """Draw an RGB color, float32 `[3]` in 0..255, from three ranges (low, high) in 0..1.

    Args:
        rng: The source of randomness.
        hue: Its range (low, high), in 0..1.
        saturation: Its range (low, high), in 0..1.
        value: Its range (low, high), in 0..1.
    """
    hsv = (rng.uniform(*hue) % 1, rng.uniform(*saturation), rng.uniform(*value))
    return np.array(colorsys.hsv_to_rgb(*hsv), np.float32) * 255


def solid(canvas, rgb, outlines, holes=()):
    """Draw an object with its shadow and its lit rim, and return where it is.

    Args:
        canvas: What to draw on.
        rgb: float32 `[3]`, the color of the body.
        outlines: The parts of the body; all lie within the canvas.
        holes: Outlines of what is cut out of it.

    Returns:
        bool `[size, size]`, the pixels that the body covers by more than half.
    """
    low, high = np.concatenate(outlines).min(axis=0), np.concatenate(outlines).max(axis=0)
    left, top = np.maximum(low - SHADOW_REACH, 0).astype(int)
    right, bottom = np.minimum(high + SHADOW_REACH + 1, len(canvas)).astype(int)
    window = slice(top, bottom), slice(left, right)

    mask = Image.new("L", (int(right - left) * _SUPERSAMPLING, int(bottom - top) * _SUPERSAMPLING))
    draw = ImageDraw.Draw(mask)
    for fill, parts in ((255, outlines), (0, holes)):
        for points in parts:
            draw.polygon(((points - [left, top]) * _SUPERSAMPLING).ravel().tolist(), fill=fill)
    mask = mask.reduce(_SUPERSAMPLING)
    alpha = np.asarray(mask, np.float32)[..., None] / 255
    soft = np.asarray(mask.filter(ImageFilter.BoxBlur(2)), np.float32)[..., None] / 255

    shadow = _SHADOW * np.roll(soft, (3, 2), axis=(0, 1))
    relief = _RELIEF * (np.roll(soft, (-1, -1), axis=(0, 1)) - np.roll(soft, (1, 1), axis=(0, 1)))
    ground, body = canvas[window] * (1 - shadow), rgb.reshape(1, 1, 3) * (1 + relief)
    canvas[window] = ground + alpha * (body - ground)

    covered = np.zeros(canvas.shape[:2], bool)
    covered[window] = alpha[..., 0] > 0.5
    return covered


def background(rng, clutter, size, zoom):
    """Return a canvas with a soft two-colored ground and `clutter` small things painted on it.

    Args:
        rng: The source of randomness.
        clutter: How many small things are painted on it.
        size: Pixels of a side of the canvas.
        zoom: How many times as large as by default the small things are.
    """
    hue, value = rng.uniform(), rng.uniform(0.3, 0.8)
    first = color(rng, (hue, hue + 0.1), (0.05, 0.3), (value, value + 0.1))
    second = color(rng, (hue, hue + 0.3), (0.05, 0.35), (value - 0.15, value + 0.2))
    blend = np.zeros((size, size), np.float32)
    for cells, weight in ((3, 0.5), (7, 0.3), (20, 0.2)):
        noise = Image.fromarray(rng.uniform(0, weight, (cells, cells)).astype(np.float32))
        blend += np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC))
    ground = first.reshape(1, 1, 3) + blend[..., None] * (second - first).reshape(1, 1, 3)

    image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    image = image.resize((size * _SUPERSAMPLING,) * 2, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(clutter):
        rgb = color(rng, (0, 1), (0.1, 0.6), (0.2, 0.95)).astype(int)
        outline = (zoom * _litter(rng) + rng.uniform(0, size, 2)) * _SUPERSAMPLING
        draw.polygon(outline.ravel().tolist(), fill=(*rgb.tolist(), int(rng.integers(100, 230))))
    return np.array(image.reduce(_SUPERSAMPLING), np.float32)


def _litter(rng):
    """Return the outline of a thin line, a small dot or a small polygon about the origin."""
    form = rng.integers(3)
    if form == 0:
        path = arc(rng.uniform(15, 70), rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1))
        return stroke(path, rng.uniform(1, 2.5))
    if form == 1:
        return circle(np.zeros(2), rng.uniform(1, 3), points=12)
    return star(np.zeros(2), rng.uniform(2, 5, rng.integers(3, 6)))
