from functools import cache

import pytest

from evaluation.contest import measured
from evaluation.verdict import finding, limits, outcome
from tests.evaluation.contests import contest, judged


@cache
def metrics_of(edge, n_seeds=3):
    return measured(contest(edge, n_seeds))


def told(metrics):
    found = finding(metrics, "PPO")
    return found, " ".join((found.summary, *found.sentences))


def test_a_clear_win_is_supported() -> None:
    found, text = told(metrics_of(0.002))
    assert found.word == "supported"
    assert "supports the claim" in text
    assert "did better than buy and hold" in text
    assert "excludes zero" in text
    assert "survives a correction for the 3 training runs" in text
    assert "cannot be told apart" not in text


def test_nothing_is_not_established() -> None:
    found, text = told(metrics_of(0.0))
    assert found.word == "not established"
    assert "cannot be told apart from buy and hold" in text
    assert "includes zero" in text
    assert "did better" not in text


def test_a_clear_loss_is_contradicted() -> None:
    found, text = told(metrics_of(-0.002))
    assert found.word == "contradicted"
    assert "did worse than equal weight" in text
    assert "speaks against it" in text


def test_a_win_that_many_trials_explain_is_only_suggestive() -> None:
    # A small but steady advantage over a market without reward: the pair differs, the level could be luck of the draw.
    played = contest(0.0004, noise=0.001, seed=3)
    tried = [-3.0, 3.0] * 100
    found, text = told(measured(played, tried))
    assert found.word == "suggestive"
    assert "deflated Sharpe ratio is" in text
    assert "203 training runs" in text
    assert told(metrics_of(0.002))[0].word == "supported"


def test_seeds_that_disagree_do_not_win() -> None:
    metrics = measured(contest(0.002, spread=0.0035))
    assert metrics["comparisons"]["PPO"]["buy_and_hold"]["sharpe"]["ci"][0] > 0
    assert outcome(metrics, "PPO", "buy_and_hold") == "undecided"
    found = finding(metrics, "PPO")
    assert found.word == "not established"
    assert any("seeds disagree too much" in sentence for sentence in found.sentences)


def test_one_seed_is_said_to_be_one() -> None:
    assert "nothing is known of how much of the result is the luck" in told(metrics_of(0.0, 1))[1]
    assert "Trained 3 times" in told(metrics_of(0.0))[1]


@pytest.mark.parametrize(
    ("skill", "words"),
    [(0.5, "has skill"), (0.0, "no skill that can be told from none"), (-0.5, "points the wrong way")],
)
def test_a_forecast_is_judged_by_its_interval(skill, words) -> None:
    metrics = {**metrics_of(0.0, 1), **judged(skill).metrics()}
    assert words in " ".join(limits(metrics))


def test_a_suspicious_forecast_is_not_praised() -> None:
    metrics = {**metrics_of(0.0, 1), **judged(0.5).metrics()}
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
