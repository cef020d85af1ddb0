"""A volume that is zero on every day says nothing: currencies and indices."""

import gymnasium
import numpy as np
import pandas as pd
import pytest

from envs import Costs, Tape
from market.panel import Panel
from market.preparation.prepare import prepared
from market.preparation.quality import Rules


def bars(symbol, volume, seed=0):
    days = pd.bdate_range("2020-01-01", periods=60)
    close = 1.1 * np.exp(np.random.default_rng(seed).normal(0, 0.005, 60).cumsum())
    frame = pd.DataFrame({"date": days, "symbol": symbol, "close": close, "volume": volume})
    return frame.assign(open=close, high=close * 1.002, low=close * 0.998)


@pytest.mark.parametrize("volume", [0.0, np.nan])
def test_what_never_has_a_volume_can_be_traded(volume) -> None:
    for panel in (prepared(bars("EURUSD=X", volume), Rules())[0], Panel.from_frame(bars("EURUSD=X", volume))):
        assert panel.tradable.all()
        env = gymnasium.make("FactorGym/SingleStock-v0", tape=Tape.from_panel(panel, fill="close"))
        env.reset()
        over = False
        while not over:
            *_, over, info = env.step(2)
        assert info["wealth"] == pytest.approx(panel["close"][-1, 0] / panel["close"][0, 0], rel=1e-12)


def test_what_has_a_volume_on_other_days_is_halted_without_one() -> None:
    volume = np.full(60, 1e6)
    volume[30] = 0.0
    frame = pd.concat([bars("A", volume), bars("EURUSD=X", 0.0, seed=1)])
    for panel in (prepared(frame, Rules())[0], Panel.from_frame(frame)):
        assert list(np.flatnonzero(~panel.tradable[:, panel.asset_index("A")])) == [30]
        assert panel.tradable[:, panel.asset_index("EURUSD=X")].all()


def test_impact_without_any_volume_is_refused_and_not_free() -> None:
    tape = Tape.from_panel(Panel.from_frame(bars("EURUSD=X", 0.0)), fill="close")
    with pytest.raises(ValueError, match="impact needs volumes"):
        gymnasium.make("FactorGym/SingleStock-v0", tape=tape, costs=Costs(impact=1.0))
