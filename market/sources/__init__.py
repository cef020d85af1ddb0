"""Where prices come from. A source is a frozen dataclass of plain values that reads one long table of bars."""

from typing import Protocol, runtime_checkable

import pandas as pd


@runtime_checkable
class Source(Protocol):
    """Anything that can read daily bars; quality checks and `Panel.from_frame` come after it."""

    def read(self) -> pd.DataFrame:
        """Returns the long frame: ``date, symbol, close`` and, where known, ``open, high, low, volume, adj_close``.

        Optional bool columns ``listed`` and ``tradable`` narrow what the rows alone imply.

        Raises:
            ValueError: The data cannot be had or understood; one line that names the file, the field and the remedy.
        """
        ...
