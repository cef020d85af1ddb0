from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from market.panel import Panel
from market.prices.fills import FILLS
from market.prices.labels import Label
from market.scaling.cross_section import cross_sectional_rank
from market.sources import Source
from market.sources.synthetic.signal import Dynamics, daily_signal
from market.sources.synthetic.source import NO_EVENTS, Events, Synthetic

MANY = Events(listings=0.4, delistings=0.4, halts=0.01, splits=0.003)
SMALL = Synthetic(stocks=40, days=400, events=MANY, seed=3)
STRONG = Synthetic(stocks=60, days=1500, signal=0.3, dynamics=Dynamics(autocorrelation=0.2), seed=5)


@pytest.fixture(scope="module")
def strong():
    return STRONG.generate()


@pytest.fixture(scope="module")
def small():
    return SMALL.generate()


def test_the_same_seed_gives_the_same_market(small):
    pd.testing.assert_frame_equal(SMALL.read(), small.frame)
    assert not replace(SMALL, seed=4).read()["close"].head(50).equals(small.frame["close"].head(50))
    assert isinstance(SMALL, Source)


def test_shapes(small):
    panel = small.panel
    assert panel.shape == (400, 40, 5)
    assert small.factors.shape == (400, 5)
    assert small.loadings.shape == (40, 5)
    assert small.signal.shape == small.close.shape == small.listed.shape == (400, 40)
    assert np.bincount(small.sectors).tolist() == [4] * 10


@pytest.mark.parametrize("halted_bars", ["absent", "flat"])
def test_bars_are_possible_and_events_happen(halted_bars):
    market = replace(SMALL, events=replace(MANY, halted_bars=halted_bars)).generate()
    frame, panel = market.frame, market.panel
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame[["open", "high", "low", "close"]] > 0).all(axis=None)
    np.testing.assert_allclose(panel["close"][panel.tradable], market.close[panel.tradable], rtol=1e-12)
    assert 0.1 < (~panel.listed[0]).mean() < 0.7
    assert 0.1 < (~panel.listed[-1]).mean() < 0.7
    halted = panel.listed & ~panel.tradable
    assert 0.02 < halted.mean() < 0.1
    assert panel.tradable[:, 0].all()
    flat = panel["close"][halted]
    assert np.isnan(flat).all() if halted_bars == "absent" else (panel["high"][halted] == panel["low"][halted]).all()


def test_a_halt_lasts_five_days_on_average():
    rare = Events(listings=0, delistings=0, halts=0.001, splits=0)  # so rare that they hardly ever meet
    panel = Synthetic(stocks=400, days=3000, events=rare).generate().panel
    resting = np.pad(panel.listed & ~panel.tradable, ((1, 1), (0, 0)))
    starts = (resting[1:] & ~resting[:-1]).sum()
    assert starts > 1000
    assert abs(resting.sum() / starts - 5.0) < 0.4


def test_noise_alone_earns_nothing():
    wild = Dynamics(volatility=0.05, autocorrelation=0)
    close = Synthetic(stocks=200, days=3000, signal=0, dynamics=wild, events=NO_EVENTS).generate().close
    assert abs((close[1:] / close[:-1] - 1).mean()) < 6e-4  # log returns of the same mean would earn half a variance


def test_volume_follows_moves(small):
    panel = small.panel
    moves = np.abs(np.diff(np.log(panel["close"]), axis=0))
    shock = np.diff(np.log(np.where(panel.tradable, panel["volume"], np.nan)), axis=0)
    known = np.isfinite(moves) & np.isfinite(shock)
    assert np.corrcoef(moves[known], shock[known])[0, 1] > 0.1


def test_splits_undone_by_adj_close(small):
    raw = replace(SMALL, events=replace(MANY, adjusted=False)).generate()
    panel, adjusted = raw.panel, small.panel
    assert panel.fields[-1] == "adj_close"
    np.testing.assert_allclose(panel["adj_close"], adjusted["close"], rtol=1e-12)
    factor = panel["close"] / panel["adj_close"]
    np.testing.assert_allclose(panel["high"] / factor, adjusted["high"], rtol=1e-12)
    jumps = (factor[:-1] / factor[1:])[np.isfinite(factor[:-1] / factor[1:])].round(6)
    assert set(jumps) > {1.0, 2.0, 3.0}
    assert (jumps % 1 == 0).all()
    np.testing.assert_allclose(factor[-1][np.isfinite(factor[-1])], 1)


