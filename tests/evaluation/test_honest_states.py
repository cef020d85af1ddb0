"""The benchmark of honest states: its figures are those of the backtests on each part of the days."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.honest_states import Options, measured, paired, table_of
from evaluation.performance import annual_return
from pipeline.control_markets import tape_of
from pipeline.trained_run import open_run
from tests.tools import trade_runs


def test_the_parts_of_a_run_are_traded_by_its_agent_and_its_rule(tmp_path: Path) -> None:
    trade_runs.market(tmp_path)
    run = open_run(trade_runs.trained(tmp_path))
    options = Options(runs=(run.folder,), index=tmp_path / run.experiment.panel, index_asset=run.market.tape.assets[0])
    rows = [row for part in ("train", "test") for row in measured(run, part, options)]
    assert [(row["part"], row["in_sample_days"] > 0) for row in rows] == [("train", True)] * 5 + [("test", False)] * 5
    agent, rule, once, equal, index = rows[5:]
    assert (once["who"], equal["who"]) == ("buy_and_hold", "equal_weight")
    assert run.market.tape.assets[0] in index["who"]
    assert equal["information_ratio"] is None
    beyond = once["annual_return"] - equal["annual_return"]
    assert once["excess_annual_return"] == pytest.approx(beyond)
    free = list(measured(run, "test", Options(runs=(run.folder,), points=0)))
    assert free[1]["annual_return"] > rule["annual_return"]  # the same rule without costs
    assert agent["days"] == len(run.market.tape) - 1
    assert len(agent["seeds"]) == len(run.experiment.seeds)
    [first, *_] = run.backtests(run.market.costs)
    train = replace(run, market=replace(run.market, tape=tape_of(run.experiment, run.sources, "train")))
    assert len(train.backtests(run.market.costs)[0]) == rows[0]["days"]
    own = paired(first, first)
    assert own["difference"] == 0
    gap = agent["rule"]["difference"]
    assert gap == pytest.approx(agent["excess_annual_return"] - rule["excess_annual_return"])
    assert np.isfinite(annual_return(first.returns))
    assert table_of(rows).row_count == len(rows)
