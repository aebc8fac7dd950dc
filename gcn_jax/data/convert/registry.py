"""The source formats that are known, in the order in which they are tried."""

from gcn_jax.data.convert import (
    binary,
    coco,
    colors,
    cvat,
    indexed,
    labelme,
    objects,
    yolo,
)
from gcn_jax.data.convert.plan import Format

FORMATS: tuple[Format, ...] = (
    coco,
    labelme,
    cvat,
    yolo,
    objects,
    colors,
    binary,
    indexed,
)
