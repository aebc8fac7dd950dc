"""The source formats that are known, in the order in which they are tried."""

from gcn_jax.data.convert import binary, coco, colors, indexed, labelme
from gcn_jax.data.convert.plan import Format

FORMATS: tuple[Format, ...] = (
    coco,
    labelme,
    colors,
    binary,
    indexed,
)
