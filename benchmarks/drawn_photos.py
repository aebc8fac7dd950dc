"""Images that cost a decoder what photographs cost: drawn from a seed, downloaded from nowhere."""

import numpy as np
from PIL import Image, ImageDraw

#: Standard deviation of the noise, in grey levels: a 500x375 JPEG of quality 92 has 120 KiB.
_CONTRAST = 45.0


def draw_mask(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a few objects on background, with a void border.

    Args:
        rng: The source of all draws.
        size: Width and height in px.

    Returns:
        uint8 `[H, W]`, labels 0..20 and 255.
    """
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for _ in range(rng.integers(2, 6)):
        center, radius = rng.uniform(0, size, 2), rng.uniform(20, 120)
        angles = np.sort(rng.uniform(0, 2 * np.pi, 24))
        radii = radius * rng.uniform(0.6, 1.4, (24, 1))
        outline = center + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        corners = [tuple(corner) for corner in outline]
        draw.polygon(corners, fill=int(rng.integers(1, 21)))
        draw.line([*corners, corners[0]], fill=255, width=4)
    return np.asarray(mask)


def draw_photo(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Draw an image to a mask: 1/f noise on a colour for each label.

    Args:
        rng: The source of all draws.
        mask: uint8 `[H, W]`, its labels.

    Returns:
        uint8 `[H, W, 3]` RGB.
    """
    height, width = mask.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(3, height, width))) / frequency
    noise = np.fft.irfft2(spectrum, (height, width))
    noise /= noise.std(axis=(1, 2), keepdims=True)
    grey, *tint = noise * _CONTRAST
    tint = np.stack([tint[0], -0.5 * (tint[0] + tint[1]), tint[1]], axis=-1)
    colors = rng.uniform(60, 190, (256, 3))
    return (colors[mask] + grey[..., None] + 0.3 * tint).clip(0, 255).astype(np.uint8)
