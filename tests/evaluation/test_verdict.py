import copy
from functools import cache

import pytest

from evaluation.policy_comparison import measured
from evaluation.verdict import limits, outcome, reach_verdict
from tests.evaluation.comparisons import comparison, evaluated


@cache
def metrics_of(edge, n_seeds=3):
    return measured(comparison(edge, n_seeds))


def told(metrics):
    found = reach_verdict(metrics, "PPO")
    return found, " ".join((found.summary, *found.sentences))


def test_a_clear_win_is_supported() -> None:
    found, text = told(metrics_of(0.002))
    assert found.word == "supported"
    assert "supports the claim" in text
    assert "did better than buy and hold" in text
    assert "excludes zero" in text
    assert "survives a correction for the 3 training runs" in text
    assert "cannot be distinguished" not in text


def test_nothing_is_not_established() -> None:
    found, text = told(metrics_of(0.0))
    assert found.word == "not established"
    assert "cannot be distinguished from buy and hold" in text
    assert "includes zero" in text
    assert "did better" not in text


def test_a_clear_loss_is_contradicted() -> None:
    found, text = told(metrics_of(-0.002))
    assert found.word == "contradicted"
    assert "did worse than equal weight" in text
    assert "speaks against it" in text


def test_a_win_that_many_trials_explain_is_only_suggestive() -> None:
    # A small but steady advantage over a market without reward: the pair differs, the level could be luck of the draw.
    played = comparison(0.0004, noise=0.001, seed=3)
    tried = [-3.0, 3.0] * 100
    found, text = told(measured(played, tried))
    assert found.word == "suggestive"
    assert "deflated Sharpe ratio is" in text
    assert "203 training runs" in text
    assert told(metrics_of(0.002))[0].word == "supported"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"deflated": 0.95, "p_value": 0.05}, "supported"),
        ({"deflated": 0.94, "p_value": 0.05}, "suggestive"),
        ({"deflated": None, "p_value": 0.05}, "suggestive"),
        ({"deflated": 0.95, "p_value": 0.06}, "suggestive"),
        ({"deflated": 0.95, "p_value": None}, "suggestive"),
    ],
)
def test_every_correction_has_its_say(changes, word) -> None:
    metrics = copy.deepcopy(metrics_of(0.002))
    metrics["performance"]["PPO"]["deflated_sharpe"] = changes["deflated"]
    p_value = changes["p_value"]
    metrics["superior_predictive_ability"]["buy_and_hold"] = None if p_value is None else {"consistent": p_value}
    found, text = told(metrics)
    assert found.word == word
    assert ("the best of all policies against buy and hold could be luck" in text) == (p_value != 0.05)
    assert ("deflated Sharpe ratio is" in text) == (changes["deflated"] != 0.95)


def test_a_win_and_a_loss_are_neither() -> None:
    metrics = copy.deepcopy(metrics_of(0.002))
    metrics["comparisons"]["PPO"]["equal_weight"]["sharpe"] |= {"difference": -0.5, "ci": [-0.8, -0.1]}
    found, text = told(metrics)
    assert found.word == "not established"
    assert "did better than buy and hold" in text
    assert "did worse than equal weight" in text


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ((1.0, 1.0), "above that of buy and hold at every cost tried, up to 10 basis points"),
        ((1.0, 0.2), "above that of buy and hold only at costs of 0 basis points"),
        ((0.3, 0.3), "not above that of buy and hold at any cost tried, even at 0 basis points"),
        ((0.5, None), "not above that of buy and hold at any cost tried, even at 0 basis points"),
    ],
)
def test_costs_are_compared_point_by_point(own, said) -> None:
    metrics = copy.deepcopy(metrics_of(0.0))
    for points, mine in zip(("0", "10"), own, strict=True):
        metrics["cost_sensitivity"]["PPO"][points]["sharpe"] = mine
        metrics["cost_sensitivity"]["buy_and_hold"][points]["sharpe"] = 0.5
    assert said in told(metrics)[1]


def test_years_won_and_the_reach_of_the_days_are_counted() -> None:
    metrics = copy.deepcopy(metrics_of(0.0))
    for name, returns in (("PPO", (0.2, 0.1)), ("buy_and_hold", (0.1, 0.1)), ("equal_weight", (0.1, 0.0))):
        metrics["per_year"][name] = [{"year": 2018 + k, "return": one} for k, one in enumerate(returns)]
    text = told(metrics)[1]
    assert "earned more than buy and hold in 1 of 2, than equal weight in 2 of 2" in text
    metrics["comparisons"]["PPO"]["buy_and_hold"]["sharpe"]["ci"] = [-0.4, 0.8]
    metrics["comparisons"]["PPO"]["equal_weight"]["sharpe"]["ci"] = [-0.1, 0.3]
    assert "must be about 0.20 for policies that are much alike to 0.60 for others" in " ".join(limits(metrics))


def test_seeds_that_disagree_do_not_win() -> None:
    metrics = measured(comparison(0.0012, spread=0.002))
    assert metrics["comparisons"]["PPO"]["buy_and_hold"]["sharpe"]["ci"][0] > 0
    assert outcome(metrics, "PPO", "buy_and_hold") == "undecided"
    found = reach_verdict(metrics, "PPO")
    assert found.word == "not established"
    assert any("seeds disagree too much" in sentence for sentence in found.sentences)


def test_one_seed_is_said_to_be_one() -> None:
    assert "nothing is known of how much of the result is the luck" in told(metrics_of(0.0, 1))[1]
    assert "Trained 3 times" in told(metrics_of(0.0))[1]


@pytest.mark.parametrize(
    ("skill", "words"),
    [(0.5, "has skill"), (0.0, "no skill that can be distinguished from none"), (-0.5, "points the wrong way")],
)
def test_a_forecast_is_judged_by_its_interval(skill, words) -> None:
    metrics = {**metrics_of(0.0, 1), **evaluated(skill).metrics()}
    assert words in " ".join(limits(metrics))


def test_a_suspicious_forecast_is_not_praised() -> None:
    metrics = {**metrics_of(0.0, 1), **evaluated(0.5).metrics()}
    metrics["test"]["suspicious"] = True  # of the forecast's own measures, which are fresh
    text = " ".join(limits(metrics))
    assert "look for a leak" in text
    assert "has skill" not in text


def test_limits_are_stated_only_where_they_hold() -> None:
    metrics = metrics_of(0.0, 1)
    bare = " ".join(limits(metrics))
    assert "one sample" in bare
    assert "audit" not in bare
    assert "survivors" not in bare
    known = {"audit": "passed", "fit_end": "2017-12-29", "always_listed": True, "looks": 2}
    text = " ".join(limits({**metrics, **known}))
    for words in ("passed the audit", "nothing after 2017-12-29", "survivors", "evaluated 2 times"):
        assert words in text
    assert "passed the audit" not in " ".join(limits({**metrics, "audit": "failed", "fit_end": "2017-12-29"}))
