"""Which classical rules take part in a comparison."""

from dataclasses import replace

import numpy as np

from envs import Costs, Tape
from market.states import MarketStates
from pipeline.reference_policies import EvaluationMarket, classical_rules
from tests.envs.markets import plain_panel, states_of


def names_of(states: MarketStates | None) -> set[str]:
    return {rule.name for rule in classical_rules(EvaluationMarket(TAPE, PANEL, states, Costs()))}


PANEL = plain_panel()
TAPE = Tape.from_panel(PANEL, fill="next_open")


def test_a_rule_that_heeds_how_sure_a_forecast_is_takes_part_where_that_differs() -> None:
    same = states_of(PANEL)
    assert {name for name in names_of(same) if name.startswith("top")} == {"top1_drop1"}
    daily = replace(
        same, forecast_std=np.outer(1 + np.arange(len(PANEL.dates)), np.ones(len(PANEL.assets))).astype("f4")
    )
    assert names_of(daily) == names_of(same), "it differs between days alone"
    surer = same.forecast_std.copy()
    surer[5, 0] = 0.5
    assert names_of(replace(same, forecast_std=surer)) - names_of(same) == {"top1_drop1_eta0.5"}
    unknown = np.where(PANEL.listed, surer, np.nan)
    unknown[0] = np.nan
    assert "top1_drop1_eta0.5" in names_of(replace(same, forecast_std=unknown.astype("f4")))


def test_without_a_forecast_no_rule_trades_on_one() -> None:
    assert not any(name.startswith("top") for name in names_of(None))
