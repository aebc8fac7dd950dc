"""A table of texts, for the screen and as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text


class Sheet(NamedTuple):
    """A table whose first column is of names and whose others are of numbers.

    Attributes:
        caption: The title, which says what the table shows.
        heads: The names of the columns.
        rows: The texts of each row, one for each column.
        note: A line below the table; none where it is empty.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def table(self) -> Table:
        """Return the table for `rich` to print."""
        table = Table(title=self.caption, caption=Text(self.note) if self.note else None)
        for i, head in enumerate(self.heads):
            table.add_column(head, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return the lines of the table in Markdown, without the caption."""
        rule = ("---", *["---:"] * (len(self.heads) - 1))
        lines = "".join(f"| {' | '.join(row)} |\n" for row in (self.heads, rule, *self.rows))
        return f"{lines}\n{self.note}\n" if self.note else lines
