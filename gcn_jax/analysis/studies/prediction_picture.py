"""A picture of what several networks predict for the same images."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gcn_jax import IGNORE_LABEL, atomic, data
from gcn_jax.models.preprocessing import as_rgb
from gcn_jax.report.pictures import encode, legend

#: In px: width of a column, and between columns.
_WIDTH, _GAP = 240, 6


def draw(
    examples: Sequence[Mapping[str, Any]],
    predictions: Mapping[str, Sequence[np.ndarray]],
    source: "data.Source",
    path: Path,
    *,
    errors: bool = False,
) -> None:
    """Draw images, the truth and a row of predictions for each network, as a PNG file.

    Args:
        examples: The examples, with "image", and with "label" where the source has labels.
        predictions: Name of a network -> its class map, integers `[H, W]`, of each example.
        source: The source of the examples, whose classes these are.
        path: The PNG file to write.
        errors: Whether what is right, or void, is faint in the rows of networks, so that errors
            stand out.
    """
    palette = source.palette
    images = [as_rgb(example["image"]) for example in examples]
    rows = [("image", images)]  # no dict: a network may be called so, too
    if source.is_labelled:
        rows.append(("truth", [palette[example["label"]] for example in examples]))
    for name, of in predictions.items():
        tiles = [palette[labels] for labels in of]
        if errors:
            tiles = [
                _faint(tile, (labels == example["label"]) | (example["label"] == IGNORE_LABEL))
                for tile, labels, example in zip(tiles, of, examples, strict=True)
            ]
        rows.append((name, tiles))
    heights = [round(_WIDTH * image.shape[0] / image.shape[1]) for image in images]
    step = max(heights) + _GAP
    font = ImageFont.load_default(14)
    left = math.ceil(max(font.getlength(name) for name, _ in rows)) + 12
    width = left + len(examples) * (_WIDTH + _GAP)
    names = legend(source.class_names, palette[: len(source.class_names)].tolist(), width)
    picture = Image.new("RGB", (width, len(rows) * step + len(names)), "white")
    pen = ImageDraw.Draw(picture)
    for i, (name, tiles) in enumerate(rows):
        pen.text((4, i * step + step // 2), name, fill="black", font=font, anchor="lm")
        for j, (tile, height) in enumerate(zip(tiles, heights, strict=True)):
            how = Image.Resampling.BICUBIC if tiles is images else Image.Resampling.NEAREST
            small = Image.fromarray(tile).resize((_WIDTH, height), how)
            picture.paste(small, (left + j * (_WIDTH + _GAP), i * step))
    picture.paste(Image.fromarray(names), (0, len(rows) * step))
    atomic.write(path, encode(picture))


def _faint(tile: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 `[H, W, 3]`, that is nearly white where a mask is true."""
    pale = 255 - (255 - tile.astype(np.int32)) // 5
    return np.where(where[..., None], pale, tile).astype(np.uint8)
