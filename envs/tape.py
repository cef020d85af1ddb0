"""Tape: the aligned arrays that every episode replays, built once, shared by all and changed by none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, Self

import numpy as np

from envs.execution import FREE, StatusArray, compute_fill_returns, impact_scale
from envs.execution import FillReturns as PanelLegs
from envs.forecast_channels import ForecastChannels, forecast_channels
from envs.observables import Observables, Observed, observables_of
from market.arrays import BoolArray, DateArray, FeatureArray, FloatArray, IntArray
from market.audit import BUILT_IN, audit_of
from market.panel import Panel
from market.prices.fills import Fill, check_fill, default_fill
from market.states import MarketStates


@dataclass(frozen=True, eq=False)
class Tape:
    """Replay of T days and N assets: returns around each fill, permissions, and the arrays that a policy may see.

    Row ``t`` belongs to the decision taken after the close of day ``t``: `asset`, `market` and `mask` use rows
    ``<= t``; `before`, `after`, `price` and `status` say what the decision then earns and may do. The last row only
    ends episodes, so T days hold T - 1 steps. Arrays are read-only and a copy of a tape, deep or not, is the tape.

    Attributes:
        dates: ``[T] datetime64[D]``.
        assets: N names.
        fill: The fill convention of the legs.
        before: ``[T, N]`` return from the close of ``t`` to the fill, earned by the old weights.
        after: ``[T, N]`` return from the fill to the close of ``t + 1``, earned by the new weights.
        price: ``[T, N]`` price at the fill, NaN where there is none.
        status: ``[T, N]`` bits of `envs.execution`: may be bought, may be sold, may carry weight, is paid out.
        free: ``[T]``, true where every asset may be bought and sold.
        listed: ``[T, N]``.
        tradable: ``[T, N]``.
        benchmark: ``[T]`` simple return from close ``t`` to close ``t + 1``.
        frames: ``[lookback - 1 + T, N, D]`` float32, what is seen of each asset; the rows before day 0 come first.
        market_frames: ``[lookback - 1 + T, M]`` float32, what is seen of the market.
        forecast_frames: ``[lookback - 1 + T, N, C]`` float32, the encoder's forecast of each asset, see
            `envs.forecast_channels`; C is 0 where it is not seen.
        age_frames: ``[lookback - 1 + T, A]`` float32, the age of the encoder's fit; A is 1 with a forecast, else 0.
        channels: D + C names of what is seen of each asset on one day.
        market_channels: M + A names of what is seen of the market on one day.
        mask: ``[T, N]``, true where the asset is listed and has something to see.
        impact_scale: ``[T, N]`` volatility over the root of daily traded money; None without volumes.
        lookback: Days of `frames` in one observation.
        fit_end: ``[T] datetime64[D]``, the last day that the encoder of each row's states learnt from; None without
            states.
        benchmarks: ``[T]`` simple returns close to close by name, what `envs.rewards.Excess` may be measured against.
        provenance: What is seen (``sees``: states, features or bars) and what was proven about it (``audit``:
            ``passed``, ``not audited``, or ``built in`` for the ratios of the bars). ``unaligned`` names the states
            (``asset``, ``market``) that mean something else from one fit of a walk to another.
        periods_per_year: Number of rows in a year.
    """

    dates: DateArray
    assets: tuple[str, ...]
    fill: Fill
    before: FloatArray
    after: FloatArray
    price: FloatArray
    status: StatusArray
    free: BoolArray
    listed: BoolArray
    tradable: BoolArray
    benchmark: FloatArray
    frames: FeatureArray
    market_frames: FeatureArray
    forecast_frames: FeatureArray
    age_frames: FeatureArray
    channels: tuple[str, ...]
    market_channels: tuple[str, ...]
    mask: BoolArray
    impact_scale: FloatArray | None
    lookback: int
    fit_end: DateArray | None
    benchmarks: Mapping[str, FloatArray]
    periods_per_year: float = 252.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                view = np.asarray(value).view()
                view.flags.writeable = False
                object.__setattr__(self, one.name, view)

    def __len__(self) -> int:
        return len(self.dates)

    def __repr__(self) -> str:
        """Names size, days, fill and what is seen, in one line; the arrays hold millions of numbers."""
        days = f"{len(self)} days {self.dates[0]} to {self.dates[-1]}"
        seen = f"sees {len(self.channels)} channels of an asset and {len(self.market_channels)} of the market"
        return f"Tape({self.n_assets} assets, {days}, fill {self.fill}, {seen}, lookback {self.lookback})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def n_assets(self) -> int:
        """Number of assets."""
        return len(self.assets)

    @property
    def asset(self) -> FeatureArray:
        """``[T, N, D]``: the states of each asset on each day, without look-back."""
        return self.frames[self.lookback - 1 :]

    @property
    def market(self) -> FeatureArray:
        """``[T, M]``: the states of the market on each day, without look-back."""
        return self.market_frames[self.lookback - 1 :]

    @property
    def in_sample(self) -> BoolArray:
        """``[T]``, true where the states come from an encoder that was fitted on that day or on a later one.

        What such a row says may have been learnt from the very return that the decision is going to earn.
        """
        if self.fit_end is None:
            return np.zeros(len(self), np.bool_)
        fitted: BoolArray = self.fit_end >= self.dates
        return fitted

    @property
    def asset_width(self) -> int:
        """Numbers that an observation shows of each asset, look-back included."""
        return len(self.channels) * self.lookback

    @property
    def market_width(self) -> int:
        """Numbers that an observation shows of the market, look-back included."""
        return len(self.market_channels) * self.lookback

    def seen_assets(self, rows: IntArray | slice) -> FeatureArray:
        """Returns what is seen of the assets after the close of some rows ``[B, N, L (D + C)]``, oldest day first."""
        return _side_by_side((self.frames, self.forecast_frames), self.lookback, len(self), rows)

    def seen_market(self, rows: IntArray | slice) -> FeatureArray:
        """Returns what is seen of the market after the close of some rows ``[B, L (M + A)]``, oldest day first."""
        return _side_by_side((self.market_frames, self.age_frames), self.lookback, len(self), rows)

    @staticmethod
    def from_panel(
        panel: Panel,
        states: MarketStates | None = None,
        fill: Fill | None = None,
        start: str | None = None,
        stop: str | None = None,
        *,
        features: Panel | None = None,
        lookback: int = 1,
        price_limit: float | None = None,
        delisting_return: float = 0.0,
        benchmark: Sequence[float] | FloatArray | None = None,
        allow_unaudited: bool = False,
        observe: Observed = "states+forecast",
    ) -> "Tape":
        """Builds the tape of the days from `start` to `stop`, both inclusive.

        Prices must be adjusted for splits and dividends before. What the policy sees comes from `states`, else from
        `features`, else from the bars themselves; all are matched by date and asset, and where they cover fewer days
        than the panel the days both have are used. Days before `start` serve as look-back and history, never as days
        of an episode.

        Args:
            panel: Bars: ``close``, and ``open`` for the fill ``next_open``; ``volume`` for market impact.
            states: What a frozen encoder made of the market; it must have passed the audit.
            fill: When decisions are carried out; ``next_open`` where the panel has opens, else ``next_close``.
            start: First day of decisions; None for the first there is.
            stop: Last day, at whose close episodes end; None for the last there is.
            features: A feature panel to see instead of states; NaN is seen as 0.
            lookback: Days to see at once, oldest first; days before the data are seen as 0.
            price_limit: Daily limit on moves, 0.1 for 10 %: no buying at limit-up, no selling at limit-down. Moves
                within 2 % of the limit count, since exchanges round to ticks.
            delisting_return: Return on the last price when a listing ends; -0.3 is the literature's pessimist.
            benchmark: Simple return of each panel row (close to close, into the row); None for the equal-weighted
                mean of the listed assets.
            allow_unaudited: Accept states whose audit has not passed.
            observe: What of `states` is seen: ``states``, ``forecast`` or ``states+forecast``.

        Raises:
            ValueError: States are unaudited, of another fill, or lack dates or assets; a price field is missing; a
                date range is empty.
        """
        fill = _checked_fill(panel, fill, lookback, delisting_return)
        if states is not None:
            _check_states(states, fill, allow_unaudited)
        seen = observables_of(panel, states, features, observe)
        rows = _rows(panel, seen, start, stop)
        forecast = forecast_channels(panel, states if "forecast" in observe else None)
        legs = compute_fill_returns(panel, fill, price_limit, delisting_return)
        return Tape(
            dates=panel.dates[rows],
            assets=panel.assets,
            fill=fill,
            listed=panel.listed[rows],
            tradable=panel.tradable[rows],
            mask=seen.mask(rows) & panel.listed[rows],
            lookback=lookback,
            fit_end=None if states is None else states.fit_end[np.searchsorted(states.dates, panel.dates[rows])],
            provenance=_provenance(states, features),
            periods_per_year=panel.periods_per_year,
            **_execution_arrays(panel, legs, rows),
            **_seen_arrays(seen, forecast, rows, lookback),
            **_benchmark_arrays(panel, legs, rows, benchmark),
        )

    def only(self, asset: str) -> "Tape":
        """Returns the tape of one asset, which sees its own state and forecast, the same market and benchmarks.

        The forecast's z-score and rank stay those among all the assets.

        Raises:
            ValueError: The tape has no such asset.
        """
        if asset not in self.assets:
            raise ValueError(
                f"tape: no asset '{asset}' among {self.n_assets}: {', '.join(self.assets[:8])}; name one of them"
            )
        column = [self.assets.index(asset)]
        grids = {
            name: np.ascontiguousarray(getattr(self, name)[:, column])
            for name in ("before", "after", "price", "status", "listed", "tradable", "mask")
        }
        grids |= {name: np.ascontiguousarray(getattr(self, name)[:, column]) for name in ("frames", "forecast_frames")}
        scale = None if self.impact_scale is None else np.ascontiguousarray(self.impact_scale[:, column])
        free = (grids["status"] == FREE).all(axis=1)
        changes: dict[str, Any] = {"assets": (asset,), "free": free, "impact_scale": scale, **grids}
        return replace(self, **changes)

    def with_benchmark(self, name: str, returns: Sequence[float] | FloatArray) -> "Tape":
        """Returns the tape with one more series ``[T]`` that rewards may be measured against.

        Row ``t`` is the simple return from close ``t`` to close ``t + 1``; the last one is never read.
        """
        series = np.array(returns, dtype=np.float64)
        if series.shape != (len(self),) or not np.isfinite(series).all() or (series <= -1).any():
            raise ValueError(
                f"tape: benchmark '{name}' has shape {series.shape}, expected {len(self)} finite returns above -1"
            )
        series.flags.writeable = False
        return replace(self, benchmarks={**self.benchmarks, name: series})

    def benchmark_named(self, name: str) -> FloatArray:
        """Returns one of `benchmarks`.

        Raises:
            ValueError: There is no such series.
        """
        if name not in self.benchmarks:
            raise ValueError(
                f"tape: there is no benchmark '{name}', only {', '.join(self.benchmarks)}; add it with "
                "tape.with_benchmark(name, returns)"
            )
        return self.benchmarks[name]

    def row(self, day: int | str | date | np.datetime64) -> int:
        """Returns the row of a day given by number or by date; a day that no decision can be taken on is refused."""
        if isinstance(day, (int, np.integer)):
            row = int(day)
        else:
            try:
                wanted = np.array(day, dtype="datetime64[D]")
            except ValueError:
                raise ValueError(f"day is {day!r}, expected a row, a date, or text as YYYY-MM-DD") from None
            row = int(np.searchsorted(self.dates, wanted))
            if row == len(self) or self.dates[row] != wanted:
                raise ValueError(f"day {day} is not among the {len(self)} days {self.dates[0]} ... {self.dates[-1]}")
        if not 0 <= row < len(self) - 1:
            raise ValueError(f"day {row} is outside 0 ... {len(self) - 2}, the days a decision can be taken on")
        return row


def _checked_fill(panel: Panel, fill: Fill | None, lookback: int, delisting_return: float) -> Fill:
    fill = default_fill(panel) if fill is None else fill
    check_fill(fill)
    if lookback < 1:
        raise ValueError(f"tape: lookback is {lookback} days, expected at least 1")
    if delisting_return < -1:
        raise ValueError(f"tape: delisting_return is {delisting_return}, expected at least -1")
    return fill


def _execution_arrays(panel: Panel, legs: PanelLegs, rows: slice) -> dict[str, Any]:
    """Returns the fields of a tape that say what a decision earns, may do and costs."""
    scale = impact_scale(panel)
    return {
        "before": np.ascontiguousarray(legs.before[rows]),
        "after": np.ascontiguousarray(legs.after[rows]),
        "price": legs.price[rows],
        "status": np.ascontiguousarray(legs.status[rows]),
        "free": (legs.status[rows] == FREE).all(axis=1),
        "impact_scale": None if scale is None else np.ascontiguousarray(scale[rows]),
    }


def _seen_arrays(seen: Observables, forecast: ForecastChannels, rows: slice, lookback: int) -> dict[str, Any]:
    """Returns the fields of a tape that a policy sees, and the names of their channels."""
    frames, market_frames = seen.window(rows, lookback)
    forecast_frames, age_frames = forecast.window(rows, lookback)
    return {
        "frames": frames,
        "market_frames": market_frames,
        "forecast_frames": forecast_frames,
        "age_frames": age_frames,
        "channels": (*seen.channels, *forecast.channels),
        "market_channels": (*seen.market_channels, *forecast.market_channels),
    }


def _benchmark_arrays(
    panel: Panel, legs: PanelLegs, rows: slice, given: Sequence[float] | FloatArray | None
) -> dict[str, Any]:
    """Returns the fields of a tape that rewards are measured against."""
    equal_weight, index = (_benchmark(panel, legs, one)[rows] for one in (None, given))
    return {
        "benchmark": index,
        "benchmarks": {"equal_weight": equal_weight} | ({} if given is None else {"index": index}),
    }


def _provenance(states: MarketStates | None, features: Panel | None) -> dict[str, Any]:
    if states is not None:
        known = {key: states.provenance.get(key) for key in ("encoder", "panel_fingerprint")}
        known |= {"unaligned": list(states.unaligned)} if states.unaligned else {}
        return {"sees": "states", "audit": states.provenance.get("audit") or "not audited", **known}
    if features is None:
        return {"sees": "bars", "audit": BUILT_IN}
    found = audit_of(features)
    known = {key: found[key] for key in ("why", "coverage") if key in found}
    return {"sees": "features", "audit": found["verdict"], "external": found.get("external", {}), **known}


def _check_states(states: MarketStates, fill: Fill, allow_unaudited: bool) -> None:
    if not states.audited and not allow_unaudited:
        raise ValueError(
            f"tape: states have audit={states.provenance.get('audit')!r}, expected 'passed'; "
            "extract and audit them again, or pass allow_unaudited=True"
        )
    made_for = states.provenance.get("fill")
    if made_for is not None and made_for != fill:
        raise ValueError(f"tape: fill is '{fill}' but the states were made for '{made_for}'; pass fill='{made_for}'")


def _rows(panel: Panel, seen: Observables, start: str | None, stop: str | None) -> slice:
    asked = panel.rows(start, stop)
    rows = slice(max(asked.start, seen.rows.start), min(asked.stop, seen.rows.stop))
    for day, row, edge in ((start, asked.start, rows.start), (stop, asked.stop, rows.stop)):
        if day is not None and row != edge:
            known = panel.dates[seen.rows]
            raise ValueError(
                f"tape: {seen.name} cover {known[0]} ... {known[-1]}, which leaves out {day}; choose days they cover"
            )
    if rows.stop - rows.start < 2:
        raise ValueError(
            f"tape: {max(0, rows.stop - rows.start)} days between {start} and {stop}, expected at least 2; "
            f"the panel has {panel.dates[0]} ... {panel.dates[-1]}"
        )
    return rows


def _benchmark(panel: Panel, legs: PanelLegs, given: Sequence[float] | FloatArray | None) -> FloatArray:
    returns = np.zeros(len(panel))
    if given is None:
        listed = panel.listed.astype(np.float64)
        moves = (1 + legs.before) * (1 + legs.after) - 1
        returns[:] = (listed * moves).sum(axis=1) / np.maximum(listed.sum(axis=1), 1)
        return returns
    series = np.asarray(given, dtype=np.float64)
    if series.shape != (len(panel),) or not np.isfinite(series[1:]).all():
        raise ValueError(f"tape: benchmark has shape {series.shape}, expected {len(panel)} finite returns, one a row")
    returns[:-1] = series[1:]
    return returns


def _side_by_side(parts: tuple[FeatureArray, ...], lookback: int, days: int, rows: IntArray | slice) -> FeatureArray:
    wanted = np.arange(days)[rows] if isinstance(rows, slice) else rows
    pieces = [part[wanted + lag] for lag in range(lookback) for part in parts if part.shape[-1]]
    if not pieces:
        return parts[0][wanted]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=-1)
