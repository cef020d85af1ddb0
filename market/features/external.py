"""Columns of the user beside computed features: fundamentals, or own signals, from a table by date and symbol.

Nobody here can prove what such a column knew when. So a lag is declared: a value of day ``d`` is taken to be known
after the close `lag` trading days later, and row ``t`` holds it from then on. A day that is no trading day counts as
the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import pandas as pd

from market.arrays import FeatureArray, FloatArray
from market.audit.controls import DISGUISED
from market.audit.external import External, externals_of
from market.features import FeatureSet
from market.features.alpha158 import Alpha158
from market.features.table import Feature
from market.panel import Panel
from market.sources.tables.columns import KEYS, file_digest, read_columns


@dataclass(frozen=True)
class WithColumns:
    """The features of another set, then columns of a table.

    Attributes:
        path: Parquet or CSV table with ``date``, ``symbol`` and the columns.
        lag: Trading days after its day until a value is known; 0 for one that was known before that day's close.
        columns: Names of the columns; empty for all numbers in the table.
        carry: Trading days that a value stays in place after the first, until a later one comes; 0 for values of single
            days, about 65 for quarterly reports.
        base: The other set; None for the columns of the table alone.
    """

    path: str
    lag: int
    columns: tuple[str, ...] = ()
    carry: int = 0
    base: FeatureSet | None = Alpha158()

    def __post_init__(self) -> None:
        if self.lag < 0 or self.carry < 0:
            raise ValueError(
                f"WithColumns: lag is {self.lag} and carry {self.carry} days, expected 0 or more; nothing is known "
                "before its day"
            )

    @property
    def external(self) -> tuple[External, ...]:
        """The columns of the table, which the audit cannot compute again, with the lag that was declared."""
        own = tuple(External(name, self.lag) for name in self.columns or _numbers_of(self._read()))
        return (*externals_of(self.base), *own)

    @property
    def levels(self) -> tuple[str, ...]:
        """The columns of the other set that read quotes as they were known on the day."""
        return tuple(getattr(self.base, "levels", ()))

    def table(self) -> tuple[Feature, ...]:
        """Returns the features of the other set; columns of a table are no formulas of one asset's bars."""
        return () if self.base is None else self.base.table()

    def compute(self, panel: Panel) -> Panel:
        """Returns all features of `panel`, float32; NaN where unknown or not listed.

        Raises:
            ValueError: The table cannot be read, lacks a column, repeats a cell, or names no asset of the panel.
        """
        frame, base = self._read(), _nothing(panel) if self.base is None else self.base.compute(panel)
        names = self.columns or _numbers_of(frame)
        clash = set(names) & set(base.fields)
        if clash:
            raise ValueError(f"{self.path}: column {min(clash)} is a feature's name already; rename it")
        values = np.empty((*panel.shape[:2], len(base.fields) + len(names)), dtype=np.float32)
        values[..., : len(base.fields)] = base.values
        values[..., len(base.fields) :] = self._placed(frame, names, panel)
        source = {"path": self.path, "lag": self.lag, "sha256": file_digest(self.path)}
        return replace(
            base,
            fields=(*base.fields, *names),
            values=values,
            source={**base.source, "features": type(self).__name__, "external": source},
        )

    def revision(self, assets: Sequence[str], until: str | None = None) -> tuple[str, str]:
        """Returns the last day of the rows of some assets, and a SHA-256 of what they say.

        Args:
            assets: Rows of other symbols do not count.
            until: Last day that counts. None leaves out the newest day, which the owner may still complete.
        """
        frame = self._read()
        frame = frame[frame["symbol"].isin(assets)]
        kept = frame[frame["date"] <= until] if until else frame[frame["date"] < frame["date"].max()]
        kept = kept.sort_values(list(KEYS))[[*KEYS, *(self.columns or _numbers_of(frame))]]
        rows = pd.util.hash_pandas_object(kept, index=False).to_numpy()
        last = until or (str(kept["date"].max().date()) if len(kept) else "")
        return last, sha256(rows.tobytes()).hexdigest()

    def _read(self) -> pd.DataFrame:
        frame = read_columns(self.path)
        for name in self.columns:
            if name not in frame.columns:
                raise ValueError(f"{self.path}: no column '{name}' among {', '.join(map(str, frame.columns))}")
        numbers = _numbers_of(frame)
        odd = [name for name in self.columns if name not in numbers]
        if odd or not numbers:
            raise ValueError(f"{self.path}: {odd[0] if odd else 'none of its columns'} holds no numbers; convert it")
        return frame

    def _placed(self, frame: pd.DataFrame, names: tuple[str, ...], panel: Panel) -> FeatureArray:
        """Returns the columns where they are known, ``[T, N, columns]``."""
        asset = pd.Index(panel.assets).get_indexer(pd.Index(frame["symbol"]))
        if not (asset >= 0).any() and not panel.source.get(DISGUISED):
            raise ValueError(
                f"{self.path}: none of its symbols ({', '.join(frame['symbol'].unique()[:3])}) is in the panel "
                f"({', '.join(panel.assets[:3])}); spell them alike"
            )
        days = frame["date"].to_numpy().astype("datetime64[D]")
        row = panel.dates.searchsorted(days) + self.lag
        there = (asset >= 0) & (row < len(panel)) & (days >= panel.dates[0] - self.carry)
        placed = np.full((*panel.shape[:2], len(names)), np.nan, dtype=np.float32)
        values = frame[list(names)].to_numpy(dtype=np.float32)
        placed[row[there], asset[there]] = values[there]  # in time: of two days that fall on one row the later stays
        placed = _carried(placed, self.carry)
        placed[~panel.listed] = np.nan
        return placed


def own_tables(features: object) -> tuple[WithColumns, ...]:
    """Returns the tables that a feature set reads, one within another included; none where it reads none."""
    return (features, *own_tables(features.base)) if isinstance(features, WithColumns) else ()


def _nothing(panel: Panel) -> Panel:
    """Returns the features of no set: none, for every day and asset."""
    return replace(panel, fields=(), values=np.empty((*panel.shape[:2], 0), dtype=np.float32))


def _numbers_of(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(name for name in frame.select_dtypes("number").columns if name not in KEYS)


def _carried(values: FeatureArray, days: int) -> FeatureArray:
    """Returns the values with each kept for some days after it, ``[T, N, C]``, until the next known one."""
    known = np.isfinite(values)
    rows = np.arange(len(values))[:, None, None]
    last: FloatArray = np.maximum.accumulate(np.where(known, rows, -days - 1), axis=0)
    recent = rows - last <= days
    return np.where(recent, np.take_along_axis(values, np.maximum(last, 0), axis=0), np.nan).astype(np.float32)
