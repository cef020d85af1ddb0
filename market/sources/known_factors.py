"""Factors that are known beside the prices: published ones from a table, or those a synthetic market was made of.

Known factors are for comparison; nothing is ever learnt from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from market.arrays import DateArray, FloatArray, check_dates, check_distinct


@dataclass(frozen=True, eq=False)
class KnownFactors:
    """Factors by day.

    Attributes:
        dates: ``[T]`` their days.
        names: J names.
        factors: ``[T, J]``; NaN where unknown.
        assets: N names of the assets whose loadings are known, none where no loading is.
        loadings: ``[N, J]`` correlation of each asset's return with each factor, None where they are not known.
    """

    dates: DateArray
    names: tuple[str, ...]
    factors: FloatArray
    assets: tuple[str, ...] = ()
    loadings: FloatArray | None = None

    def __post_init__(self) -> None:
        check_dates("known factors", self.dates)
        check_distinct("known factors: names", self.names)
        if self.factors.shape != (len(self.dates), len(self.names)):
            raise ValueError(
                f"known factors: shape {self.factors.shape}, expected {len(self.dates)} days x {len(self.names)} names"
            )

    def on(self, dates: DateArray) -> FloatArray:
        """Returns the factors of other days ``[D, J]``, NaN where those have none.

        Raises:
            ValueError: They have no day in common.
        """
        _, ours, theirs = np.intersect1d(self.dates, dates, return_indices=True)
        if not len(ours):
            raise ValueError(
                f"known factors cover {self.dates[0]} to {self.dates[-1]}, the panel {dates[0]} to {dates[-1]}; "
                "name factors of the same days"
            )
        found = np.full((len(dates), len(self.names)), np.nan)
        found[theirs] = self.factors[ours]
        return found

    def loadings_of(self, assets: Sequence[str]) -> FloatArray | None:
        """Returns the loadings of other assets ``[M, J]``, NaN where unknown; None where none are known."""
        if self.loadings is None:
            return None
        place = {name: n for n, name in enumerate(self.assets)}
        rows = [self.loadings[place[name]] if name in place else np.full(len(self.names), np.nan) for name in assets]
        return np.array(rows)


@runtime_checkable
class FactorSource(Protocol):
    """Anything that knows factors: a frozen dataclass of plain values."""

    def truth(self) -> KnownFactors:
        """Returns the factors.

        Raises:
            ValueError: They cannot be had; one line that names the file, the field and the remedy.
        """
        ...


@dataclass(frozen=True)
class FactorTable:
    """Factors in a CSV or Parquet table with a row a day, such as those of Fama and French.

    Attributes:
        path: The table.
        columns: Columns to take as factors; none takes every column of numbers but the risk-free rate ``rf``.
        date: Column of days.
    """

    path: str
    columns: tuple[str, ...] = ()
    date: str = "date"

    def truth(self) -> KnownFactors:
        """Returns the factors of the table; their loadings are not known.

        Raises:
            ValueError: The table is missing, a column is, or a day stands twice.
        """
        frame = read_table(self.path, (self.date, *self.columns))
        try:
            frame.index = pd.DatetimeIndex(pd.to_datetime(frame[self.date]))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.path}: column '{self.date}' holds something that is no date ({error})") from None
        frame = frame.sort_index()
        numbers = frame.drop(columns=[self.date, "rf"], errors="ignore").select_dtypes("number")
        names = self.columns or tuple(map(str, numbers.columns))
        if not names:
            raise ValueError(f"{self.path}: no column of numbers beside '{self.date}'; name factors in columns")
        values = frame[list(names)].to_numpy(dtype=np.float64)
        return KnownFactors(frame.index.to_numpy().astype("datetime64[D]"), names, values)


def read_sectors(path: str | Path, assets: Sequence[str]) -> tuple[str, ...]:
    """Returns the sector of each asset from a CSV or Parquet table of ``symbol`` and ``sector`` (or ``gics_sector``).

    Raises:
        ValueError: The table or a column is missing, or an asset has no sector.
    """
    frame = read_table(path, ("symbol",)).rename(columns={"gics_sector": "sector"})
    if "sector" not in frame.columns:
        raise ValueError(
            f"{path}: no column 'sector' among {', '.join(map(str, frame.columns))}; rename the one that is"
        )
    known = dict(zip(frame["symbol"].astype(str), frame["sector"].astype(str), strict=True))
    missing = [name for name in assets if name not in known]
    if missing:
        raise ValueError(f"{path}: no sector for {', '.join(missing[:5])} ({len(missing)} assets); add rows for them")
    return tuple(known[name] for name in assets)


def read_table(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Returns a CSV or Parquet table that has these columns.

    Raises:
        ValueError: The file is missing, or a column is.
    """
    try:
        frame = pd.read_parquet(path) if str(path).endswith(".parquet") else pd.read_csv(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name a table with {', '.join(columns)}") from None
    for name in columns:
        if name not in frame.columns:
            raise ValueError(f"{path}: no column '{name}' among {', '.join(map(str, frame.columns))}; rename one")
    return frame
