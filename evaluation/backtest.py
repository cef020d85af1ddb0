"""Backtest: what a policy did to an account, day by day, and what of it went where."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from market.arrays import AnyArray, DateArray, FloatArray
from market.storage.array_file import METADATA_KEY, atomic_write

VERSION = 1
SERIES = ("returns", "turnover", "costs")
GRIDS = ("weights", "trades", "profits")
NEGLIGIBLE = 1e-12  # of the starting wealth
SMALLEST_TRADE = 1e-6  # of the wealth of the day before: what is smaller is rounding of weights, and counts as no trade


@dataclass(frozen=True, eq=False)
class Backtest:
    """The path of one account over T days, from a wealth of 1; row ``t`` ends at the close of ``dates[t]``.

    Money is in units of the starting wealth. The product of ``1 + returns`` is the final wealth; `returns` are net of
    everything, so costs must not be subtracted again.

    Attributes:
        name: Name of the policy.
        assets: N names.
        dates: ``[T] datetime64[D]``, strictly increasing.
        returns: ``[T]`` net simple returns, close to close.
        weights: ``[T, 1 + N]`` right after the day's trade, cash first; rows sum to 1.
        turnover: ``[T]`` one-way, ``(|change of cash| + sum |changes of assets|) / 2`` in weights.
        costs: ``[T]`` paid for the day's trades.
        trades: ``[T, N]`` value bought (positive) or sold.
        profits: ``[T, N]`` what each asset gained, before costs and interest.
        periods_per_year: Number of rows in a year; 252 for trading days, 52 for weeks.
    """

    name: str
    assets: tuple[str, ...]
    dates: DateArray
    returns: FloatArray
    weights: FloatArray
    turnover: FloatArray
    costs: FloatArray
    trades: FloatArray
    profits: FloatArray
    periods_per_year: float = 252.0

    def __post_init__(self) -> None:
        days, names = len(self.dates), len(self.assets)
        if days == 0:
            raise ValueError(f"backtest '{self.name}': it has no days; run the policy for at least one")
        if not self.periods_per_year > 0:
            raise ValueError(f"backtest '{self.name}': periods_per_year is {self.periods_per_year}, expected above 0")
        shapes = dict.fromkeys(SERIES, (days,)) | dict.fromkeys(GRIDS, (days, names)) | {"weights": (days, 1 + names)}
        for label, shape in shapes.items():
            array = getattr(self, label)
            if array.shape != shape:
                raise ValueError(f"backtest '{self.name}': {label} has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                day = self.dates[np.flatnonzero(~np.isfinite(array.reshape(days, -1)).all(axis=1))[0]]
                raise ValueError(f"backtest '{self.name}': {label} is not finite on {day}; correct the prices first")
        if (np.diff(self.dates) <= np.timedelta64(0, "D")).any():
            raise ValueError(f"backtest '{self.name}': dates do not increase; sort them and keep each day once")

    def __len__(self) -> int:
        return len(self.dates)

    @property
    def wealth(self) -> FloatArray:
        """``[1 + T]`` wealth at the start (1) and after each day."""
        return np.concatenate([[1.0], np.cumprod(1 + self.returns)])

    @property
    def n_trades(self) -> int:
        """Number of purchases and sales, one for each asset and day, of at least `SMALLEST_TRADE` of the account."""
        return int((np.abs(self.trades) > SMALLEST_TRADE * self.wealth[:-1, None]).sum())

    def renamed(self, name: str) -> "Backtest":
        """Returns the same path under another name."""
        return replace(self, name=name)

    def trade_list(self) -> pd.DataFrame:
        """Returns one row for each trade: ``date``, ``asset``, ``value`` (negative for a sale) and its share of costs.

        Costs of a day are shared by the size of its trades.
        """
        day, column = np.nonzero(np.abs(self.trades) > NEGLIGIBLE)
        names = np.array(self.assets, dtype=object)[column]
        values, costs = self.trades[day, column], self.cost_shares()[day, column]
        return pd.DataFrame({"date": self.dates[day], "asset": names, "value": values, "cost": costs})

    def cost_shares(self) -> FloatArray:
        """Returns the costs of each asset and day, ``[T, N]``: the day's costs, shared by the size of its trades."""
        size = np.abs(self.trades)
        total = size.sum(axis=1, keepdims=True)
        shares: FloatArray = self.costs[:, None] * np.divide(size, total, out=np.zeros_like(size), where=total > 0)
        return shares

    def holdings(self) -> pd.DataFrame:
        """Returns one row for each time an asset was held without a break, long or short.

        Columns: ``asset``, ``first`` and ``last`` day, ``days``, ``profit`` after its share of costs, and ``open``,
        true where it was still held at the end. The profits of all holdings add up to the change of wealth, less what
        cash earned and shorts paid.
        """
        held = np.abs(self.weights[:, 1:]) > NEGLIGIBLE
        net = self.profits - self.cost_shares()
        rows = [
            row
            for column, asset in enumerate(self.assets)
            for row in self._spells(asset, held[:, column], net[:, column])
        ]
        return pd.DataFrame(rows, columns=list(Holding._fields))

    def save(self, path: str | Path) -> None:
        """Writes the backtest as one Parquet table, a row a day (aside, then renamed)."""
        columns: dict[str, AnyArray] = {"date": self.dates, **{label: getattr(self, label) for label in SERIES}}
        columns["cash"] = self.weights[:, 0]
        for label, grid in (("weights", self.weights[:, 1:]), ("trades", self.trades), ("profits", self.profits)):
            columns |= {f"{label}:{asset}": grid[:, k] for k, asset in enumerate(self.assets)}
        header = {"kind": "backtest", "version": VERSION, "name": self.name, "assets": list(self.assets)}
        header["periods_per_year"] = self.periods_per_year
        table = pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(header)})
        with atomic_write(path) as aside:
            pq.write_table(table, aside, compression="zstd")

    @staticmethod
    def load(path: str | Path) -> "Backtest":
        """Reads what `save` wrote; every number is equal to the bit.

        Raises:
            ValueError: The file is missing, is not a backtest, is of another version, or lacks a column.
        """
        table, header = _read(path)
        try:
            assets = tuple(header["assets"])
            return Backtest(
                name=header["name"],
                assets=assets,
                dates=table["date"].to_numpy().astype("datetime64[D]"),
                weights=_grid(table, ["cash", *(f"weights:{asset}" for asset in assets)]),
                trades=_grid(table, [f"trades:{asset}" for asset in assets]),
                profits=_grid(table, [f"profits:{asset}" for asset in assets]),
                periods_per_year=float(header.get("periods_per_year", 252.0)),
                **{label: table[label].to_numpy() for label in SERIES},
            )
        except KeyError as error:
            raise ValueError(f"{path}: {error} is missing; evaluate again") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _spells(self, asset: str, held: AnyArray, net: FloatArray) -> Iterator["Holding"]:
        if not held[0] and net[0] != 0:  # the account began with it and sold it at once
            yield Holding(asset, self.dates[0], self.dates[0], 0, float(net[0]), False)
        changes = np.flatnonzero(np.diff(held, prepend=False, append=False))
        for first, stop in zip(changes[::2], changes[1::2], strict=True):
            closing = min(stop, len(held) - 1)  # the day it is sold on earns up to the fill and pays for the sale
            profit = float(net[first : closing + 1].sum())
            yield Holding(asset, self.dates[first], self.dates[closing], int(stop - first), profit, stop == len(held))


class Holding(NamedTuple):
    """One unbroken holding of an asset, see `Backtest.holdings`."""

    asset: str
    first: np.datetime64
    last: np.datetime64
    days: int
    profit: float
    open: bool


def _read(path: str | Path) -> tuple[pa.Table, dict[str, Any]]:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; evaluate first or correct the path") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error}); evaluate again") from None
    metadata = (table.schema.metadata or {}).get(METADATA_KEY.encode())
    header = json.loads(metadata) if metadata else {}
    for key, wanted in (("kind", "backtest"), ("version", VERSION)):
        if header.get(key) != wanted:
            raise ValueError(f"{path}: {key} is {header.get(key)!r}, expected {wanted!r}; evaluate again")
    return table, header


def _grid(table: pa.Table, names: Sequence[str]) -> FloatArray:
    return np.stack([table[name].to_numpy() for name in names], axis=1)
