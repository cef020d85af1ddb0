"""The share of the known optimum: oracles trade as they say, and an agent that is the best oracle has all of it."""

from dataclasses import replace

import numpy as np
import pytest

from agents.baselines.simple import EqualWeight
from configs.schema.prepare import Prepare
from configs.values import to_data
from envs import Costs, Tape
from evaluation import statements
from evaluation.policy_comparison import PolicyComparison
from market.panel import Panel
from market.sources.synthetic import Synthetic
from market.sources.synthetic.source import NO_EVENTS, Events
from pipeline.known_optimum import (
    BANDS,
    FRACTIONS,
    NAMES,
    expected_returns,
    known_optimum,
    simulated_market,
    trade_towards,
)
from pipeline.reference_policies import EvaluationMarket, classical_backtests

SOURCE = Synthetic(stocks=6, days=300, signal=0.3, events=NO_EVENTS)
COSTS = Costs(fee_rate=5e-4)


def panel_of(source: Synthetic) -> Panel:
    return Panel.from_frame(source.read(), {"config": to_data(Prepare(name="simulated", source=source))})


PANEL = panel_of(SOURCE)
TAPE = Tape.from_panel(PANEL, fill="next_open")


def comparison(log_growth: np.ndarray) -> PolicyComparison:
    """One agent whose log growth is given, beside equal weight."""
    (equal,) = classical_backtests(EvaluationMarket(TAPE, PANEL, None, COSTS), [EqualWeight()])
    agent = replace(equal, name="agent", returns=np.expm1(log_growth))
    return PolicyComparison({"agent": (agent,)}, (equal,))


def test_the_source_of_a_simulated_panel_is_read_back():
    assert simulated_market(PANEL) == SOURCE
    assert simulated_market(Panel.from_frame(SOURCE.read())) is None
    other = {"config": {"class": "configs.Prepare", "source": {"class": "market.Bundled"}}}
    assert simulated_market(Panel.from_frame(SOURCE.read(), other)) is None


def test_expected_returns_are_those_of_the_days_and_assets_of_the_tape():
    few = PANEL.select(["S4", "S1"])
    found = expected_returns(SOURCE, Tape.from_panel(few[50:80], fill="next_open"))
    truth = expected_returns(SOURCE, TAPE)
    assert found.shape == (30, 2)
    np.testing.assert_array_equal(found, truth[50:80][:, [PANEL.assets.index("S4"), PANEL.assets.index("S1")]])
    late = Synthetic(stocks=6, days=300, events=Events(listings=1.0))
    tape = Tape.from_panel(panel_of(late), fill="next_open")
    assert (expected_returns(late, tape)[~tape.listed] == -np.inf).all()


def test_an_oracle_goes_its_share_of_the_way_and_leaves_small_differences():
    targets = np.tile([0.0, 0.5, 0.3, 0.15, 0.05, 0, 0], (len(TAPE), 1))
    found = trade_towards(TAPE, targets, Costs())
    assert found.weights[:, -1, 0] == pytest.approx(targets[:-1], abs=1e-12)
    first = {fraction: found.weights[0, f, 0, 1:5] for f, fraction in enumerate(FRACTIONS)}
    for fraction, weights in first.items():
        assert weights == pytest.approx(fraction * targets[0, 1:5], abs=1e-12)
    widest = found.weights[0, -1, BANDS.index(0.1)]
    assert widest == pytest.approx([0.05, 0.5, 0.3, 0.15, 0, 0, 0], abs=1e-12)  # .05 is within the band of nothing
    assert found.log_cost == pytest.approx(0, abs=1e-12)
    paid = trade_towards(TAPE, targets, COSTS)
    assert (paid.log_cost[0] < 0).all()
    assert paid.log_growth.sum() < found.log_growth.sum()


def test_the_best_oracle_has_all_of_the_optimum_and_equal_weight_none():
    (equal,) = classical_backtests(EvaluationMarket(TAPE, PANEL, None, COSTS), [EqualWeight()])
    none = known_optimum(SOURCE, TAPE, COSTS, comparison(np.log1p(equal.returns)))
    assert none is not None
    assert none.shares["agent"] == pytest.approx(0, abs=1e-12)
    assert none.growth > 0.1  # a year
    chosen = np.argsort(-expected_returns(SOURCE, TAPE), axis=1)[:, : none.names]
    targets = np.zeros((len(TAPE), 7))
    np.put_along_axis(targets, 1 + chosen, 1 / none.names, axis=1)
    path = trade_towards(TAPE, targets, COSTS).log_growth
    own = path[:, FRACTIONS.index(none.fraction), BANDS.index(none.band)]
    everything = known_optimum(SOURCE, TAPE, COSTS, comparison(own))
    assert everything is not None
    assert everything.shares["agent"] == pytest.approx(1)
    assert none.names in NAMES
    said = statements.known_optimum({"known_optimum": everything.to_json()}, "agent")
    assert said is not None
    assert "agent reached 100 % of that" in said.text
    assert statements.known_optimum({}, "agent") is None


def test_costs_lower_what_can_be_known():
    flat = comparison(np.zeros(len(TAPE) - 1))
    cheap, dear = (known_optimum(SOURCE, TAPE, Costs(fee_rate=rate), flat) for rate in (0.0, 2e-3))
    assert cheap is not None
    assert dear is None or dear.growth < cheap.growth
