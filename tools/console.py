"""Tables of results for the terminal, and the numbers in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from evaluation.formats import number

WORDS = ("run", "agent", "agent sees", "encoder", "days")
"""Columns of text; all others are numbers."""
FILE_WIDTH = 200


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows with the same keys as a table."""
    table = Table(title=title)
    for column in rows[0]:
        named = column in WORDS
        table.add_column(column, justify="left" if named else "right", overflow="fold" if named else "ellipsis")
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    terminal = Console()
    console = terminal if terminal.is_terminal else Console(width=FILE_WIDTH)  # a log is read without its columns cut
    console.print(table)


def within(value: float | None, interval: Sequence[float] | None, digits: int = 2) -> str:
    """Returns a number and its interval, as ``0.04 [0.02, 0.06]``."""
    if interval is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(interval[0], digits)}, {number(interval[1], digits)}]"