def test_the_price_of_a_split_day_is_that_of_the_new_shares():
    daily = Events(listings=0, delistings=0, halts=0, splits=1.0, adjusted=False)
    panel = Synthetic(stocks=5, days=4, events=daily).generate().panel
    factor = panel["close"] / panel["adj_close"]
    np.testing.assert_allclose(factor[-1], 1)
    assert (factor[:-1] / factor[1:] >= 1.999).all()


def test_factors_have_the_stated_volatility_and_autocorrelation():
    calm = Dynamics(turbulence=1, autocorrelation=0.4)
    factors = Synthetic(stocks=2, days=20_000, dynamics=calm, events=NO_EVENTS).generate().factors
    np.testing.assert_allclose(factors.std(0), 0.008 * 0.7 ** np.arange(5), rtol=0.05)
    for factor in factors.T:
        assert abs(np.corrcoef(factor[1:], factor[:-1])[0, 1] - 0.4) < 0.03


def test_factors_and_loadings_explain_returns():
    market = replace(STRONG, days=600, signal=0.0, events=NO_EVENTS, dynamics=Dynamics(volatility=1e-4)).generate()
    returns = np.diff(np.log(market.close), axis=0)
    recovered = np.linalg.lstsq(market.loadings, returns.T, rcond=None)[0].T
    for k in range(3):
        assert np.corrcoef(recovered[:, k], market.factors[1:, k])[0, 1] > 0.95


def test_turbulent_days_are_wilder(strong):
    assert 0.05 < strong.turbulent.mean() < 0.4
    size = np.abs(np.diff(np.log(strong.close), axis=0)).mean(1)
    assert size[strong.turbulent[1:]].mean() > 1.5 * size[~strong.turbulent[1:]].mean()


def test_the_signal_is_made_of_past_bars(small):
    panel = small.panel
    for day in (0, 3, 50, 399):
        listed = small.listed[day]
        past = panel[: day + 1]
        volume = np.nan_to_num(past["volume"])
        closes = pd.DataFrame(past["close"]).ffill().bfill().to_numpy()  # a stock does not move before its listing
        closes = np.where(np.isfinite(closes), closes, 1.0)
        signal = daily_signal(np.log(closes), volume, listed, SMALL.dynamics)
        np.testing.assert_allclose(signal, small.signal[day], atol=1e-9)


def test_the_signal_reverses_the_week_and_follows_unusual_volume():
    rng = np.random.default_rng(0)
    close, volume = rng.normal(size=(40, 6)).cumsum(axis=0), np.exp(rng.normal(10, 1, (40, 6)))
    volume[35, 2] = 0  # a halt is no volume to average
    listed = np.array([True] * 5 + [False])
    week = pd.Series(close[39] - close[34])[listed]
    usual = pd.DataFrame(volume[20:]).replace(0, np.nan).mean()
    surprise = np.log(volume[39] / usual)[listed]
    parts = [(part - part.mean()) / part.std(ddof=0) for part in (-week, surprise)]
    expected = np.sqrt(0.7) * parts[0] + np.sqrt(0.3) * parts[1]
    signal = daily_signal(close, volume, listed, Dynamics())
    np.testing.assert_allclose(signal[:5], expected)
    assert signal[5] == 0


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("horizon", [1, 3, 7])
def test_the_oracle_is_the_expected_label(strong, fill, horizon):
    label = Label(fill, horizon)
    realised, expected = label.compute(strong.panel), strong.oracle(label)
    both = np.isfinite(realised) & np.isfinite(expected)
    assert (np.isfinite(expected) == strong.listed).all()
    x, y = (np.where(both, values, np.nan)[: -label.span] for values in (expected, realised))
    x, y = x - np.nanmean(x, 1, keepdims=True), y - np.nanmean(y, 1, keepdims=True)
    slopes = np.nansum(x * y, 1) / np.nansum(x * x, 1).mean()
    error = slopes.std() / np.sqrt(len(slopes) / horizon)
    assert abs(slopes.mean() - 1) < 4 * error + 0.03
    assert error < 0.12


