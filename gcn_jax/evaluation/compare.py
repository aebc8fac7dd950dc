"""Is run B better than run A, and by more than the draw of the images explains?"""

import dataclasses
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from gcn_jax.errors import UserError
from gcn_jax.evaluation.metrics import iou, json_value, mean_of_defined, num_defined
from gcn_jax.evaluation.results import ImageSums
from gcn_jax.evaluation.uncertainty import paired_bootstrap


@dataclasses.dataclass(frozen=True)
class Difference:
    """One score of two runs.

    Attributes:
        a: IoU of run A; nan if the class is in neither its truth nor its prediction.
        b: IoU of run B.
        low: Lower end of the interval of b - a.
        high: Upper end of the interval of b - a.
        num_images: Images whose truth has the class.
        verdict: What B is: "better" or "worse" if the interval excludes 0, else "within noise";
            "too few images" if it excludes 0, but so few images can agree by chance; "absent" if
            a or b is nan.
    """

    a: float
    b: float
    low: float
    high: float
    num_images: int
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; nan becomes None."""
        return {
            "a": json_value(self.a),
            "b": json_value(self.b),
            "difference": json_value(self.b - self.a),
            "interval": [json_value(self.low), json_value(self.high)],
            "num_images": self.num_images,
            "verdict": self.verdict,
        }


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Run B against run A on the same images.

    Attributes:
        level: The level of the intervals. Each stands for itself: at 0.95, of twenty classes in
            which the runs do not differ, one is called better or worse.
        miou: The difference of the mean.
        per_class_iou: By class name.
        num_classes_counted: How many classes the mean of A is over, and that of B.
    """

    level: float
    miou: Difference
    per_class_iou: dict[str, Difference]
    num_classes_counted: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; nan becomes None."""
        return {
            "level": self.level,
            "miou": self.miou.to_json(),
            "num_classes_counted": list(self.num_classes_counted),
            "per_class_iou": {
                name: difference.to_json() for name, difference in self.per_class_iou.items()
            },
        }

    def table(self) -> Table:
        """Return a table for people, IoU in percent."""
        table = Table("class", title="IoU of B against A, %", caption=CAPTION)
        for title in ("images", "A", "B", "B - A", f"{100 * self.level:g} % interval"):
            table.add_column(title, justify="right")
        table.add_column("B is")
        for name, difference in self.per_class_iou.items():
            table.add_row(Text(name), *_cells(difference))
        table.add_section()
        a, b = self.num_classes_counted
        counted = str(a) if a == b else f"{a} (A) and {b} (B)"
        over = f"over {counted} of {len(self.per_class_iou)} classes"
        table.add_row(f"mIoU {over}", *_cells(self.miou))
        return table


#: What the intervals are, and are not.
CAPTION = (
    "Intervals: paired bootstrap over the images. Another seed of the same recipe moves "
    "the scores too; that noise is not in them."
)


def compare(a: ImageSums, b: ImageSums, *, level: float = 0.95) -> Comparison:
    """Compare two runs class by class.

    Args:
        a: The counts of the images of run A, from its result file.
        b: Those of run B.
        level: The level of the intervals, in 0..1.

    Raises:
        UserError: They are not of the same images, labels and classes.
    """
    b_sums = _in_order_of(a, b)
    intervals = paired_bootstrap(a.sums, b_sums, level=level)
    a_iou, b_iou = iou(a.sums.sum(axis=0)), iou(b_sums.sum(axis=0))
    num_images = (a.sums[:, 1] > 0).sum(axis=0)
    classes = zip(a_iou, b_iou, intervals.per_class_iou, num_images, strict=True)
    return Comparison(
        level=level,
        miou=_difference(
            float(mean_of_defined(a_iou)),
            float(mean_of_defined(b_iou)),
            intervals.miou,
            len(a.ids),
            level,
        ),
        per_class_iou={
            name: _difference(*values, level)
            for name, values in zip(a.class_names, classes, strict=True)
        },
        num_classes_counted=(num_defined(a_iou), num_defined(b_iou)),
    )


def _difference(
    a: float, b: float, interval: np.ndarray, num_images: int, level: float
) -> Difference:
    low, high = interval.tolist()
    if np.isnan(b - a):
        verdict = "absent"
    elif low <= 0 <= high:
        verdict = "within noise"
    # Of n coins, all fall alike with probability 2 / 2^n, but to the bootstrap, images that all
    # agree are certain, even a single one.
    elif 2 * 0.5**num_images > 1 - level:
        verdict = "too few images"
    else:
        verdict = "better" if low > 0 else "worse"
    return Difference(float(a), float(b), low, high, int(num_images), verdict)


def _in_order_of(a: ImageSums, b: ImageSums) -> np.ndarray:
    """Return b's sums in the order of a's images."""
    if a.class_names != b.class_names:
        different = sorted(set(a.class_names) ^ set(b.class_names))
        raise UserError(
            f"{a.path} and {b.path} have different classes: "
            + (f"only one has {_few(different)}" if different else "their order differs")
        )
    different = sorted(set(a.ids) ^ set(b.ids))
    if different:
        raise UserError(
            f"{a.path} and {b.path} are not of the same images: {len(a.ids)} and {len(b.ids)}, "
            f"{len(different)} in one only ({_few(different)}); evaluate both runs on one split"
        )
    position = {image_id: i for i, image_id in enumerate(b.ids)}
    sums = b.sums[[position[image_id] for image_id in a.ids]]
    relabelled = np.flatnonzero((sums[:, 1] != a.sums[:, 1]).any(axis=1))
    if relabelled.size:
        raise UserError(
            f"image {a.ids[relabelled[0]]!r} has another label in {b.path} than in {a.path} "
            f"({relabelled.size} images do); evaluate both runs on one split"
        )
    return sums


def _few(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")


_STYLES = {"better": "green", "worse": "red"}


def _cells(difference: Difference) -> tuple[str | Text, ...]:
    low, high = _percent(difference.low, "+"), _percent(difference.high, "+")
    return (
        str(difference.num_images),
        _percent(difference.a),
        _percent(difference.b),
        _percent(difference.b - difference.a, "+"),
        "-" if np.isnan(difference.low) else f"{low} .. {high}",
        Text(difference.verdict, _STYLES.get(difference.verdict, "")),
    )


def _percent(share: float, sign: str = "") -> str:
    return "-" if np.isnan(share) else f"{100 * share:{sign}.2f}"
