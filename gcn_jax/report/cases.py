"""Images that show what a model does well and badly, as the pictures of a report."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from gcn_jax import IGNORE_LABEL
from gcn_jax.evaluation import ImageScore
from gcn_jax.models.preprocessing import as_rgb
from gcn_jax.report import pictures

#: Images in each of the groups worst, median and best.
CASES_PER_GROUP = 3
#: Pictures are shrunk until no side is longer, in pixels.
MAX_PICTURE_SIDE = 640


def choose(images: Sequence[ImageScore]) -> dict[str, list[ImageScore]]:
    """Choose the images with the worst, median and best mIoU of their own, each at most once.

    Args:
        images: The scores of an evaluation's images; those that are all void are not chosen.

    Returns:
        Up to `CASES_PER_GROUP` images, worst first, by the name of their group.
    """
    ranked = sorted((i for i in images if not np.isnan(i.miou)), key=lambda image: image.miou)
    count = min(CASES_PER_GROUP, -(-len(ranked) // 3))
    worst, rest = ranked[:count], ranked[count:]
    best, rest = rest[-count:], rest[:-count]
    start = (len(rest) - count) // 2 if len(rest) > count else 0
    groups = {"worst": worst, "median": rest[start : start + count], "best": best}
    return {name: group for name, group in groups.items() if group}


def show(
    score: ImageScore,
    image: np.ndarray,
    label: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    palette: np.ndarray,
    before: np.ndarray | None = None,
) -> dict[str, Any]:
    """Draw one image beside its truth, its prediction and where they differ.

    Args:
        score: The scores of the image.
        image: uint8 or uint16 `[H, W, C]`, shown as `as_rgb` does.
        label: uint8 `[H, W]`, 255 for void.
        prediction: Integers `[H, W]`.
        class_names: C names.
        palette: uint8 `[256, 3]`.
        before: Integers `[H, W]`, the prediction before the CRF; None where there is none.

    Returns:
        `score`, `classes` (the legend of what is in truth or prediction) and `panels`, each with
        `name`, `uri` (the picture itself), `is_map` (whether it has sharp edges) and `blinks`
        (whether it is one of the two that are shown in turn).
    """
    photo = Image.fromarray(np.ascontiguousarray(as_rgb(image)))
    photo.thumbnail((MAX_PICTURE_SIDE, MAX_PICTURE_SIDE))
    label, prediction = (pictures.shrink(array, photo.size) for array in (label, prediction))
    errors = pictures.error_map(label, prediction, IGNORE_LABEL)
    grey = np.asarray(photo.convert("L").convert("RGB"))
    error_picture = pictures.overlay(grey, errors, pictures.ERROR_PALETTE, alpha=0.7)
    maps = {"truth": label, "prediction": prediction}
    if before is not None:
        before = pictures.shrink(before, photo.size)
        maps = {"truth": label, "before the CRF": before, "after the CRF": prediction}
    panels = (
        ("image", photo, "JPEG"),
        *((name, pictures.indexed(one, palette), "PNG") for name, one in maps.items()),
        ("errors", Image.fromarray(error_picture), "JPEG"),
    )
    turns = ("truth", list(maps)[-1])
    present = np.setdiff1d(np.union1d(label, prediction), [IGNORE_LABEL])
    return {
        "score": score,
        "classes": legend(present, class_names, palette),
        "panels": [
            {
                "name": name,
                "uri": pictures.data_uri(panel, kind),
                "is_map": kind == "PNG",
                "blinks": name in turns,
            }
            for name, panel, kind in panels
        ],
    }


def legend(
    labels: Iterable[int], class_names: Sequence[str], palette: np.ndarray
) -> list[dict[str, str]]:
    """Return names and colours for a legend.

    Args:
        labels: The classes that it explains.
        class_names: C names.
        palette: uint8 `[256, 3]`.

    Returns:
        `name` and `color` (as CSS has it) of each.
    """
    return [
        {"name": class_names[label], "color": f"#{palette[label].tobytes().hex()}"}
        for label in labels
    ]
