"""The classes that a mean is over, which stands beside every mIoU that people see."""

from collections.abc import Sequence

import numpy as np

#: Names of absent classes that are listed.
_LISTED = 8


def over_classes(num_counted: int, num_classes: int) -> str:
    """Return "over 17 of 21 classes".

    Args:
        num_counted: The classes that have an IoU: those in the truth or in a prediction.
        num_classes: C.
    """
    return f"over {num_counted} of {num_classes} classes"


def over_range(least: int, most: int, num_classes: int) -> str:
    """Return "over 17 of 21 classes", or "over 15 to 17 of 21 classes" of several means.

    Args:
        least: The classes of the mean that is over the fewest.
        most: Those of the mean that is over the most.
        num_classes: C.
    """
    if least == most:
        return over_classes(most, num_classes)
    return f"over {least} to {most} of {num_classes} classes"


def absent_classes(class_names: Sequence[str], confusion_matrix: np.ndarray) -> list[str]:
    """List the classes that the truth does not have.

    Args:
        class_names: C names.
        confusion_matrix: Integers `[C, C]`; rows are the truth.
    """
    truth = np.sum(confusion_matrix, axis=1)
    return [name for name, pixels in zip(class_names, truth, strict=True) if not pixels]


def counted_classes(
    num_counted: int, class_names: Sequence[str], confusion_matrix: np.ndarray, split: str
) -> str:
    """Return "over 17 of 21 classes; absent from val: bus, cat (predicted, so 0)".

    Args:
        num_counted: The classes that have an IoU; one that is absent and predicted has IoU 0, and
            that is said.
        class_names: C names.
        confusion_matrix: Integers `[C, C]`; rows are the truth.
        split: What was scored.
    """
    text = over_classes(num_counted, len(class_names))
    absent = absent_classes(class_names, confusion_matrix)
    if absent:
        predicted = np.sum(confusion_matrix, axis=0)
        wrongly = {name for name, pixels in zip(class_names, predicted, strict=True) if pixels}
        absent = [f"{name} (predicted, so 0)" if name in wrongly else name for name in absent]
        more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
        text += f"; absent from {split}: {', '.join(absent[:_LISTED])}{more}"
    return text
