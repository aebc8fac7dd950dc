"""The paper's counts of parameters, beside those of our modules."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from rich.table import Table

from gcn_jax.analysis.studies.paper import PAPER_CHANNELS, PAPER_CLASSES, Cell, Study
from gcn_jax.errors import UserError
from gcn_jax.models.gcn_heads import HEADS


def head_parameters(cell: Cell, channels: int, num_classes: int, *, use_bias: bool) -> int:
    """Count the parameters of a cell's head on res-5.

    Args:
        cell: One network of a table.
        channels: The channels of res-5.
        num_classes: Number of classes.
        use_bias: Whether biases count; in the paper's counts they do not.
    """
    fields = {"kernel_size": cell.kernel_size, "use_bias": use_bias}
    if cell.head == "stack":
        fields["middle_features"] = cell.stack_channels(channels)
    head: nn.Module = HEADS[cell.head](num_classes, **fields)
    features = jax.ShapeDtypeStruct((1, 8, 8, channels), jnp.float32)
    shapes = jax.eval_shape(head.init, jax.random.key(0), features)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def count_table(study: Study) -> Table:
    """Make the table of the counts that the paper prints, after res-5 of ResNet-152, 21 classes.

    Raises:
        UserError: The paper's table prints none.
    """
    cells = [cell for cell in study.cells if "parameters" in cell.published]
    if not cells:
        raise UserError(f"table {study.number} prints no counts of parameters; tables 2 and 4 do")
    table = Table(title=f"Table {study.number}: parameters after res-5, without biases")
    for heading in ("head", study.axis, "the paper's", "ours"):
        table.add_column(heading, justify="left" if heading == "head" else "right")
    for cell in cells:
        count = head_parameters(cell, PAPER_CHANNELS, PAPER_CLASSES, use_bias=False)
        table.add_row(cell.row, cell.column, cell.published["parameters"], f"{count:,}")
    return table
