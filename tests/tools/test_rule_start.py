"""A run that begins at a rule: trained, continued, evaluated beside the rule, its seeds and their mean."""

import json
from dataclasses import replace

import numpy as np
import pytest

from agents.algorithms.apg import APG
from agents.algorithms.on_policy import PPO
from agents.baselines.simple import TopKDropN
from envs import Excess, LogGrowth, LongOnly, Step
from market.panel import Panel
from pipeline.control_markets import read_sources, tape_of
from pipeline.training import reward_of, task_of
from tests.tools import trade_runs
from tools.evaluate import main

START = {
    "start_from": TopKDropN(k=2, n_drop=1),
    "clone_steps": 5,
    "action": Step(LongOnly(cash=False, bound=1, scale=5)),
    "rebalance": 2,
    "price_limit": 0.1,
}
AGENT = APG(segment_days=8, accounts_per_path=2, width=4)


def test_a_run_from_a_rule_is_judged_against_it(tmp_path):
    trade_runs.market(tmp_path)
    run = trade_runs.trained(tmp_path, name="tiny_apg", agent=AGENT, **START)
    history = [json.loads(line) for line in (run / "seed_0" / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in history] == [0, 64, 128]  # evaluated before it learns
    assert max(entry["objective"] for entry in history) == next(e["objective"] for e in history[::-1] if e["best"])
    record = json.loads((run / "seed_0" / "agent.json").read_text())
    assert record["channels"] == ["state_0", "state_1", "forecast", "forecast_rank", "forecast_level", "forecast_std"]
    assert record["market_channels"][-1] == "fit_age"
    main(["--run", str(run), "--workdir", str(tmp_path), "--cost-points", "0"])
    metrics = json.loads((tmp_path / "evaluate" / "tiny_apg" / "metrics.json").read_text())
    assert list(metrics["comparisons"]["APG"]) == ["buy_and_hold", "equal_weight", "top2_drop1"]
    assert "APG: committee of 2 seeds" in metrics["performance"]


def test_the_reward_is_then_the_excess_over_the_rule(tmp_path):
    trade_runs.market(tmp_path)
    experiment = trade_runs.trade(tmp_path, **START)
    assert reward_of(experiment) == Excess("rule")
    assert reward_of(replace(experiment, reward=Excess("equal_weight"))) == Excess("equal_weight")
    assert reward_of(replace(experiment, start_from=None)) == LogGrowth()
    task = task_of(experiment)
    assert task.start_from.returns == pytest.approx(task.train.benchmark_named("rule"))
    assert task.rebalance == 2
    assert task.learning().due.sum() == (len(task.train) + 1) // 2


def test_every_kind_of_agent_may_begin_at_the_rule(tmp_path):
    trade_runs.market(tmp_path)
    run = trade_runs.trained(tmp_path, seeds=(0,), **START | {"agent": PPO(n_steps=16, batch_size=64, width=4)})
    assert (run / "training.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asset": "S1"}, "start_from trades a portfolio on a forecast"),
        ({"clone_steps": 0}, "clone_steps is 0"),
        ({"rebalance": 0}, "rebalance is 0"),
    ],
)
def test_a_start_that_cannot_be_is_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        replace(trade_runs.trade(tmp_path, **START), **change)


def test_a_rule_of_more_names_than_there_are_is_refused(tmp_path):
    trade_runs.market(tmp_path)
    with pytest.raises(ValueError, match=r"start_from: k is 6, but .* has 5 assets; hold fewer \(--start-from.k\)"):
        task_of(trade_runs.trade(tmp_path, **START | {"start_from": TopKDropN(k=6, n_drop=1)}))


def test_the_forecast_alone_may_be_observed_and_is_shuffled_with_the_states(tmp_path):
    trade_runs.market(tmp_path)
    experiment = trade_runs.trade(tmp_path)
    sources = read_sources(experiment)
    whole, alone, mixed = (
        tape_of(replace(experiment, observe=seen), sources, "train")
        for seen in ("states+forecast", "forecast", "shuffled")
    )
    assert alone.channels == whole.channels[2:]
    np.testing.assert_array_equal(alone.seen_assets(slice(None)), whole.seen_assets(slice(None))[..., 2:])
    assert not np.array_equal(mixed.forecast_frames, whole.forecast_frames)
    forecasts = [one.forecast_frames.reshape(-1, one.forecast_frames.shape[-1]) for one in (mixed, whole)]
    np.testing.assert_array_equal(*(np.sort(one, axis=0) for one in forecasts))


def test_a_reward_may_be_measured_against_an_index(tmp_path):
    trade_runs.market(tmp_path)
    experiment = trade_runs.trade(tmp_path)
    panel = Panel.load(experiment.panel)
    panel.select(["S3"]).save(tmp_path / "index.safetensors")
    indexed = replace(experiment, index=str(tmp_path / "index.safetensors"), reward=Excess("index"))
    tape = tape_of(indexed, read_sources(indexed), "valid")
    first = int(np.searchsorted(panel.dates, tape.dates[0]))
    close = panel["close"][first : first + len(tape), panel.assets.index("S3")]
    assert tape.benchmark_named("index")[:-1] == pytest.approx(close[1:] / close[:-1] - 1, abs=1e-12)
