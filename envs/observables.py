"""Sight: what a policy may see of the market, from frozen states, from features, or from the bars themselves."""

from dataclasses import dataclass

import numpy as np

from market.arrays import AnyArray, BoolArray, DateArray, FeatureArray, FloatArray
from market.fills import fill_prices
from market.panel import PRICES, Panel
from market.states import MarketStates


@dataclass(frozen=True, eq=False)
class Observables:
    """Asset and market rows to see, and where they lie on the panel.

    Attributes:
        name: What they are, for error messages.
        asset: ``[S, N, D]`` float32 without NaN, in the panel's order of assets.
        market: ``[S, M]`` float32 without NaN.
        seen: ``[S, N]``, true where there is something to see.
        rows: The panel rows that the S rows lie on.
    """

    name: str
    asset: FeatureArray
    market: FeatureArray
    seen: BoolArray
    rows: slice

    def window(self, rows: slice, lookback: int) -> tuple[FeatureArray, FeatureArray]:
        """Returns the asset and market rows of the panel's `rows` and of the `lookback` - 1 days before them.

        Days before the first row are zero. Memory is shared with the source unless zeros had to be put in front.
        """
        first = rows.start - self.rows.start - (lookback - 1)
        last = rows.stop - self.rows.start
        asset, market = (_padded(array[max(first, 0) : last], max(-first, 0)) for array in (self.asset, self.market))
        return asset, market

    def mask(self, rows: slice) -> BoolArray:
        """Returns `seen` of the panel's `rows`, ``[T, N]``."""
        return self.seen[rows.start - self.rows.start : rows.stop - self.rows.start]


def observables_of(panel: Panel, states: MarketStates | None, features: Panel | None) -> Observables:
    """Returns what can be seen of `panel`: its states, else its features, else its own bars.

    Raises:
        ValueError: Both sources are given, or the one given lacks assets or days in between.
    """
    if states is not None and features is not None:
        raise ValueError("tape: both states and features are given; pass the one that the policy is to see")
    if states is not None:
        rows, theirs, columns = _matched("states", panel, states.dates, states.assets)
        asset, mask = (_columns(array[theirs], columns) for array in (states.asset, states.mask))
        return Observables("states", asset, states.market[theirs].astype(np.float32, copy=False), mask, rows)
    if features is not None:
        rows, theirs, columns = _matched("features", panel, features.dates, features.assets)
        values = _columns(features.values[theirs], columns)
        seen: BoolArray = np.any(np.isfinite(values), axis=2)
        return _with_mean_market("features", values, seen, rows)
    bars = _relative_bars(panel)
    known: BoolArray = np.any(np.isfinite(bars), axis=2)
    return _with_mean_market("bars", bars, known, slice(0, len(panel)))


def _relative_bars(panel: Panel) -> FloatArray:
    """Logarithms of the day's open, high and low over its close, and of its close over the close before; NaN-padded."""
    close = fill_prices(panel, "close")
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [np.log(panel[name] / close) for name in PRICES[:-1] if name in panel]
        moves = np.full_like(close, np.nan)
        moves[1:] = np.log(close[1:] / close[:-1])
    return np.stack([*columns, moves], axis=2)


def _with_mean_market(name: str, values: AnyArray, seen: BoolArray, rows: slice) -> Observables:
    asset = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    market = (asset * seen[:, :, None]).sum(axis=1, dtype=np.float64) / count
    return Observables(name, asset, market.astype(np.float32), seen, rows)


def _matched(
    name: str, panel: Panel, dates: DateArray, assets: tuple[str, ...]
) -> tuple[slice, slice, list[int] | None]:
    """Returns the panel rows and the source rows that share their days, and the source's columns for the assets."""
    missing = [one for one in panel.assets if one not in set(assets)]
    if missing:
        raise ValueError(
            f"tape: {name} lack {len(missing)} of the panel's {len(panel.assets)} assets, first '{missing[0]}'; "
            "select the panel's assets that they have, or make them again"
        )
    common = np.intersect1d(panel.dates, dates, assume_unique=True)
    if not len(common):
        raise ValueError(
            f"tape: {name} of {dates[0]} ... {dates[-1]} share no day with the panel of "
            f"{panel.dates[0]} ... {panel.dates[-1]}; make them from this panel"
        )
    rows, theirs = (
        slice(int(np.searchsorted(days, common[0])), int(np.searchsorted(days, common[-1])) + 1)
        for days in (panel.dates, dates)
    )
    for days, label in ((panel.dates[rows], name), (dates[theirs], "the panel")):
        if len(days) != len(common):
            absent = days[~np.isin(days, common)][0]
            raise ValueError(f"tape: {label} lacks {absent}, a day in between; make {name} from this panel")
    order = None if assets == panel.assets else [assets.index(one) for one in panel.assets]
    return rows, theirs, order


def _columns(array: AnyArray, columns: list[int] | None) -> AnyArray:
    return array if columns is None else array[:, columns]


def _padded(array: FeatureArray, rows: int) -> FeatureArray:
    if not rows:
        return np.ascontiguousarray(array)
    return np.concatenate([np.zeros((rows, *array.shape[1:]), np.float32), array])
