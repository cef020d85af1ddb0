import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agents.checkpoint import POLICY
from configs import files
from configs.schema.evaluate import Evaluate
from configs.schema.trade import Trade
from envs import Costs
from evaluation.backtest import Backtest
from evaluation.performance import sharpe_ratio
from market.panel import RAW_CLOSE, Panel
from market.states import MarketStates
from market.storage.array_file import write_json
from market.storage.ledger import Ledger
from pipeline import evaluate, open_run
from pipeline.policy_comparison import run_comparison
from pipeline.reference_policies import index_backtest
from pipeline.trained_run import listing_of, run_fingerprint
from tests.tools import trade_runs
from tools.evaluate import main

KEYS = {
    "annual_return", "cumulative_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown",
    "turnover", "cost_paid", "n_trades", "hit_rate", "sharpe_ci", "psr", "deflated_sharpe",
}  # fmt: skip
PREDICTION = {"ic", "icir", "rank_ic", "rank_icir", "rank_ic_t", "rank_ic_ci", "n_days", "n_assets"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A working directory with a portfolio run, a single-stock run, and their evaluations."""
    folder = tmp_path_factory.mktemp("workdir")
    trade_runs.market(folder)
    for changes in ({}, {"name": "tiny_one", "asset": "S1"}):
        run = trade_runs.trained(folder, **changes)
        main(["--run", str(run), "--workdir", str(folder), "--cost-points", "0", "20"])
    return folder


@pytest.fixture
def copied(workdir, tmp_path):
    """The same working directory, to be spoilt; its configs name the original's data."""
    return shutil.copytree(workdir, tmp_path / "workdir")


def metrics_of(workdir, name="tiny_ppo"):
    return json.loads((workdir / "evaluate" / name / "metrics.json").read_text())


def rewired(copied, **changes):
    """Points the copied run at the copied data, with changes, and returns its directory."""
    run = copied / "trade" / "tiny_ppo"
    experiment = files.load_json(run / "config.json", Trade)
    here = trade_runs.trade(copied)
    files.write(replace(experiment, panel=here.panel, states=here.states, **changes), run)
    return run


def test_metrics_have_the_keys_that_other_scripts_read(workdir) -> None:
    metrics = metrics_of(workdir)
    for name, one in metrics["performance"].items():
        assert set(one) >= KEYS, name
    assert {"mean", "ci", "n_seeds", "seeds"} <= set(metrics["performance"]["PPO"])
    assert set(metrics["performance"]["PPO"]["seeds"]) == {"seed_0", "seed_1"}
    for part in ("valid", "test"):
        assert set(metrics[part]) >= PREDICTION
    assert metrics["test"]["n_days"] > 0
    for one in metrics["codebooks"].values():
        assert set(one) == {"perplexity", "usage", "dead_codes"}
    assert metrics["fit_end"] == "2018-10-31"
    assert metrics["audit"] == "passed"
    assert metrics["trials"] == {"seeds": 2, "configurations": 1, "others": [], "runs": {}}


def test_every_applicable_policy_takes_part(workdir) -> None:
    """A rule that heeds how sure a forecast is takes part where the forecast is surer of some assets than of others."""
    assert set(metrics_of(workdir)["performance"]) == {
        "PPO", "PPO: committee of 2 seeds", "cash", "buy_and_hold", "equal_weight", "momentum", "minimum_variance",
        "risk_parity", "mean_variance", "top1_drop1", "hindsight (cheats: sees the future)",
    }  # fmt: skip
    assert set(metrics_of(workdir, "tiny_one")["performance"]) == {
        "PPO", "PPO: committee of 2 seeds", "cash", "buy_and_hold", "momentum", "hindsight (cheats: sees the future)",
    }  # fmt: skip


def test_only_test_days_are_traded_and_the_files_agree(workdir) -> None:
    folder = workdir / "evaluate" / "tiny_ppo"
    metrics, backtest = metrics_of(workdir), Backtest.load(folder / "backtest.parquet")
    assert backtest.dates[0] > np.datetime64("2018-11-05")
    assert backtest.dates[-1] == np.datetime64("2019-02-28")
    assert sharpe_ratio(backtest.returns) == metrics["performance"]["PPO"]["sharpe"]
    everyone = pd.read_parquet(folder / "policies.parquet")
    assert {"PPO", "PPO/seed_0", "PPO/seed_1", "equal_weight"} <= set(everyone.columns)
    wealth = (1 + everyone[["PPO/seed_0", "PPO/seed_1"]]).prod().mean()
    assert (1 + everyone["PPO"]).prod() == pytest.approx(wealth)
    assert "PPO" in (folder / "report.html").read_text()


def test_the_planted_forecast_is_found_by_the_policy_that_trades_it(workdir) -> None:
    metrics = metrics_of(workdir)
    assert metrics["test"]["rank_ic_ci"][0] > 0.2
    assert metrics["performance"]["top1_drop1"]["sharpe"] > metrics["performance"]["equal_weight"]["sharpe"] + 3


def test_higher_costs_cost_more(workdir) -> None:
    table = metrics_of(workdir)["cost_sensitivity"]
    assert set(table) == {"PPO", "buy_and_hold", "equal_weight", "top1_drop1"}
    for name in table:
        assert table[name]["20"]["annual_return"] < table[name]["0"]["annual_return"]


def test_the_same_evaluation_gives_the_same_numbers_and_counts_the_look(copied) -> None:
    run = copied / "trade" / "tiny_ppo"
    before = metrics_of(copied)
    with pytest.raises(ValueError, match="the test days have been evaluated"):
        main(["--run", str(run), "--workdir", str(copied)])
    main(["--run", str(run), "--workdir", str(copied), "--cost-points", "0", "20", "--overwrite"])
    after = metrics_of(copied)
    assert after.pop("looks") == before.pop("looks") + 1 == 2
    assert after == before


def test_other_runs_on_the_same_question_count_as_tried(copied) -> None:
    run = copied / "trade" / "tiny_ppo"
    shutil.copytree(run, copied / "trade" / "tiny_other")  # evaluated never: known to have been tried, no more
    main(["--run", str(run), "--workdir", str(copied), "--other-trials", "3", "--overwrite", "--cost-points"])
    metrics = metrics_of(copied)
    runs = {"run tiny_other": 2, "runs that were deleted": 3}
    assert metrics["trials"] == {"seeds": 2, "configurations": 2, "others": [None] * 5, "runs": runs}
    assert metrics["performance"]["PPO"]["n_trials"] == 7  # the run of one stock asked another question
    assert metrics["cost_sensitivity"] == {}


def test_states_without_an_audit_are_refused(copied) -> None:
    run = rewired(copied)
    audit = copied / "states" / "tiny" / "audit.json"
    write_json(audit, {**json.loads(audit.read_text()), "verdict": "failed"})
    with pytest.raises(ValueError, match=r"audit.json: the verdict is 'failed'"):
        open_run(run)
    audit.unlink()
    with pytest.raises(ValueError, match=r"audit.json: no such file"):
        open_run(run)
    path = copied / "states" / "tiny" / "states.safetensors"
    states = MarketStates.load(path)
    replace(states, provenance={**states.provenance, "audit": "failed"}).save(path)
    with pytest.raises(ValueError, match="audit='failed'"):
        open_run(run)


@pytest.mark.parametrize(("fit_end", "fine"), [("2018-11-02", True), ("2018-11-05", False), ("2019-01-07", False)])
def test_a_test_range_that_the_states_learnt_from_is_refused(copied, fit_end, fine) -> None:
    run = rewired(copied)
    path = copied / "states" / "tiny" / "states.safetensors"
    made = replace(MarketStates.load(path), fit_end=np.datetime64(fit_end)).save(path)
    seen = run / "audit.json"
    write_json(seen, {**json.loads(seen.read_text()), "states_fingerprint": made})
    if fine:
        assert open_run(run).market.tape.dates[0] == np.datetime64("2018-11-05")
        return
    with pytest.raises(ValueError, match=f"until {fit_end}, but test starts on 2018-11-05"):
        open_run(run)


def test_a_test_range_that_the_agent_chose_on_is_refused(copied) -> None:
    run = rewired(copied)
    record = run / "seed_1" / "agent.json"
    write_json(record, {**json.loads(record.read_text()), "fit_end": "2018-12-31"})
    with pytest.raises(ValueError, match=r"agent.json: fit_end is 2018-12-31"):
        open_run(run)


def test_a_policy_of_another_environment_is_refused(copied) -> None:
    one, many = copied / "trade" / "tiny_one", copied / "trade" / "tiny_ppo"
    shutil.copytree(one / "seed_0", many / "seed_0", dirs_exist_ok=True)
    with pytest.raises(ValueError, match="use the environment that the agent was trained for"):
        evaluate({"x": [many]}, Evaluate(cost_points=()), copied)


def test_an_unfinished_run_is_refused(copied) -> None:
    run = copied / "trade" / "tiny_ppo"
    (run / "training.json").unlink()
    with pytest.raises(ValueError, match="not finished"):
        main(["--run", str(run), "--workdir", str(copied), "--overwrite"])
    with pytest.raises(ValueError, match="name a trading run with --run"):
        main(["--workdir", str(copied)])
    with pytest.raises(ValueError, match="no such file"):
        main(["--run", str(copied / "trade" / "none"), "--workdir", str(copied)])


def test_runs_on_other_terms_share_no_section(copied) -> None:
    run = copied / "trade" / "tiny_ppo"
    dear = shutil.copytree(run, copied / "trade" / "tiny_dear")
    experiment = files.load_json(run / "config.json", Trade)
    files.write(replace(experiment, name="tiny_dear", costs=Costs(fee_rate=5e-3)), dear)
    with pytest.raises(ValueError, match="only runs on the same market can be compared"):
        evaluate({"x": [run, dear]}, Evaluate(cost_points=()), copied)


def test_an_index_is_followed_over_the_same_days(copied) -> None:
    market = open_run(copied / "trade" / "tiny_ppo").market
    panel = market.panel.select(["S2"])
    gone = np.searchsorted(panel.dates, np.datetime64("2018-12-25"))
    kept = np.arange(len(panel)) != gone
    arrays = {name: getattr(panel, name)[kept] for name in ("dates", "values", "listed", "tradable")}
    path = copied / "index.safetensors"
    replace(panel, **arrays).save(path)
    index = index_backtest(path, None, market.tape)
    close = panel["close"][np.searchsorted(panel.dates, market.tape.dates), 0]
    assert index.wealth[-1] == pytest.approx(close[-1] / close[0])
    assert index.returns[np.searchsorted(index.dates, np.datetime64("2018-12-25"))] == 0
    table = copied / "index.csv"
    panel.to_frame().drop(columns=["listed", "tradable"]).to_csv(table, index=False)
    by_table = index_backtest(table, None, market.tape)
    assert by_table.wealth[-1] == pytest.approx(index.wealth[-1])
    own = index_backtest(market.panel, "S2", market.tape)  # by its ticker in the traded panel
    assert own.name == "index S2"
    assert own.wealth[-1] == pytest.approx(index.wealth[-1])
    panel.between(None, "2019-01-31").save(path)
    with pytest.raises(ValueError, match="prepare an index that covers them"):
        index_backtest(path, None, market.tape)
    Panel.load(trade_runs.trade(copied).panel).save(path)
    with pytest.raises(ValueError, match="name the index"):
        index_backtest(path, None, market.tape)


def test_dividends_stand_on_the_day_on_which_the_account_earns_them(copied) -> None:
    run = open_run(copied / "trade" / "tiny_ppo")
    panel = run.market.panel
    paid = np.searchsorted(panel.dates, np.datetime64("2018-12-20"))
    quoted = panel["close"].copy()
    quoted[:paid, 2] *= 1.01  # adjusted prices before a dividend of 1 % lie so much below the quoted ones
    values = np.stack([panel["close"], quoted], axis=2)
    market = replace(run.market, panel=replace(panel, fields=("close", RAW_CLOSE), values=values))
    settings = Evaluate(index_asset="S1", cost_points=(), hindsight=False)
    found = run_comparison(market, [run.candidate("PPO")], settings)
    [(day, asset)] = np.argwhere(found.dividends)
    assert (found.index.dates[day], asset) == (panel.dates[paid], 2)
    assert run_comparison(run.market, [run.candidate("PPO")], settings).dividends is None


def test_who_joins_and_who_leaves_is_read_from_the_listing(workdir) -> None:
    panel = Panel.load(trade_runs.trade(workdir).panel)
    listed = np.array(panel.listed)
    listed[:3, 0] = listed[-2:, 1] = listed[:, 2] = False  # joins, leaves, is never there
    moved = replace(panel, listed=listed, tradable=panel.tradable & listed)
    assert listing_of(moved) == {"assets": 4, "late": 1, "left": 1}
    assert metrics_of(workdir)["listing"] == {"assets": 5, "late": 0, "left": 0}
    page = (workdir / "evaluate" / "tiny_ppo" / "report.html").read_text()
    assert "None of the 5 assets of the data leaves before the last day and none joins later" in page


def test_the_fingerprint_of_a_run_is_of_what_is_in_its_files(copied) -> None:
    run = copied / "trade" / "tiny_ppo"
    before = run_fingerprint(run)
    assert run_fingerprint(shutil.copytree(run, copied / "elsewhere")) == before
    shutil.copy(run / "seed_1" / POLICY, run / "seed_0" / POLICY)
    assert run_fingerprint(run) != before, "the policy of seed 0 is another one"
    data = rewired(copied)
    before = run_fingerprint(data)
    path = copied / "data" / "tiny" / "panel.safetensors"
    panel = Panel.load(path)
    path.unlink()
    replace(panel, values=1.01 * np.array(panel.values)).save(path)
    assert run_fingerprint(data) != before, "the prices are other ones"


def test_nothing_is_left_half_written(copied, monkeypatch) -> None:
    folder = copied / "evaluate" / "y"
    panel = files.load_json(copied / "trade" / "tiny_one" / "config.json", Trade).panel
    before = {one.command for one in Ledger.beside(panel).looks()}

    def failing(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pipeline.evaluation.report", failing)
    with pytest.raises(OSError, match="disk full"):
        evaluate({"y": [copied / "trade" / "tiny_one"]}, Evaluate(cost_points=(), hindsight=False), copied)
    assert not (folder / "metrics.json").exists()
    looks = [one for one in Ledger.beside(panel).looks() if one.part == "test"]
    assert len({one.command for one in looks} - before) == 1, "a look counts from before it is taken"
