"""The data set that a network is for, where nothing but the number of its classes is known."""

from collections.abc import Callable

from gcn_jax.data.builders.published_classes import (
    CAMVID_CLASSES,
    CITYSCAPES_CLASSES,
    VOC_CLASSES,
    ade20k_classes,
)
from gcn_jax.data.classes import ClassTable

#: Number of classes -> the data set that published networks with so many are for, its classes.
_DATA_SETS: dict[int, tuple[str, Callable[[], ClassTable]]] = {
    11: ("camvid", lambda: CAMVID_CLASSES),
    19: ("cityscapes", lambda: CITYSCAPES_CLASSES),
    21: ("voc_segmentation", lambda: VOC_CLASSES),
    150: ("ade20k", ade20k_classes),
}


def data_set_with(num_classes: int) -> tuple[str, ClassTable] | None:
    """Return the data set that published networks with so many classes are for, and its classes.

    Args:
        num_classes: The number of classes.

    Returns:
        Its name for a config, and its classes; None where there is none.
    """
    if num_classes not in _DATA_SETS:
        return None
    name, read = _DATA_SETS[num_classes]
    return name, read()
