"""Tables of results for the terminal, and the numbers in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from evaluation.formats import number

WORDS = ("run", "agent", "agent sees", "encoder", "days")
"""Columns of text; all others are numbers."""


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows with the same keys as a table."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, justify="left" if column in WORDS else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    Console().print(table)


def within(value: float | None, interval: Sequence[float] | None, digits: int = 2) -> str:
    """Returns a number and its interval, as ``0.04 [0.02, 0.06]``."""
    if interval is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(interval[0], digits)}, {number(interval[1], digits)}]"
