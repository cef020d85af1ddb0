"""The market whose best policy is known: its oracle is the best there is, and APG comes near it in seconds."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import known_market as bench
from envs import Costs
from pipeline.known_optimum import trade_towards


@pytest.fixture
def small(monkeypatch):
    """Two years to learn on, one to choose on, two to judge on."""
    monkeypatch.setattr(bench, "PARTS", {"fit": 1000, "train": 500, "valid": 250, "test": 500})
    monkeypatch.setattr(bench, "PREMIA", np.full(3, 0.002))
    return bench.known_market(0, assets=8, noise=2)


def test_nothing_is_worth_more_than_the_best_portfolio(small):
    best = small.best("test")
    assert best.sum(1) == pytest.approx(1)
    assert (best >= 0).all()
    most = small.worth("test", best[:-1])
    generator = np.random.default_rng(0)
    for size in (0.5, 0.05, 0.005):
        other = np.maximum(best[:-1] + size * generator.normal(size=best[:-1].shape), 0)
        other /= other.sum(1, keepdims=True)
        assert (small.worth("test", other) <= most + 1e-12).all()


def test_its_worth_is_what_happens_on_average(small):
    """Over many draws of a day's returns: mean log growth less half the risk aversion times the excess's variance."""
    day, draws = 7, 200_000
    weights = small.best("train")[day]
    generator = np.random.default_rng(1)
    factors = bench.PREMIA + bench.FACTOR_VOLATILITY * generator.normal(size=(draws, 3))
    returns = factors @ small.exposures[bench.PARTS["fit"] + day].T + bench.OWN_VOLATILITY * generator.normal(
        size=(draws, 8)
    )
    growth = np.log1p(returns @ weights[1:])
    excess = growth - np.log1p(returns.mean(1))
    measured = growth.mean() - 0.5 * bench.RISK_AVERSION * excess.var()
    stated = small.worth("train", np.broadcast_to(weights, (500, 9)))[day]
    assert stated == pytest.approx(measured, abs=4 * growth.std() / np.sqrt(draws))
    assert abs(stated) > 8 * growth.std() / np.sqrt(draws)


def test_exposures_drift_as_slowly_as_stated():
    exposures = bench.known_market(3, assets=30).exposures
    for k, half_life in enumerate(bench.HALF_LIVES):
        now, then = exposures[:-5, :, k].ravel(), exposures[5:, :, k].ravel()
        assert np.corrcoef(now, then)[0, 1] == pytest.approx(0.5 ** (5 / half_life), abs=0.03)


def test_apg_comes_near_the_oracles_that_know_everything(small):
    costs = Costs(fee_rate=5e-4)
    paths = trade_towards(small.tape("test"), small.best("test"), costs)
    best = bench.YEAR * (small.worth("test", paths.weights) + paths.log_cost).mean(axis=0).max()
    looks = {"total_steps": 64 * 20 * 80, "validate_every": 64 * 20 * 40}
    schedule = replace(bench.SCHEDULES["APG"], **looks, least_lead=0.0)  # one valid year cannot tell it from luck
    for observe, share in (("forecast", 0.85), ("states", 0.6)):
        found = bench.trained(bench.GRADIENT, small, costs, 0, schedule, observe)
        assert found.worth > share * best
        assert 0 < found.turnover < 0.6


def test_the_forecast_knows_the_closes_of_its_own_days_alone(small, monkeypatch):
    states = small.states
    assert states.fit_end[0] == small.panel.dates[999]
    assert np.corrcoef(states.forecast_mean[1000:].ravel(), (small.exposures[1000:] @ bench.PREMIA).ravel())[0, 1] > 0.9
    later = small.panel.values.copy()
    later[1000:] *= np.random.default_rng(2).uniform(0.5, 2.0, size=later[1000:].shape)
    again = bench._forecast(replace(small.panel, values=later), states.asset)
    np.testing.assert_array_equal(again, states.forecast_mean)
    later[999] *= 1.1 + np.arange(later.shape[1])[:, None]
    assert not np.array_equal(bench._forecast(replace(small.panel, values=later), states.asset), states.forecast_mean)
