"""How different colours look: CIEDE2000, written after Sharma, Wu and Dalal (2005)."""

import numpy as np

#: Linear sRGB -> XYZ, and the white D65.
_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(colors):
    """Return CIELAB `[..., 3]` of sRGB in 0..255."""
    encoded = np.asarray(colors, float) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T / _WHITE
    x, y, z = np.moveaxis(
        np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(one, other):
    """Return the difference of CIELAB colours `[..., 3]`; about 1 is just seen side by side."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))
    a1, a2 = stretch * a1, stretch * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    is_grey = c1 * c2 == 0
    turn = np.where(is_grey, 0, (h2 - h1 + 180) % 360 - 180)
    lightness, c = (l1 + l2) / 2, (c1 + c2) / 2
    far = np.abs(h1 - h2) > 180
    h = np.where(is_grey, h1 + h2, (h1 + h2 + np.where(far, 360, 0)) / 2 % 360)
    t = (
        1
        - 0.17 * np.cos(np.radians(h - 30))
        + 0.24 * np.cos(np.radians(2 * h))
        + 0.32 * np.cos(np.radians(3 * h + 6))
        - 0.20 * np.cos(np.radians(4 * h - 63))
    )
    middle = (lightness - 50) ** 2
    dl = (l2 - l1) / (1 + 0.015 * middle / np.sqrt(20 + middle))
    dc = (c2 - c1) / (1 + 0.045 * c)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c * t)
    rotation = np.radians(60 * np.exp(-(((h - 275) / 25) ** 2)))
    mixed = -2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * np.sin(rotation)
    return np.sqrt(dl**2 + dc**2 + dh**2 + mixed * dc * dh)


def least_distance(colors):
    """Return the smallest CIEDE2000 between two of the sRGB colours `[N, 3]`."""
    points = lab(colors)
    distances = ciede2000(points[:, None], points[None])
    return distances[~np.eye(len(points), dtype=bool)].min()
