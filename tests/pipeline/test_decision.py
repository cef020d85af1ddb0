"""Decisions of a trained run: day by day what one backtest books, and one line for everything that does not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import pytest

import pipeline
from agents.checkpoint import load_agent
from agents.committee import Committee
from configs import files
from configs.schema.trade import Trade
from envs import BatchMarket
from envs.paper import CASH, PaperAccount
from evaluation.rollout import rollout
from market.panel import Panel
from market.states import MarketStates
from pipeline.run_directory import seed_folder
from pipeline.trained_run import open_run
from tests.tools import trade_runs

GRIDS = ("asset", "market", "forecast_mean", "forecast_std", "mask", "dates", "fit_end", "fold", "codes")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Panel, MarketStates]:
    workdir = tmp_path_factory.mktemp("decide")
    data, path = trade_runs.market(workdir)
    run = trade_runs.trained(workdir)
    return workdir, run, Panel.load(data), MarketStates.load(path)


def until(trained, stop: int, folder: Path, **changes: Any) -> Path:
    """Writes the days before `stop` as a user would have them then, and a copy of the run that reads them."""
    _, run, panel, states = trained
    folder.mkdir(parents=True, exist_ok=True)
    panel[:stop].save(folder / "panel.safetensors")
    known = replace(states, **{name: np.array(getattr(states, name)[:stop]) for name in GRIDS})
    known.save(folder / "states.safetensors")
    here = folder / run.name
    if not here.exists():
        shutil.copytree(run, here)
    experiment = files.load_json(run / "config.json", Trade)
    files.write(
        replace(
            experiment, panel=str(folder / "panel.safetensors"), states=str(folder / "states.safetensors"), **changes
        ),
        here,
    )
    return here


@pytest.mark.parametrize("rebalance", [1, "W"])
def test_decisions_on_a_growing_panel_equal_one_backtest_to_the_bit(trained, rebalance, tmp_path: Path) -> None:
    _, run, panel, _ = trained
    found = open_run(run)
    experiment, tape = found.experiment, found.market.tape
    shared = {"observation": "compact", "rebalance": rebalance}
    market = BatchMarket(tape, 1, experiment.costs, experiment.action, autoreset=False, **shared)
    members = [load_agent(seed_folder(run, seed), experiment.agent, market) for seed in experiment.seeds]
    committee = Committee(members, market)
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, costs=experiment.costs, action=committee.action, **shared)
    backtest = rollout(committee, env)
    first = int(np.searchsorted(panel.dates, tape.dates[0]))
    account = tmp_path / "account.json"
    for day in range(first, first + 12):
        here = until(trained, day + 1, tmp_path / "now", rebalance=rebalance)
        today = str(panel.dates[day])
        settings = pipeline.Decide(paper=str(account), today=today)
        result = pipeline.decide(here, settings, tmp_path)
        again = account.read_bytes()
        assert pipeline.decide(here, settings, tmp_path).about == result.about
        assert account.read_bytes() == again  # twice on one day
        due = rebalance == 1 or day == first or tape.dates[day - first].item().weekday() == 0
        assert result.about["may_trade"] is due
    paper = PaperAccount.load(account)
    assert [one.date for one in paper.history] == backtest.dates[:11].astype(str).tolist()
    for booked, row in zip(paper.history, backtest.weights, strict=False):
        assert [booked.weights.get(name, 0.0) for name in (CASH, *tape.assets)] == row.tolist()
    if result.about["may_trade"]:
        assert result.decision.target == pytest.approx(backtest.weights[11], abs=1e-12)
    else:
        assert result.decision.turnover == 0
    about = json.loads((tmp_path / "decide" / run.name / "decision.json").read_text())
    assert about["day"] == str(panel.dates[first + 11])
    assert about["fit_end"] == "2018-10-31"
    assert about["fit_age_days"] == (panel.dates[first + 11] - np.datetime64("2018-10-31")).astype(int)
    assert about["next_refit"] is None
    assert len(about["largest_changes"]) <= 5
    table = pd.read_csv(tmp_path / "decide" / run.name / "decision.csv")
    assert {"ticker", "target", "shares", "money", "cost", "close", "blocked", "forecast", "codes"} <= set(
        table.columns
    )


def test_holdings_are_what_trades_start_from(trained, tmp_path: Path) -> None:
    panel = trained[2]
    here = until(trained, len(panel), tmp_path / "now")
    prices = panel["close"][-1]
    (tmp_path / "held.csv").write_text(f"ticker,shares\nS0,10\ncash,{100 * prices[1]}\n")
    settings = pipeline.Decide(holdings=str(tmp_path / "held.csv"), today=str(panel.dates[-1]))
    found = pipeline.decide(here, settings, tmp_path).decision
    worth = 10 * prices[0] + 100 * prices[1]
    assert found.money == pytest.approx(worth)
    orders = found.orders.set_index("ticker")
    assert orders.loc["S0", "weight"] == pytest.approx(10 * prices[0] / worth)
    assert found.cost == pytest.approx(1e-3 * orders["money"].abs().sum(), rel=1e-9)


@pytest.mark.parametrize("capital", [-5.0, 0.0, np.inf, np.nan])
def test_an_account_of_no_money_is_refused(capital: float) -> None:
    with pytest.raises(ValueError, match=r"decide: capital is .*, expected money above 0"):
        pipeline.Decide(capital=capital)


def test_what_cannot_be_decided_is_one_line(trained, tmp_path: Path) -> None:
    _, _, panel, states = trained
    here = until(trained, len(panel), tmp_path / "now")
    last = str(panel.dates[-1])

    def refused(message: str, **changes) -> None:
        with pytest.raises(ValueError, match=message) as told:
            pipeline.decide(here, replace(pipeline.Decide(today=last), **changes), tmp_path)
        assert "\n" not in str(told.value)

    refused("the last day of the panel is 2019-02-28, 11 days ago", today="2019-03-11")
    (tmp_path / "held.csv").write_text("ticker,shares\nXX,10\n")
    refused("held.csv: XX is not in the panel", holdings=str(tmp_path / "held.csv"))
    refused("both holdings and a paper account", holdings="a", paper="b")
    early = tmp_path / "early.safetensors"
    stop = int(np.searchsorted(panel.dates, np.datetime64("2018-10-20")))
    panel[:stop].save(early)
    refused("it ends on 2018-10-19, but the first day to decide on is 2018-", panel=str(early), today="2018-10-19")
    short = replace(states, **{name: np.array(getattr(states, name)[:-3]) for name in GRIDS})
    short.save(tmp_path / "now" / "states.safetensors")
    refused("the states end on 2019-02-25, the panel on 2019-02-28; extract the new days")
    tradable = panel.tradable.copy()
    tradable[-1, :4] = False
    replace(panel, tradable=tradable).save(tmp_path / "now" / "panel.safetensors")
    refused("2019-02-28 is half a day: only 1 of 5 assets")
