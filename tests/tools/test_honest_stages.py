"""What one stage knows the next one knows too: limits, costs, and that a run has changed since it was evaluated."""

import json
from dataclasses import replace

import numpy as np
import pytest

import pipeline
from configs import files
from configs.schema.trade import Trade
from envs import Costs, MarketRules
from envs.rules import RECORDED
from market.panel import Panel
from market.states import MarketStates
from market.storage.ledger import Ledger
from pipeline.agent_comparison import compare_agents
from pipeline.control_markets import read_sources, tape_of
from tests.tools import trade_runs

RULES = MarketRules("next_close", Costs(fee_rate=1e-3), 0.02, -0.3, 252.0)


@pytest.fixture
def workdir(tmp_path):
    """A market whose states were made under a price limit."""
    trade_runs.market(tmp_path)
    path = tmp_path / "states" / "tiny" / "states.safetensors"
    states = MarketStates.load(path)
    replace(states, provenance={**states.provenance, RECORDED: RULES.to_json()}).save(path)
    return tmp_path


def test_training_and_evaluation_respect_the_limit_that_the_states_were_made_under(workdir) -> None:
    experiment = trade_runs.trade(workdir)
    sources = read_sources(experiment)
    assert sources.rules.price_limit == 0.02
    assert sources.rules.delisting_return == -0.3
    assert sources.departures == ()
    limited, free = (
        tape_of(one, read_sources(one, "test"), "test") for one in (experiment, replace(experiment, price_limit=0.0))
    )
    assert (limited.status != free.status).any(), "days at the limit are closed to one side"
    assert not (limited.status & ~free.status).any()
    departed = read_sources(replace(experiment, price_limit=0.0, costs=Costs(fee_rate=2e-3)))
    assert departed.rules.price_limit is None
    assert departed.departures == (
        "price_limit None, where the states had 0.02",
        "costs.fee_rate 0.002, where the states had 0.001",
    )


def test_a_position_whose_listing_ends_is_paid_what_the_states_recorded(workdir) -> None:
    experiment = trade_runs.trade(workdir)
    panel = Panel.load(experiment.panel)
    end = np.searchsorted(panel.dates, np.datetime64("2018-12-20"))
    listed, values = np.array(panel.listed), np.array(panel.values)
    listed[end:, 1], values[end:, 1] = False, np.nan
    replace(panel, values=values, listed=listed, tradable=panel.tradable & listed).save(experiment.panel)
    tape = tape_of(experiment, read_sources(experiment, "test"), "test")
    assert tape.before[np.searchsorted(tape.dates, panel.dates[end]) - 1, 1] == pytest.approx(-0.3)


def test_the_rules_of_the_panel_hold_where_the_states_have_none(workdir) -> None:
    experiment = trade_runs.trade(workdir)
    path = workdir / "states" / "tiny" / "states.safetensors"
    states = MarketStates.load(path)
    bare = {name: value for name, value in states.provenance.items() if name != RECORDED}
    replace(states, provenance=bare).save(path)
    assert read_sources(experiment).rules.price_limit is None
    assert read_sources(experiment).rules.periods_per_year == 252.0, "by the dates, whatever was recorded"
    panel = Panel.load(experiment.panel)
    replace(panel, source={RECORDED: replace(RULES, price_limit=0.05).to_json()}).save(experiment.panel)
    assert read_sources(experiment).rules.price_limit == 0.05


def test_a_run_that_was_trained_again_is_judged_again_and_the_look_is_counted(workdir) -> None:
    experiment = trade_runs.trade(workdir, "again", asset="S1", seeds=(0,))
    first = compare_agents([experiment], workdir=workdir).rows
    metrics = workdir / "evaluate" / "again" / "metrics.json"
    before = json.loads(metrics.read_text())
    assert compare_agents([experiment], workdir=workdir).rows == first
    assert json.loads(metrics.read_text())["looks"] == before["looks"] == 1
    dear = replace(experiment, seeds=(1,), costs=Costs(fee_rate=5e-2))
    pipeline.train(dear, workdir, overwrite=True)
    compare_agents([dear], workdir=workdir)
    after = json.loads(metrics.read_text())
    assert list(after["performance"]["PPO"]["seeds"]) == ["seed_1"]
    assert after["costs"]["fee_rate"] == 5e-2
    assert after["looks"] == 2
    assert after["performance"]["PPO"]["n_trials"] == 2, "the run that was overwritten has been tried"
    assert after["fingerprint"] != before["fingerprint"]


def test_another_workdir_does_not_start_the_count_anew(workdir, tmp_path_factory) -> None:
    experiment = trade_runs.trade(workdir, "counted", asset="S1", seeds=(0,))
    other = tmp_path_factory.mktemp("other")
    for place in (workdir, other):
        pipeline.train(experiment, place)
        pipeline.evaluate(place / "trade" / "counted", workdir=place)
    metrics = json.loads((other / "evaluate" / "counted" / "metrics.json").read_text())
    assert metrics["looks"] == 2
    assert metrics["trials"]["others"] == [], "the same configuration and seed is the same trial"
    assert len(Ledger.beside(experiment.panel).looks()) > 0


def test_a_page_says_all_costs_and_what_departs(workdir) -> None:
    costs = Costs(fee_rate=1e-3, sell_fee_rate=0.05, borrow_rate=2e-4)
    experiment = trade_runs.trade(workdir, "told", asset="S1", seeds=(0,), costs=costs)
    pipeline.train(experiment, workdir)
    pipeline.evaluate(workdir / "trade" / "told", workdir=workdir)
    page = (workdir / "evaluate" / "told" / "report.html").read_text()
    for words in (
        "10 basis points of each purchase and 5 % of each sale",
        "short positions pay 2 basis points a bar",
        "2 % a day: no buying at limit-up",
        "paid out at its last price less 30 %",
        "Traded on other terms than recorded before",
        "[against its references: against buy and hold]",
    ):
        assert words in page
    run = workdir / "trade" / "told"
    assert files.load_json(run / "config.json", Trade).costs == costs
    assert np.isfinite(json.loads((workdir / "evaluate" / "told" / "metrics.json").read_text())["looks"])
