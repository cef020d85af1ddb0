"""Splits, crashes, glitches and taken tickers distinguished, on markets whose truth is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import Tape
from market.panel import Panel
from market.preparation.quality import Report, Rules, clean, ticker_of
from market.prices.fills import simple_returns
from market.prices.labels import Label
from tests.market.broken_markets import BrokenMarket, broken_market

HUGE = float(np.log(5)) - 1e-6
DAYS = pd.bdate_range("2020-01-01", periods=120).to_numpy().astype("datetime64[s]")
PRICES = ["open", "high", "low", "close"]


def split_cells(report: Report) -> set[tuple[str, str]]:
    finding = report["split"]
    return set() if finding is None else {(place.asset, place.date) for place in finding.places}


def cells(market: BrokenMarket, places: Any) -> set[tuple[str, str]]:
    dates = np.unique(market.frame["date"].to_numpy().astype("datetime64[D]")).astype(str)
    return {(f"S{n:03d}", str(dates[t])) for t, n in np.argwhere(places)}


def false_giants(market: BrokenMarket, panel: Panel) -> list[tuple[str, str, float]]:
    """Returns beyond five times that are in the panel and not in the truth."""
    column = {name: n for n, name in enumerate(sorted(set(market.frame["symbol"])))}
    booked = np.where(panel.listed, simple_returns(panel), np.nan)
    found = []
    for t, n in np.argwhere(np.abs(np.log1p(np.nan_to_num(booked))) > HUGE):
        true = market.returns[t, column[ticker_of(panel, panel.assets[n])]]
        if not abs(np.log1p(true)) > HUGE:
            found.append((panel.assets[n], str(panel.dates[t]), float(booked[t, n])))
    return found


def test_unlabelled_splits_are_found_and_crashes_are_left_alone() -> None:
    found = splits = crashes = mistaken = 0
    for seed in range(20):
        market = broken_market(seed)
        panel, report = clean(market.frame)
        guessed = split_cells(report)
        true = cells(market, market.splits != 1)
        fell = cells(market, market.crashes)
        found, splits = found + len(guessed & true), splits + len(true)
        crashes, mistaken = crashes + len(fell), mistaken + len(guessed & fell)
        assert false_giants(market, panel) == []
    assert crashes > 1000
    assert found / splits >= 0.97
    assert mistaken <= crashes / 1000


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(1000, 100_000))
def test_where_the_vendor_knows_the_splits_none_is_invented_and_none_missed(seed: int) -> None:
    market = broken_market(seed, assets=20)
    told = pd.Series(market.splits.T.ravel(), index=market.frame.index)  # by asset, then by day, like the frame
    panel, report = clean(market.frame.assign(split=told))
    assert split_cells(report) == cells(market, market.splits != 1)
    assert false_giants(market, panel) == []
    denied, denying = clean(market.frame.assign(split=1.0))
    assert denying["split"] is None
    assert false_giants(market, denied) == []


def bars(close: np.ndarray, volume: float | np.ndarray = 1e6, symbol: str = "AAA") -> pd.DataFrame:
    rng = np.random.default_rng(len(symbol))
    opened = np.concatenate([close[:1], close[:-1]]) ** 0.5 * close**0.5
    opened = np.where(np.abs(np.log(opened / close)) > 0.03, close, opened)
    frame = pd.DataFrame({"date": DAYS[: len(close)], "symbol": symbol, "open": opened})
    frame["high"], frame["low"] = np.maximum(opened, close) * 1.005, np.minimum(opened, close) * 0.995
    return frame.assign(close=close, volume=volume * np.exp(rng.normal(0, 0.1, len(close))))


def calm(seed: int = 0, days: int = 120) -> np.ndarray:
    return 40 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, days)))


def scaled(frame: pd.DataFrame, rows: slice, factor: float) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[frame.index[rows], PRICES] *= factor
    return frame


def quoted(ratio: float, day: int = 60) -> pd.DataFrame:
    """A split as quoted prices and volumes show it: in new shares from `day` on."""
    frame = scaled(bars(calm()), slice(day, None), 1 / ratio)
    frame.loc[frame.index[day:], "volume"] *= ratio
    return frame


def moves(panel: Panel, asset: str = "AAA") -> np.ndarray:
    close = panel["close"][:, panel.asset_index(asset)]
    return close[1:] / close[:-1] - 1


TRUE_MOVES = calm()[1:] / calm()[:-1] - 1


@pytest.mark.parametrize("ratio", [1.5, 1.275, 2.0, 0.1, 1.1])
def test_a_coefficient_beside_quoted_prices_is_undone_and_the_quote_is_kept(ratio: float) -> None:
    frame = quoted(ratio).assign(split=np.where(np.arange(120) == 60, ratio, 1.0))
    panel, report = clean(frame)
    np.testing.assert_allclose(moves(panel), TRUE_MOVES, atol=1e-12)
    np.testing.assert_array_equal(panel["raw_close"][:, 0], frame["close"])
    np.testing.assert_array_equal(panel["raw_volume"][:, 0], frame["volume"])
    np.testing.assert_allclose(panel["volume"][:60, 0], frame["volume"][:60] * ratio)
    (place,) = report["split"].places  # type: ignore[union-attr]
    assert place.before == pytest.approx(frame["close"][59])
    assert place.after == pytest.approx(frame["close"][59] / ratio)


def test_yahoos_prices_are_adjusted_for_the_splits_that_it_reports() -> None:
    frame = bars(calm()).assign(split=np.where(np.arange(120) == 60, 4.0, 0.0), dividend=0.0)
    panel, report = clean(frame)
    np.testing.assert_array_equal(panel["close"][:, 0], frame["close"])
    assert report["split"] is None
    assert report["adjusted_split"] is not None
    assert not report.changed


def test_volumes_in_shares_of_today_beside_quoted_prices_are_recognised() -> None:
    frame = scaled(bars(calm()), slice(60, None), 0.25).assign(split=np.where(np.arange(120) == 60, 4.0, 1.0))
    panel, _ = clean(frame)
    np.testing.assert_array_equal(panel["volume"][:, 0], frame["volume"])
    np.testing.assert_allclose(panel["raw_volume"][:60, 0], frame["volume"][:60] / 4)


def test_a_users_list_outranks_the_vendor() -> None:
    frame = quoted(2.0).assign(split=1.0)
    mine = pd.DataFrame({"symbol": ["AAA"], "date": [str(DAYS[60])[:10]], "ratio": [2.0]})
    panel, _ = clean(frame, splits=mine)
    np.testing.assert_allclose(moves(panel), TRUE_MOVES, atol=1e-12)
    assert moves(clean(frame)[0])[59] < -0.4
    with pytest.raises(ValueError, match=r"ratio of AAA on 2020-03-25 is -1\.0"):
        clean(frame, splits=mine.assign(ratio=-1.0))


def test_steps_of_adjusted_closes_are_splits_and_count_volume_in_new_shares() -> None:
    frame = quoted(3.0)
    panel, report = clean(frame.assign(adj_close=calm() * 0.97))
    assert "a step of adj_close" in report["split"].places[0].detail  # type: ignore[union-attr]
    np.testing.assert_allclose(panel["volume"][:60, 0], frame["volume"][:60] * 3)
    np.testing.assert_array_equal(panel["adj_close"][:, 0], calm() * 0.97)


def test_a_crash_that_adjusted_closes_confirm_is_a_crash() -> None:
    frame = quoted(1.5)
    panel, report = clean(frame.assign(adj_close=frame["close"]))
    assert moves(panel)[59] == pytest.approx(frame["close"][60] / frame["close"][59] - 1)
    assert report["split"] is None
    assert "deny it" in report["suspect"].places[0].detail  # type: ignore[union-attr]


def test_dividends_are_reinvested_where_no_adjusted_close_tells_of_them() -> None:
    frame = bars(calm()).assign(dividend=np.where(np.arange(120) == 60, 2.0, 0.0))
    close = frame["close"].to_numpy()
    assert moves(clean(frame)[0])[59] == pytest.approx((close[60] + 2) / close[59] - 1)
    assert moves(clean(frame, dividends=False)[0])[59] == pytest.approx(close[60] / close[59] - 1)
    untold = frame.assign(dividend=np.where(np.arange(120) == 60, 5000.0, 0.0))  # in another unit
    assert moves(clean(untold)[0])[59] == pytest.approx(close[60] / close[59] - 1)


def test_a_factor_is_read_as_its_vendor_means_it() -> None:
    factor = np.where(np.arange(120) < 60, 0.5, 1.0)
    store = bars(calm()).assign(factor=factor)  # qlib: adjusted prices, adjusted over quoted
    panel, _ = clean(store)
    np.testing.assert_allclose(panel["raw_close"][:, 0], calm() / factor)
    np.testing.assert_allclose(panel["raw_volume"][:, 0], store["volume"] * factor)
    panel, _ = clean(quoted(2.0).assign(factor=factor), Rules(split="keep"))  # Tushare: beside quoted prices
    np.testing.assert_allclose(panel["adj_close"][:, 0], calm() / 2)


@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("factor", [0.1, 100.0, 0.5])
def test_a_glitch_is_masked_and_divides_nothing(length: int, factor: float) -> None:
    frame = scaled(bars(calm()), slice(60, 60 + length), factor)
    panel, report = clean(frame)
    assert np.isnan(panel["close"][60 : 60 + length, 0]).all()
    kept = np.r_[0:60, 60 + length : 120]
    np.testing.assert_array_equal(panel["close"][kept, 0], frame["close"].to_numpy()[kept])
    assert report["split"] is None
    assert report["glitch"].places[0].before == frame["close"][60]  # type: ignore[union-attr]


@pytest.mark.parametrize("bars_", [1, 3, 4])
def test_a_break_in_the_last_bars_waits_for_more(bars_: int) -> None:
    frame = quoted(10.0, 120 - bars_)
    panel, report = clean(frame)
    assert report["pending"] is not None
    assert len(panel) == 120
    assert not panel.tradable[120 - bars_ :].any()
    assert clean(quoted(10.0, 115))[1]["split"] is not None


def pence() -> pd.DataFrame:
    return scaled(bars(calm()), slice(50, 80), 100.0)


def taken_over() -> pd.DataFrame:
    return scaled(bars(calm()), slice(60, None), 37.0)


def halted_for_years() -> pd.DataFrame:
    frame = scaled(bars(calm()), slice(60, None), 1.7)
    later = frame["date"] + pd.to_timedelta(np.where(np.arange(120) < 60, 0, 700), "D")
    days = pd.date_range("2020-01-01", periods=900)
    close = 10 * np.exp(np.random.default_rng(1).normal(0, 0.003, 900).cumsum())
    others = [pd.DataFrame({"date": days, "symbol": f"X{n}", "close": close, "volume": 1e5}) for n in range(3)]
    filled = [other.assign(open=close, high=close, low=close) for other in others]
    return pd.concat([frame.assign(date=later), *filled])


@pytest.mark.parametrize(("broken", "parts"), [(pence, 3), (taken_over, 2), (halted_for_years, 2)])
def test_a_lasting_break_is_cut_and_nobody_is_paid_across_it(broken: Any, parts: int) -> None:
    frame = broken()
    panel, report = clean(frame, Rules(min_days=1, coverage="keep", weekend="keep", holiday="keep"))
    listings = [name for name in panel.assets if ticker_of(panel, name) == "AAA"]
    assert len(listings) == parts
    assert report["jump" if broken is not halted_for_years else "relisted"] is not None
    assert "AAA" in listings
    assert np.nanmax(np.abs(simple_returns(panel)[:, [panel.asset_index(name) for name in listings]])) < 0.06
    for horizon in (1, 5, 40):
        assert np.nanmax(np.abs(Label("next_open", horizon).compute(panel))) < 0.4
    tape = Tape.from_panel(panel)
    assert max(np.abs(tape.before).max(), np.abs(tape.after).max()) < 0.06
    observed = np.isfinite(panel["close"][:, [panel.asset_index(name) for name in listings]])
    assert observed.sum(axis=1).max() == 1  # every bar belongs to one listing
    assert observed.sum() == 120


def test_prices_adjusted_by_subtraction_are_refused_with_the_remedy() -> None:
    shifted = bars(calm())
    shifted[PRICES] -= float(np.median(calm()))  # partly below zero
    for frame, told in (
        (shifted, "closes at or below zero"),
        (bars(calm()).assign(adj_close=calm() - 8.0), "adjusted closes that are no ratio"),
        (bars(calm() - 20).assign(pct_change=np.r_[np.nan, 100 * TRUE_MOVES]), "stated changes that are no ratio"),
    ):
        both = pd.concat([frame, bars(calm(1), symbol="BBB")])
        with pytest.raises(ValueError, match=rf"adjusted by subtraction, first AAA \(.*{told}.*hfq"):
            clean(both)
        panel, report = clean(both, Rules(additive="drop", missing="mask"))
        assert panel.assets == ("BBB",)
        assert report["additive"] is not None
    paid = np.where(np.arange(120) < 60, 0.9, 1.0)
    assert clean(bars(calm()).assign(adj_close=calm() * paid))[1].findings == ()
    assert clean(bars(calm()).assign(pct_change=np.r_[np.nan, 100 * TRUE_MOVES]))[1].findings == ()


def test_a_vendors_filler_before_a_break_is_no_price_to_compare_with() -> None:
    frame = quoted(2.0)
    frame.loc[59, PRICES] = frame.loc[58, "close"]
    assert clean(frame)[1]["split"] is None
    assert clean(quoted(2.0))[1]["split"] is not None


def test_suspects_can_be_cut() -> None:
    frame = quoted(2.0)
    frame.loc[60, "volume"] *= 4
    panel, report = clean(frame)
    assert report["suspect"] is not None
    assert panel.assets == ("AAA",)
    assert clean(frame, replace(Rules(), suspect="cut"))[0].assets == ("AAA", "AAA~2020-03-24")
