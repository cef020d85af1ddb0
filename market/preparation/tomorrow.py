"""The day after the last one, of which nothing is known: what a decision after the last close needs to stand on.

A tape of T days holds T - 1 decisions, since the last day has no tomorrow. With one more day on which nothing moves,
who is halted stays halted and who is listed stays listed, the last day can be decided on like any other. Nothing that
is known on the last day changes by it: every row is a function of rows that were there before.
"""

from dataclasses import replace

import numpy as np

from market.arrays import AnyArray, DateArray, FloatArray
from market.calendar import next_day
from market.panel import PRICES, Panel
from market.prices.fills import marked_prices
from market.states import MarketStates


def with_tomorrow(panel: Panel) -> Panel:
    """Returns a panel with one more day: every price stays at its last close, masks are those of the last day."""
    values = np.concatenate([panel.values, panel.values[-1:]])
    last = _marks(panel)[-1]
    for name in PRICES:
        if name in panel:
            values[-1, :, panel.fields.index(name)] = last
    return replace(
        panel,
        dates=_longer(panel.dates, next_day(panel.dates)),
        values=values,
        listed=np.concatenate([panel.listed, panel.listed[-1:]]),
        tradable=np.concatenate([panel.tradable, panel.tradable[-1:]]),
    )


def features_with_tomorrow(features: Panel) -> Panel:
    """Returns features with one more row, equal to the last; no decision ever sees it."""
    return replace(
        features,
        dates=_longer(features.dates, next_day(features.dates)),
        values=_repeated(features.values),
        listed=_repeated(features.listed),
        tradable=_repeated(features.tradable),
    )


def states_with_tomorrow(states: MarketStates) -> MarketStates:
    """Returns states with one more row, equal to the last; no decision ever sees it."""
    return replace(
        states,
        dates=_longer(states.dates, next_day(states.dates)),
        asset=_repeated(states.asset),
        market=_repeated(states.market),
        forecast_mean=_repeated(states.forecast_mean),
        forecast_std=_repeated(states.forecast_std),
        mask=_repeated(states.mask),
        fit_end=_repeated(states.fit_end),
        fold=_repeated(states.fold),
        codes=None if states.codes is None else _repeated(states.codes),
        tokens={name: _repeated(tokens) for name, tokens in states.tokens.items()},
    )


def _marks(panel: Panel) -> FloatArray:
    """Returns what each asset is worth at each close: where it traded last, whatever was quoted during a halt."""
    closes = np.where(panel.listed & ~panel.tradable, np.nan, panel["close"])
    return marked_prices(replace(panel, fields=("close",), values=closes[..., None]), "close")


def _repeated(array: AnyArray) -> AnyArray:
    return np.concatenate([array, array[-1:]])


def _longer(dates: DateArray, day: np.datetime64) -> DateArray:
    return np.append(dates, day)
