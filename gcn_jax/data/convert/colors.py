"""Colour masks: CVAT's "Segmentation mask 1.1", CamVid's, any painted folder.

The meaning of colours comes from a list; without one they are counted and written to a file, in
which a person writes the names.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from gcn_jax import IGNORE_LABEL, atomic
from gcn_jax.data.convert.mask_folders import add_pairs, find_pairs, kinds_of_masks, read_rgb
from gcn_jax.data.convert.names import ColorList, has_colors, read_colors
from gcn_jax.data.convert.plan import Options, Photo, Plan, number_classes
from gcn_jax.data.problems import Problem
from gcn_jax.errors import UserError
from gcn_jax.terminal import ProgressBar

NAME = "colours"
LOOKS_FOR = "images and colour masks, or palettes with a labelmap.txt or class_dict.csv"

#: Lists of colours that a source has, and that a conversion writes to be filled in.
_LISTS = ("labelmap.txt", "class_dict.csv", "classes.csv", "label_colors.txt")
_LEARNT = "colours.csv"

#: The most colours that are written, and that are shown.
_MOST_COLORS, _SHOWN = 4096, 12

#: Labels of colours that are not listed.
_UNKNOWN = -1


class UnknownColors(Problem):
    """Colours of a mask that no list names.

    Attributes:
        pixels: How many pixels have each, as 65536 red + 256 green + blue.
    """

    def __init__(self, message: str, pixels: Mapping[int, int]):
        super().__init__("unknown colour", message)
        self.pixels = pixels


def recognises(root: Path) -> bool:
    """Return whether a folder has masks in colour, or palettes or 0/255 and a list of colours."""
    kinds = kinds_of_masks(root)
    return "colour" in kinds or (bool(kinds - {"indexed"}) and _list_in(root) is not None)


def read(root: Path, options: Options) -> Plan:
    """List the images, with masks by the list of colours.

    Args:
        root: The folder.
        options: The settings.

    Raises:
        Problem: The list cannot be read, or the layout is not known.
        UserError: There is no list of colours; one is written, to be filled in.
    """
    path = options.classes or _list_in(root)
    learnt = options.destination / _LEARNT
    if path is None and learnt.exists():
        path = learnt
    if path is None:
        raise UserError(_learn(root, learnt))
    colors = read_colors(path)
    names, labels = number_classes(colors.names, options, has_background=True)
    plan = Plan(names, [])
    add_pairs(plan, root, partial(_draw, _table(colors, labels), path), path)
    return plan


def _list_in(root: Path) -> Path | None:
    return next((root / name for name in _LISTS if has_colors(root / name)), None)


def _table(colors: ColorList, labels: Mapping[str, int | None]) -> np.ndarray:
    """Return the label of each of the 2^24 colours, int16."""
    table = np.full(1 << 24, _UNKNOWN, np.int16)
    for (red, green, blue), name in colors.name_of.items():
        label = labels[name]
        table[red << 16 | green << 8 | blue] = IGNORE_LABEL if label is None else label
    return table


def _draw(table: np.ndarray, path: Path, mask: Path, photo: Photo) -> np.ndarray:
    del photo
    colors = read_rgb(mask)
    label = table[colors]
    unknown = colors[label == _UNKNOWN]
    if unknown.size:
        values, counts = np.unique(unknown, return_counts=True)
        pixels = {int(value): int(n) for value, n in zip(values, counts, strict=True)}
        message = f"{mask}: {describe(pixels)} not in {path}"
        raise UnknownColors(message, pixels)
    return label.astype(np.uint8)


def describe(pixels: Mapping[int, int]) -> str:
    """Return colours and their counts in words, the most frequent first.

    Args:
        pixels: How many pixels have each, as 65536 red + 256 green + blue.
    """
    ordered = sorted(pixels, key=lambda color: (-pixels[color], color))
    texts = [f"{_text(color)} ({pixels[color]} px)" for color in ordered[:_SHOWN]]
    more = f" and {len(ordered) - _SHOWN} more colours" if len(ordered) > _SHOWN else ""
    return ", ".join(texts) + more


def _text(color: int) -> str:
    return f"{color >> 16},{color >> 8 & 255},{color & 255}"


def _learn(root: Path, place: Path) -> str:
    """Count the colours of all masks, write them for a person to name, and say so."""
    splits, _, _ = find_pairs(root)
    masks = [pair[2] for pairs in splits.values() for pair in pairs]
    pixels: Counter[int] = Counter()
    files: Counter[int] = Counter()
    unread = 0
    first = ""
    with ProgressBar(stderr=True) as bar:
        for path in bar.track(masks, len(masks), "colours"):
            try:
                values, counts = np.unique(read_rgb(path), return_counts=True)
            except Problem as problem:
                unread += 1
                first = first or f"; {unread} masks cannot be read, such as {problem}"
                continue
            pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
            files.update(values.tolist())
    if not pixels:
        return f"{root}: no mask can be read{first}"
    ordered = sorted(pixels, key=lambda color: (-pixels[color], color))
    rows = [f",{_text(color)},{pixels[color]},{files[color]}\n" for color in ordered[:_MOST_COLORS]]
    atomic.write(place, "".join(["class,r,g,b,pixels,masks\n", *rows]))
    smooth = ""
    if len(ordered) > 255:
        smooth = "; so many mean smoothed edges or photos: take masks that were not resized"
    return (
        f"{root}: nothing says what the {len(ordered)} colours of {len(masks)} masks mean: "
        f"{describe(pixels)}. They are in {place}: write a class before the first comma of each "
        "line (void for none, the same name for colours of one class; the order of the names is "
        f"that of the labels), then type the same command again{smooth}{first}"
    )
