"""Panels prepared again: known days keep their values where a vendor restated them by a factor."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from market.panel import Panel, content_fingerprint
from market.preparation.continuation import continued

DAYS = pd.bdate_range("2020-01-01", periods=60)


def bars(last: int, dividend: float = 1.0, split: float = 1.0, digits: int = 9) -> Panel:
    """Two assets until a day; of the second, prices and volumes before day 55 are restated."""
    rng, frames = np.random.default_rng(0), []
    for name in ("A", "B"):
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, 60)))
        volume = rng.integers(1000, 9000, 60).astype(float)
        raw, raw_volume = close.copy(), volume.copy()
        if name == "B":
            close[:55] = (close[:55] * dividend / split).round(digits)
            volume[:55] *= split
        columns = {"open": close * 0.99, "close": close, "volume": volume, "raw_close": raw, "raw_volume": raw_volume}
        frames.append(pd.DataFrame({"date": DAYS, "symbol": name, **columns})[:last])
    return Panel.from_frame(pd.concat(frames))


@pytest.mark.parametrize("digits", [9, 2])
@pytest.mark.parametrize(("dividend", "split"), [(1.0, 1.0), (0.99, 1.0), (1.0, 4.0), (0.98, 2.0)])
def test_known_days_keep_their_values_and_returns_stay(dividend: float, split: float, digits: int) -> None:
    before, now = bars(50), bars(60, dividend, split, digits)
    found, moved = continued(now, before)
    assert content_fingerprint(found[:50]) == content_fingerprint(before)
    changed = dividend / split != 1
    if changed:
        assert list(moved) == ["B"]
        assert moved["B"] == pytest.approx(dividend / split, rel=1e-3)
    returns = found["close"][1:] / found["close"][:-1]
    np.testing.assert_allclose(returns, now["close"][1:] / now["close"][:-1], rtol=1e-3 if digits == 2 else 1e-8)
    np.testing.assert_array_equal(found["raw_close"], now["raw_close"])
    money = found["volume"] * found["close"]
    expected = before["volume"][:50] * before["close"][:50]
    np.testing.assert_allclose(money[:50], expected)


def test_what_is_no_factor_is_left_as_it_is() -> None:
    before, now = bars(50), bars(60, 0.99)
    corrected, halted = now.values.copy(), now.tradable.copy()
    corrected[20, 1] *= 1.01
    halted[20, 1] = False
    quoted = now.values.copy()
    quoted[:50, 1, now.fields.index("raw_close")] *= 0.99
    for other in (
        replace(now, values=corrected),
        replace(now, values=quoted),
        replace(now, tradable=halted),
        now[1:],
        now[:40],
        replace(now, assets=("A", "C")),
    ):
        found, moved = continued(other, before)
        assert found is other
        assert moved == {}
