"""Observables: arrays of the market that a policy may see, from frozen states, from features, or from the bars."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from market.arrays import AnyArray, BoolArray, DateArray, FeatureArray, FloatArray
from market.panel import PRICES, Panel
from market.prices.fills import fill_prices
from market.states import MarketStates

Observed = Literal["states", "forecast", "states+forecast"]
"""Parts of a states file that a policy may see."""


@dataclass(frozen=True, eq=False)
class Observables:
    """Asset and market rows to see, and where they lie on the panel.

    Attributes:
        name: What they are, for error messages.
        asset: ``[S, N, D]`` float32 without NaN, in the panel's order of assets.
        market: ``[S, M]`` float32 without NaN.
        seen: ``[S, N]``, true where there is something to see.
        rows: The panel rows that the S rows lie on.
        channels: D names.
        market_channels: M names.
    """

    name: str
    asset: FeatureArray
    market: FeatureArray
    seen: BoolArray
    rows: slice
    channels: tuple[str, ...]
    market_channels: tuple[str, ...]

    def window(self, rows: slice, lookback: int) -> tuple[FeatureArray, FeatureArray]:
        """Returns the asset and market rows of the panel's `rows` and of the `lookback` - 1 days before them.

        Days before the first row are zero. Memory is shared with the source unless zeros had to be put in front.
        """
        first = rows.start - self.rows.start - (lookback - 1)
        last = rows.stop - self.rows.start
        asset, market = (padded(array[max(first, 0) : last], max(-first, 0)) for array in (self.asset, self.market))
        return asset, market

    def mask(self, rows: slice) -> BoolArray:
        """Returns `seen` of the panel's `rows`, ``[T, N]``."""
        return self.seen[rows.start - self.rows.start : rows.stop - self.rows.start]


def observables_of(
    panel: Panel, states: MarketStates | None, features: Panel | None, observe: Observed = "states+forecast"
) -> Observables:
    """Returns what can be seen of `panel`: its states, else its features, else its own bars.

    Of states whose forecast alone is observed nothing but the days and the mask are taken.

    Raises:
        ValueError: Both sources are given, or the one given lacks assets or days in between.
    """
    if states is not None and features is not None:
        raise ValueError("tape: both states and features are given; pass the one that the policy is to see")
    if states is not None:
        return _of_states(panel, states, observe)
    if features is not None:
        rows, theirs = matched_days("features", panel, features.dates)
        values = features.values[theirs][:, matched_columns("features", panel, features.assets)]
        seen: BoolArray = np.any(np.isfinite(values), axis=2)
        return _with_mean_market("features", values, seen, rows, features.fields)
    bars, names = _relative_bars(panel)
    known: BoolArray = np.any(np.isfinite(bars), axis=2)
    return _with_mean_market("bars", bars, known, slice(0, len(panel)), names)


def _of_states(panel: Panel, states: MarketStates, observe: Observed) -> Observables:
    if observe not in get_args(Observed):
        raise ValueError(f"tape: observe is '{observe}', expected one of {', '.join(get_args(Observed))}")
    rows, theirs = matched_days("states", panel, states.dates)
    columns = matched_columns("states", panel, states.assets)
    asset, market = states.asset[theirs], states.market[theirs].astype(np.float32, copy=False)
    if "states" not in observe:
        asset, market = asset[..., :0], market[:, :0]
    names = tuple(f"state_{k}" for k in range(asset.shape[-1]))
    market_names = tuple(f"market_state_{k}" for k in range(market.shape[-1]))
    return Observables("states", asset[:, columns], market, states.mask[theirs][:, columns], rows, names, market_names)


def _relative_bars(panel: Panel) -> tuple[FloatArray, tuple[str, ...]]:
    """Logarithms of the day's open, high and low over its close, and of its close over the close before; NaN-padded."""
    close = fill_prices(panel, "close")
    with np.errstate(divide="ignore", invalid="ignore"):
        names = [name for name in PRICES[:-1] if name in panel]
        columns = [np.log(panel[name] / close) for name in names]
        moves = np.full_like(close, np.nan)
        moves[1:] = np.log(close[1:] / close[:-1])
    return np.stack([*columns, moves], axis=2), (*names, "return")


def _with_mean_market(
    name: str, values: AnyArray, seen: BoolArray, rows: slice, channels: tuple[str, ...]
) -> Observables:
    asset = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    count = np.maximum(seen.sum(axis=1), 1)[:, None]
    market = (asset * seen[:, :, None]).sum(axis=1, dtype=np.float64) / count
    means = tuple(f"mean_{one}" for one in channels)
    return Observables(name, asset, market.astype(np.float32), seen, rows, channels, means)


def matched_columns(name: str, panel: Panel, assets: tuple[str, ...]) -> list[int] | slice:
    """Returns the columns that a source of some `assets` has for the panel's; a slice where they are the same.

    Raises:
        ValueError: An asset is missing.
    """
    missing = [one for one in panel.assets if one not in set(assets)]
    if missing:
        raise ValueError(
            f"tape: {name} lack {len(missing)} of the panel's {len(panel.assets)} assets, first '{missing[0]}'; "
            "select the panel's assets that they have, or make them again"
        )
    place = {one: k for k, one in enumerate(assets)}
    return slice(None) if assets == panel.assets else [place[one] for one in panel.assets]


def matched_days(name: str, panel: Panel, dates: DateArray) -> tuple[slice, slice]:
    """Returns the panel rows and the source rows that share their days.

    Raises:
        ValueError: There is none, or one in between is missing.
    """
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
    return rows, theirs


def padded(array: FeatureArray, rows: int) -> FeatureArray:
    """Returns `array` with so many rows of zeros in front; without any, its own memory."""
    if not rows:
        return np.ascontiguousarray(array)
    return np.concatenate([np.zeros((rows, *array.shape[1:]), np.float32), array])
