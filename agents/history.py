"""History: returns, tradability and forecasts up to the close of a day, as a classical policy may know them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from envs import Tape
from market.arrays import AnyFloatArray, BoolArray, FloatArray
from market.panel import Panel
from market.prices.fills import simple_returns
from market.states import MarketStates


class Past(NamedTuple):
    """The past, seen from the close of one day.

    Attributes:
        day: Row of the tape.
        returns: ``[t + 1, N]`` simple returns close to close, today's last; 0 on a halted day, NaN where not listed.
        tradable: ``[N]``, true where the asset traded today.
        forecast_mean: ``[N]`` an encoder's forecast made today; NaN where there is none.
        forecast_std: ``[N]`` its standard deviation.
    """

    day: int
    returns: FloatArray
    tradable: BoolArray
    forecast_mean: FloatArray
    forecast_std: FloatArray


@dataclass(frozen=True, eq=False)
class History:
    """The past of every day of a tape, which may begin before the tape does.

    `at(day)` is built from rows up to `day` alone: altering any later row of the panel or of the states leaves it as it
    is (tested).
    """

    first: int
    days: int
    assets: tuple[str, ...]
    returns: FloatArray
    tradable: BoolArray
    forecast_mean: FloatArray
    forecast_std: FloatArray

    @staticmethod
    def of(tape: Tape, panel: Panel, states: MarketStates | None = None) -> "History":
        """Returns the history of a tape's days from the panel it was made of, earlier days included.

        Args:
            tape: Of some days and some assets of `panel`.
            panel: Adjusted bars.
            states: Whose forecasts to know; None for none.

        Raises:
            ValueError: The panel lacks days or assets of the tape, or the states lack its assets.
        """
        own = panel.select(tape.assets)
        first = _row(own, tape)
        returns = simple_returns(own)
        returns[~own.listed] = np.nan
        mean, std = (_forecast(own, states, name) for name in ("forecast_mean", "forecast_std"))
        arrays = (returns, np.array(own.tradable), mean, std)
        for array in arrays:
            array.flags.writeable = False
        return History(first, len(tape), tape.assets, *arrays)

    def at(self, day: int) -> Past:
        """Returns what is known after the close of `day`, a row of the tape."""
        if not 0 <= day < self.days:
            raise ValueError(f"day {day} is outside the {self.days} days of the history's tape; use the tape it is of")
        today = self.first + day
        return Past(
            day, self.returns[: today + 1], self.tradable[today], self.forecast_mean[today], self.forecast_std[today]
        )


def _row(panel: Panel, tape: Tape) -> int:
    first = int(np.searchsorted(panel.dates, tape.dates[0]))
    if not np.array_equal(panel.dates[first : first + len(tape)], tape.dates):
        raise ValueError(
            f"history: the panel's days {panel.dates[0]} ... {panel.dates[-1]} do not hold those of the tape, "
            f"{tape.dates[0]} ... {tape.dates[-1]}; use the panel that the tape was made of"
        )
    return first


def _forecast(panel: Panel, states: MarketStates | None, name: str) -> FloatArray:
    forecast = np.full(panel.shape[:2], np.nan)
    if states is None:
        return forecast
    missing = [asset for asset in panel.assets if asset not in states.assets]
    if missing:
        raise ValueError(f"history: states have no asset '{missing[0]}'; extract them from the panel of the tape")
    columns = [states.assets.index(asset) for asset in panel.assets]
    _, rows, theirs = np.intersect1d(panel.dates, states.dates, return_indices=True)
    values: AnyFloatArray = getattr(states, name)
    forecast[rows] = values[theirs][:, columns]
    forecast[rows] = np.where(states.mask[theirs][:, columns], forecast[rows], np.nan)
    return forecast