def test_a_turning_signal_changes_its_mind():
    rng = np.random.default_rng(0)
    close, volume = rng.normal(size=(40, 6)).cumsum(axis=0), np.exp(rng.normal(10, 1, (40, 6)))
    listed = np.ones(6, bool)
    still = daily_signal(close, volume, listed, Dynamics())
    np.testing.assert_allclose(daily_signal(close, volume, listed, Dynamics(turn_days=78)), -still)  # after a half turn
    week, unusual = (daily_signal(close, volume, listed, Dynamics(volume_share=share)) for share in (0.0, 1.0))
    turned = daily_signal(close, volume, listed, Dynamics(turn_days=156))  # after a quarter
    np.testing.assert_allclose(turned, np.sqrt(0.7) * unusual - np.sqrt(0.3) * week)


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_oracle_follows_a_turning_signal(horizon):
    """Its slope on what happens is 1 in each quarter of a turn; the first day's weights would have -1 in the third."""
    market = replace(STRONG, dynamics=replace(STRONG.dynamics, turn_days=1500)).generate()
    label = Label("next_open", horizon)
    realised, expected = label.compute(market.panel), market.oracle(label)
    known = np.isfinite(realised) & np.isfinite(expected)
    x, y = (np.where(known, values, np.nan)[: -label.span] for values in (expected, realised))
    x, y = x - np.nanmean(x, 1, keepdims=True), y - np.nanmean(y, 1, keepdims=True)
    for part in np.array_split(np.arange(len(x)), 4):
        products, squares = np.nansum(x[part] * y[part], 1), np.nansum(x[part] ** 2, 1).mean()
        error = products.std() / squares / np.sqrt(len(part) / horizon)
        assert abs(products.mean() / squares - 1) < 3 * error + 0.05
        assert error < 0.25


def test_nothing_known_at_the_time_adds_to_the_oracle(strong):
    label = Label("next_open")
    surprise = label.compute(strong.panel) - strong.oracle(label)
    surprise = np.nan_to_num(surprise - np.nanmean(surprise[:-2], axis=1, keepdims=True).mean())
    trend = strong.factors @ strong.loadings.T
    for known in (strong.signal, np.roll(strong.signal, 1, axis=0), trend - trend.mean(1, keepdims=True)):
        daily = (known * surprise).sum(1)[1:-2]
        assert abs(daily.mean()) < 3.5 * daily.std() / np.sqrt(len(daily))


def test_rank_ic_of_the_oracle(strong):
    label = Label("next_open")
    rank_ic = strong.oracle_rank_ic(label)
    frames = [pd.DataFrame(values).T for values in (strong.oracle(label), label.compute(strong.panel))]
    expected = frames[0].where(frames[1].notna()).corrwith(frames[1], method="spearman").mean()
    assert rank_ic == pytest.approx(expected, abs=1e-9)
    assert 0.15 < rank_ic < 0.35
    alone = cross_sectional_rank(np.where(strong.listed, strong.signal, np.nan))
    realised = cross_sectional_rank(np.where(strong.listed, label.compute(strong.panel), np.nan))
    assert rank_ic > np.nanmean((alone * realised)[:-2])  # the factors' trend counts, too


def test_without_a_planted_part_nothing_can_be_known():
    market = replace(STRONG, signal=0.0, dynamics=Dynamics(autocorrelation=0)).generate()
    assert np.isnan(market.oracle_rank_ic(Label("next_open")))
    realised = cross_sectional_rank(Label("next_open").compute(market.panel))
    ranked = cross_sectional_rank(np.where(market.listed, market.signal, np.nan))
    daily = np.nanmean((ranked * realised)[:-2], axis=1)
    assert abs(daily.mean()) < 3.5 * daily.std() / np.sqrt(len(daily))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Synthetic(stocks=0), "stocks is 0, expected at least 1"),
        (lambda: Events(halts=1.5), "halts is 1.5, expected between 0 and 1"),
        (lambda: Events(halted_bars="gone"), "halted_bars is 'gone', expected 'absent' or 'flat'"),
        (lambda: Dynamics(autocorrelation=1), "autocorrelation is 1, expected between -1 and 1"),
        (lambda: Dynamics(volatility=0), "volatility is 0, expected more than 0"),
        (lambda: Dynamics(overnight=-0.1), "overnight is -0.1, expected between 0 and 1"),
    ],
)
def test_impossible_values_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_one_stock_for_one_day():
    panel = Panel.from_frame(Synthetic(stocks=1, days=1, sectors=1).read())
    assert panel.shape == (1, 1, 5)
