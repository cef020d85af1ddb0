"""Forecasters side by side: means over seeds, paired differences on common cells, and the page."""

import numpy as np
import pytest

from evaluation.backtest import Backtest
from evaluation.encoder_comparison import Forecaster, SeedForecast, measured, paired
from evaluation.formats import percent
from evaluation.performance import annual_return
from evaluation.policy_comparison import equal_capital
from evaluation.prediction import daily_rank_ic
from evaluation.reports.encoder_rows import trading_rows
from evaluation.reports.encoders import report, verdicts
from evaluation.significance import over_seeds

DAYS, ASSETS = 120, 12
PARTS = {"valid": slice(0, 40), "test": slice(44, 120)}
DATES = np.datetime64("2020-01-01") + np.arange(DAYS)


def label():
    return np.random.default_rng(0).normal(size=(DAYS, ASSETS))


def path(seed):
    rng = np.random.default_rng(seed)
    days = PARTS["test"].stop - PARTS["test"].start
    grid, cash = np.zeros((days, 2)), np.tile([1.0, 0.0, 0.0], (days, 1))
    returns = rng.normal(0, 0.01, days)
    return Backtest("p", ("A", "B"), DATES[PARTS["test"]], returns, cash, np.zeros(days), np.zeros(days), grid, grid)


def trained(name, skill, seed, mask=None, codebooks=None):
    rng = np.random.default_rng(seed)
    mean = skill * label() + rng.normal(size=(DAYS, ASSETS))
    mask = np.ones(mean.shape, bool) if mask is None else mask
    return SeedForecast(name, DATES, mean, label(), mask, PARTS, {"top-k": path(seed)}, codebooks or {})


def forecaster(name, skill, seeds=(1, 2, 3), **more):
    return Forecaster(name, tuple(trained(f"{name}_seed_{k}", skill, k, **more) for k in seeds))


def test_what_is_reported_is_the_mean_over_seeds_of_the_mean_over_days() -> None:
    one = forecaster("one", 0.2)
    found = measured([one], None, horizon=1)["encoders"]["one"]["test"]
    rows = PARTS["test"]
    each = [daily_rank_ic(run.mean[rows], run.label[rows], run.mask[rows]).mean() for run in one.seeds]
    assert found["rank_ic"] == pytest.approx(np.mean(each))
    assert found["rank_ic_seeds_ci"] == pytest.approx(over_seeds(each)["ci"])
    assert list(found["seeds"]) == ["one_seed_1", "one_seed_2", "one_seed_3"]
    assert found["rank_ic_ci"][0] < found["rank_ic"] < found["rank_ic_ci"][1]
    assert found["n_days"] == 76
    assert found["against"] is None
    single = measured([forecaster("one", 0.2, seeds=(1,))], None, horizon=1)["encoders"]["one"]["test"]
    assert single["rank_ic_seeds_ci"] is None  # one training says nothing of the luck of training


def test_a_paired_difference_is_judged_where_both_forecast() -> None:
    narrow = np.ones((DAYS, ASSETS), bool)
    narrow[:, :4] = False
    own, other = forecaster("own", 0.3, mask=narrow), forecaster("other", 0.3, seeds=(7,))
    found = paired(own, other, "test")
    rows = PARTS["test"]
    assert own.cells.sum() < other.cells.sum()
    means = [
        np.mean([daily_rank_ic(run.mean[rows], run.label[rows], narrow[rows]) for run in one.seeds])
        for one in (own, other)
    ]
    assert found.difference == pytest.approx(means[0] - means[1])
    back = paired(other, own, "test")
    assert back.difference == pytest.approx(-found.difference)
    assert back.interval == pytest.approx([-bound for bound in reversed(found.interval)])


def test_pairing_sees_what_two_separate_intervals_cannot() -> None:
    """The same noise plus a little more skill: the intervals overlap, the difference is certain."""
    own, other = forecaster("own", 0.4, seeds=(5,)), forecaster("other", 0.3, seeds=(5,))
    result = measured([own, other], "other", horizon=1)
    test = {name: one["test"] for name, one in result["encoders"].items()}
    assert test["own"]["rank_ic_ci"][0] < test["other"]["rank_ic_ci"][1]
    assert test["own"]["against"]["ci"][0] > 0
    assert test["other"]["against"] is None
    first, second = verdicts(result)
    assert "ahead of other" in first
    assert "of other" not in second
    swapped = verdicts(measured([own, other], "own", horizon=1))
    assert "behind own" in swapped[1]
    same = measured([other, forecaster("twin", 0.3, seeds=(5,))], "other", horizon=1)
    assert same["encoders"]["twin"]["test"]["against"]["ci"] == [0.0, 0.0]
    assert "not to be distinguished" in verdicts(same)[1]


def test_days_that_one_of_both_lacks_are_left_out() -> None:
    some = np.ones((DAYS, ASSETS), bool)
    some[PARTS["test"].start : PARTS["test"].start + 10] = False
    own, other = forecaster("own", 0.3, mask=some), forecaster("other", 0.3)
    assert np.isnan(own.daily_rank_ic("test")[:10]).all()
    assert measured([own, other], "other", horizon=1)["encoders"]["own"]["test"]["n_days"] == 66
    assert np.isfinite(paired(own, other, "test").difference)


def test_codebooks_and_accounts_are_joined_over_seeds() -> None:
    books = {"tokens": {"usage": 0.5, "perplexity": 3.0, "dead_codes": 2}}
    one = forecaster("one", 0.1, codebooks=books)
    found = measured([one, forecaster("two", 0.1, seeds=(8,))], "two", horizon=1)["encoders"]["one"]
    assert found["codebooks"]["tokens"]["usage"] == 0.5
    wealth = np.mean([run.paths["top-k"].wealth[-1] for run in one.seeds])
    assert (1 + found["trading"]["top-k"]["annual_return"]) ** (76 / 252) == pytest.approx(wealth)
    assert found["trading"]["top-k"]["against"]["ci"] is not None


def test_the_page_stands_alone_and_escapes_names() -> None:
    books = {"tokens": {"usage": 0.5, "perplexity": 3.0, "dead_codes": 2}}
    both = [forecaster("<b>", 0.2, codebooks=books), forecaster("two", 0.2)]
    page = report("Encoders", measured(both, "two", horizon=1), both, (("panel", "made by hand"),))
    assert "<b>:" not in page
    assert "&lt;b&gt;" in page
    assert 'src="http' not in page
    assert "Use of the codebooks" in page
    assert 'id="figure-1"' in page


def test_trading_stands_beside_what_needs_no_forecast() -> None:
    held = path(9).renamed("equal_weight")
    one = forecaster("one", 0.2)
    result = measured([one], None, horizon=1, beside=[held])
    trading = result["encoders"]["one"]["trading"]["top-k"]
    own = equal_capital([run.paths["top-k"] for run in one.seeds], "one")
    gap = annual_return(own.returns) - annual_return(held.returns)
    assert trading["beyond"]["equal_weight"]["difference"] == pytest.approx(gap)
    low, high = trading["beyond"]["equal_weight"]["ci"]
    assert low < gap < high
    assert result["references"]["equal_weight"]["annual_return"] == pytest.approx(annual_return(held.returns))
    rows = trading_rows(result, "top-k")
    assert [row["encoder"] for row in rows] == ["one", "equal weight"]
    assert rows[0]["a year less equal weight"].startswith(percent(gap))
    assert rows[1]["a year less equal weight"] == rows[1]["Sharpe, seeds"] == "–"
    page = report("title", result, [one], ())
    assert "a year less equal weight" in page
