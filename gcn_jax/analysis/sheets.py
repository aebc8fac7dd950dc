"""A table of texts, for the screen and as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table


class Sheet(NamedTuple):
    """A table whose first column is of names and whose others are of numbers.

    Attributes:
        caption: What it shows.
        heads: Of the columns.
        rows: As many texts each as there are heads.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def table(self) -> Table:
        """Return it for `rich` to print."""
        table = Table(title=self.caption)
        for i, head in enumerate(self.heads):
            table.add_column(head, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return its lines, without the caption."""
        rule = ("---", *["---:"] * (len(self.heads) - 1))
        return "".join(f"| {' | '.join(row)} |\n" for row in (self.heads, rule, *self.rows))
