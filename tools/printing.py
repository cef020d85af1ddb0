"""Tables in a terminal: whole in a file or a pipe, and divided by columns where the terminal is too narrow."""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

EDGES = 4
"""Columns of the terminal that the two borders of a table take."""


def show_table(table: Table, console: Console | None = None) -> None:
    """Prints a table without cutting a cell.

    In a file or a pipe it is as wide as it has to be. A terminal that is narrower than the table gets its columns in
    several tables below each other, each of which begins with the first column.
    """
    console = Console() if console is None else console
    if not console.is_terminal:
        console.width = max(console.width, natural_width(table))  # a log is read without its columns cut
    for part in divided(table, console.width):
        console.print(part)


def natural_width(table: Table) -> int:
    """Returns how many columns of text a table takes where no cell is broken; a title may be broken."""
    return sum(column_widths(table)) + EDGES


def column_widths(table: Table) -> list[int]:
    """Returns the width of each column of a table, with its padding and border."""
    plain = Console(width=10_000)
    widths = []
    for column in table.columns:
        cells = [column.header, *column.cells]
        widths.append(max(Measurement.get(plain, plain.options, cell).maximum for cell in cells) + 3)
    return widths


def divided(table: Table, width: int) -> list[Table]:
    """Returns a table as several of at most `width`, which share its first column and its rows."""
    widths = column_widths(table)
    parts: list[list[int]] = [[0]]
    used = widths[0] + EDGES
    for index, needed in enumerate(widths[1:], start=1):
        if used + needed > width and len(parts[-1]) > 1:
            parts.append([0])
            used = widths[0] + EDGES
        parts[-1].append(index)
        used += needed
    return [table] if len(parts) == 1 else [_part(table, part, k) for k, part in enumerate(parts)]


def _part(table: Table, columns: Sequence[int], number: int) -> Table:
    """Returns some columns of a table; the title stands above the first part."""
    part = Table(title=table.title if number == 0 else None)
    kept = [table.columns[index] for index in columns]
    for column in kept:
        part.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap, overflow="fold")
    for cells, row in zip(zip(*(column.cells for column in kept), strict=True), table.rows, strict=True):
        part.add_row(*cells, style=row.style)
    return part
