"""The proof of an export: what was written runs, beside the model, on images."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from gcn_jax.errors import UserError
from gcn_jax.export.target import Target

#: By how much an export may differ, as a share of the logits' spread.
TOLERANCE = 1e-3


class Difference(NamedTuple):
    """The distance of an output of a file from that of the model, over all images.

    Attributes:
        output: "logits" or "labels".
        share: The largest difference of logits, as a share of the spread of the model's (largest
            minus smallest of an image's). Of labels: by how much the model scores its own class
            higher than that of the file; 0 where all are the same.
        pixels: The number of pixels that were compared.
        other_labels: The number of pixels whose classes are different.
    """

    output: str
    share: float
    pixels: int
    other_labels: int

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.output}: the largest difference is {self.share:.1e} of the spread of the "
            f"logits, {self.other_labels} of {self.pixels} pixels have another class"
        )


def compare(
    target: Target,
    run: Callable[[str, np.ndarray], np.ndarray],
    batches: Sequence[np.ndarray],
) -> list[Difference]:
    """Run a file beside the model, as this machine computes it.

    Args:
        target: The model.
        run: Maps an output and images to what the file makes of them.
        batches: Arrays `[N, H, W, 3]` of sizes that the file takes.

    Returns:
        The difference of each output.

    Raises:
        UserError: One is above `TOLERANCE`, or no number.
    """
    scores = jax.jit(target.logits)
    expected = [np.asarray(scores(target.weights, images)) for images in batches]
    spreads = [np.ptp(logits, axis=(1, 2, 3), keepdims=True) for logits in expected]
    differences = []
    for output in target.functions:
        shares, others = [0.0], 0
        for images, logits, spread in zip(batches, expected, spreads, strict=True):
            found = np.asarray(run(output, images))
            if output == "logits":
                labels, away = found.argmax(-1), np.abs(found - logits)
            else:
                labels = found
                chosen = np.take_along_axis(logits, found[..., None].astype(np.int64), -1)
                away = logits.max(-1, keepdims=True) - chosen
            shares.append(float((away / np.maximum(spread, np.finfo(np.float32).tiny)).max()))
            others += int((labels != logits.argmax(-1)).sum())
        pixels = sum(logits[..., 0].size for logits in expected)
        differences.append(Difference(output, float(np.max(shares)), pixels, others))
    for difference in differences:
        if not difference.share <= TOLERANCE:  # NaN is not, either
            raise UserError(
                f"what was exported is not the model, and no file is left: {difference}; at most "
                f"{TOLERANCE:.0e} is right"
            )
    return differences
