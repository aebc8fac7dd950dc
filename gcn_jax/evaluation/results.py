"""The file that `evaluate.py --json` writes: scores, their uncertainty, and every image's own."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gcn_jax.errors import UserError
from gcn_jax.evaluation.boundary import BoundaryCounts
from gcn_jax.evaluation.metrics import (
    Scores,
    iou,
    json_value,
    mean_of_defined,
    num_defined,
    ratio,
)
from gcn_jax.evaluation.uncertainty import bootstrap
from gcn_jax.sessions import Session

#: What `class_sums` has of each class, by the names in the file.
SUMS = ("intersection", "truth", "prediction")


def result_json(
    class_names: Sequence[str],
    scores: Scores,
    ids: Sequence[str],
    sums: np.ndarray,
    boundary: BoundaryCounts | None = None,
) -> dict[str, Any]:
    """Return what was found on a split as JSON values.

    Args:
        class_names: C names, all different.
        scores: Those of all pixels of the split together.
        ids: N names of images.
        sums: Integers `[N, 3, C]`, the `class_sums` of each image.
        boundary: Those of all images together; left out if None.

    Returns:
        `Scores.to_json`, and besides: "intervals" (`Intervals.to_json`), "boundary"
        (`BoundaryCounts.to_json`) and "images", a list with "id", "miou", "num_classes_counted",
        "pixel_accuracy" and, as lists of C counts of pixels, "intersection", "truth" and
        "prediction" of each image.
    """
    values = scores.to_json(class_names)
    values["intervals"] = bootstrap(sums).to_json(class_names)
    if boundary is not None:
        values["boundary"] = boundary.to_json(class_names)
    values["images"] = [
        _image_json(image_id, image_sums) for image_id, image_sums in zip(ids, sums, strict=True)
    ]
    return values


def _image_json(image_id: str, sums: np.ndarray) -> dict[str, Any]:
    return {
        "id": image_id,
        "miou": json_value(float(mean_of_defined(iou(sums)))),
        "num_classes_counted": num_defined(iou(sums)),
        "pixel_accuracy": json_value(float(ratio(sums[0].sum(), sums[1].sum()))),
        **{name: counts.tolist() for name, counts in zip(SUMS, sums, strict=True)},
    }


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSums:
    """The counts of each image in a result file.

    Attributes:
        path: The file.
        class_names: C names.
        ids: N names of images, all different.
        sums: int64 `[N, 3, C]`, the `class_sums` of each image.
        settings: How the evaluation was made, by name; empty where the file does not say.
        session: When and where that was; None where the file does not say.
    """

    path: str
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    sums: np.ndarray
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    session: Session | None = None


def read_image_sums(path: str) -> ImageSums:
    """Read the table of images of a file that `evaluate.py --json` wrote.

    Raises:
        UserError: It cannot be read, or is not such a file.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # neither JSON nor UTF-8
        raise UserError(f"{path} is not a JSON file: {error}") from error
    try:
        class_names = tuple(values["per_class_iou"])
        ids = tuple(str(image["id"]) for image in values["images"])
        sums = np.array([[image[name] for name in SUMS] for image in values["images"]])
        right_shape = sums.shape == (len(ids), len(SUMS), len(class_names))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} {_NO_TABLE}") from error
    if not ids or not right_shape or sums.dtype.kind != "i":
        raise UserError(f"{path} {_NO_TABLE}")
    if len(set(ids)) < len(ids):
        twice = next(image_id for image_id in ids if ids.count(image_id) > 1)
        raise UserError(f"{path} has image {twice!r} more than once")
    try:
        session = Session.from_json(values["session"]) if "session" in values else None
    except ValueError as error:
        raise UserError(f"{path} is damaged: session: {error}") from None
    settings = values.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    return ImageSums(path, class_names, ids, sums.astype(np.int64), settings, session)


_NO_TABLE = (
    "has no table of images with the counts of every class; write it with "
    "`python evaluate.py --ckpt WORKDIR --json FILE`"
)
