"""Training as a command: every seed, never a look at the test days, continued when killed, mistakes in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.algorithms.on_policy import PPO
from agents.checkpoint import load_agent
from agents.training.callbacks import STATE, TrainingConfig
from agents.training.validation import trace_episode
from configs import files
from configs.schema.trade import Trade
from envs import BatchMarket, LongOnly, SellHoldBuy
from market.artifacts import TRAINING
from market.features import Feature, Formulas
from market.panel import Panel
from market.splits import Split
from pipeline.control_markets import read_sources, tape_of
from pipeline.results import TrainResult
from pipeline.run_directory import seed_folder
from pipeline.training import task_of
from tests.envs.markets import plain_panel, states_of
from tools.cli import configurations
from tools.tables import show_agents
from tools.train import Options, main

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted((ROOT / "configs" / "trade").glob("*.py"))
SPLIT = Split(train=("2020-01-01", "2020-03-10"), valid=("2020-03-15", "2020-04-10"), test=("2020-04-15", "2020-06-20"))
EARLY = Split(train=("2020-01-01", "2020-02-01"), valid=("2020-02-05", "2020-03-01"), test=("2020-03-05", "2020-06-20"))
TEST_DAYS = 105  # first row of the test part


def market(folder: Path, audit: str = "passed") -> tuple[Panel, Trade]:
    """Writes a panel and its states, and returns a run over them that takes a second."""
    panel = plain_panel(days=180, assets=3)
    panel.save(folder / "panel.safetensors")
    split = {part: list(getattr(SPLIT, part)) for part in ("train", "valid", "test")}
    states = replace(states_of(panel, audit=audit, split=split), fit_end=np.datetime64("2020-03-31"))
    states.save(folder / "states.safetensors")
    experiment = Trade(
        name="small",
        panel=str(folder / "panel.safetensors"),
        states=str(folder / "states.safetensors"),
        agent=PPO(n_steps=8, batch_size=16, n_epochs=1),
        action=LongOnly(bound=1, scale=5),
        episode_days=12,
        n_envs=4,
        schedule=TrainingConfig(total_steps=96, validate_every=32),
        seeds=(0, 1),
        in_sample="allow",
    )
    return panel, experiment


def train(experiment: Trade, folder: Path, *extra: str) -> Path:
    """Runs the command and returns the folder of the run."""
    config = folder / "config_of_the_test.py"
    config.write_text(files.source_text(experiment))
    main(["--config", str(config), "--workdir", str(folder), *extra])
    return folder / "trade" / experiment.name


def test_every_seed_is_trained_and_summed_up(tmp_path: Path, capsys) -> None:
    _, experiment = market(tmp_path)
    folder = train(experiment, tmp_path)
    result = json.loads((folder / TRAINING).read_text())["seeds"]
    assert list(result) == ["0", "1"]
    for seed in (0, 1):
        names = {path.name for path in seed_folder(folder, seed).iterdir()}
        assert names == {"policy.safetensors", "agent.json", "history.jsonl", "tensorboard"}
        assert result[str(seed)]["n_steps"] == 96
    assert files.load_json(folder / "config.json", Trade) == experiment
    assert files.load_python(folder / "config.py", Trade) == experiment
    assert f"{np.exp(result['1']['growth']):.3f}" in capsys.readouterr().out
    with pytest.raises(ValueError, match="this run is finished"):
        train(experiment, tmp_path)
    train(experiment, tmp_path, "--overwrite", "--seeds", "5")
    assert list(json.loads((folder / TRAINING).read_text())["seeds"]) == ["5"]


@pytest.mark.parametrize("observe", ["states", "features", "shuffled", "none"])
def test_the_test_days_change_nothing(observe, tmp_path: Path) -> None:
    panel, experiment = market(tmp_path)
    formulas = Formulas((Feature("MOVE", "close / delay(close, 1) - 1"),))
    experiment = replace(experiment, observe=observe, features=formulas, seeds=(0,))
    for name in "abc":
        (tmp_path / name).mkdir()
    before = train(experiment, tmp_path / "a")
    values = panel.values.copy()
    values[TEST_DAYS:] *= np.random.default_rng(1).uniform(0.5, 2, values[TEST_DAYS:].shape)
    replace(panel, values=values).save(experiment.panel)
    after = train(experiment, tmp_path / "b")
    names = ("seed_0/policy.safetensors", "seed_0/agent.json", "seed_0/history.jsonl", TRAINING, "config.json")
    assert all((before / name).read_bytes() == (after / name).read_bytes() for name in names)
    values[TEST_DAYS - 10] *= 1.5  # a valid day does change the choice
    replace(panel, values=values).save(experiment.panel)
    changed = train(experiment, tmp_path / "c")
    assert (before / "seed_0/history.jsonl").read_bytes() != (changed / "seed_0/history.jsonl").read_bytes()


def test_a_killed_process_continues_to_the_bit(tmp_path: Path) -> None:
    _, experiment = market(tmp_path)
    experiment = replace(experiment, schedule=TrainingConfig(total_steps=256, validate_every=32, patience=None))
    whole = train(replace(experiment, name="whole"), tmp_path)
    config = tmp_path / "config_of_the_test.py"
    config.write_text(files.source_text(experiment))
    command = [sys.executable, "-m", "tools.train", "--config", str(config), "--workdir", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = tmp_path / "trade" / "small"
    deadline = time.monotonic() + 300
    while not (seed_folder(folder, 0) / STATE).exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "it wrote no state"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / TRAINING).exists()
    train(experiment, tmp_path)
    for seed in (0, 1):
        one, other = (seed_folder(path, seed) / "history.jsonl" for path in (folder, whole))
        assert one.read_bytes() == other.read_bytes()
    assert (folder / TRAINING).read_bytes() == (whole / TRAINING).read_bytes()


def test_a_trained_run_can_be_traded_on_the_test_days(tmp_path: Path) -> None:
    _, experiment = market(tmp_path)
    folder = train(experiment, tmp_path)
    tape = tape_of(experiment, read_sources(experiment, until="test"), "test")
    test = BatchMarket(tape, action=experiment.action, observation="full", autoreset=False)
    agent = load_agent(seed_folder(folder, 0), experiment.agent, test)
    assert agent.fit_end == np.datetime64("2020-04-10")
    assert len(trace_episode(agent, test).wealth) == len(tape) == 67


def test_a_single_stock_is_a_market_of_its_own(tmp_path: Path) -> None:
    _, experiment = market(tmp_path)
    task = task_of(replace(experiment, asset="A1", action=SellHoldBuy()))
    assert task.train.assets == ("A1",)
    assert not task.portfolio
    assert (task.train.dates[-1], task.valid.dates[0]) == (np.datetime64("2020-03-10"), np.datetime64("2020-03-15"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asset": "AAPL"}, "no asset 'AAPL' among 3"),
        ({"panel": "nowhere.safetensors"}, "nowhere.safetensors: no such file"),
        ({"fill": "close"}, "states.safetensors: tape: fill is 'close' but the states were made for 'next_open'"),
        ({"split": replace(SPLIT, valid=("2030-01-01", "2030-02-01"), test=("2031-01-01", "2031-02-01"))}, "no day of"),
        (
            {"split": EARLY},
            "the encoder of 2020-03-05 learnt from days until 2020-03-31, but test starts on 2020-03-05",
        ),
        (
            {"in_sample": "refuse"},
            "train days are in-sample: the states of 2020-01-01 come from an encoder fitted until",
        ),
        ({"action": SellHoldBuy()}, "SellHoldBuy: it trades one asset but the tape has 3"),
    ],
)
def test_a_mistake_is_one_line(change, message, tmp_path: Path) -> None:
    _, experiment = market(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        train(replace(experiment, **change), tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "trade" / "small" / "seed_0").exists()


def test_states_without_an_audit_are_refused(tmp_path: Path) -> None:
    _, experiment = market(tmp_path, audit="failed")
    with pytest.raises(ValueError, match=r"states\.safetensors: tape: states have audit='failed', expected 'passed'"):
        train(experiment, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": None}, r"observe is 'states\+forecast' but states is None"),
        ({"states": None, "observe": "none"}, "split is None and there are no states"),
        ({"seeds": ()}, "give at least one"),
        ({"seeds": (1, 1)}, "each once"),
        ({"name": "a/b"}, "path separators"),
    ],
)
def test_a_contradictory_run_is_refused(change, message, tmp_path: Path) -> None:
    _, experiment = market(tmp_path)
    with pytest.raises(ValueError, match=message):
        replace(experiment, **change)


def test_what_is_observed(tmp_path: Path) -> None:
    panel, experiment = market(tmp_path)
    assert str(read_sources(experiment).panel.dates[-1]) == SPLIT.valid[1]  # what comes after is not even read
    states = tape_of(experiment, read_sources(experiment), "train")
    formulas = Formulas((Feature("MOVE", "close / delay(close, 1) - 1"),))
    features = replace(experiment, observe="features", features=formulas)
    seen = tape_of(features, read_sources(features), "train")
    scaled = read_sources(features).features.values[1:70, :, 0]  # the train days but the first, which has no move
    assert abs(np.median(scaled)) < 1e-6
    move = panel["close"][1:] / panel["close"][:-1] - 1
    assert np.corrcoef(seen.asset[1:60, :, 0].ravel(), move[:59].ravel())[0, 1] > 0.95
    nothing = replace(experiment, observe="none")
    blind = tape_of(nothing, read_sources(nothing), "train")
    assert not blind.frames.any()
    control = replace(experiment, observe="shuffled")
    mixed = tape_of(control, read_sources(control), "train")
    assert not np.array_equal(mixed.frames, states.frames)
    np.testing.assert_array_equal(mixed.after, states.after)
    order = [int(np.flatnonzero((states.market_frames == row).all(axis=1))[0]) for row in mixed.market_frames]
    np.testing.assert_array_equal(mixed.age_frames, states.age_frames[order])
    for name in ("frames", "forecast_frames"):
        for shown, there in zip(getattr(mixed, name), getattr(states, name)[order], strict=True):
            np.testing.assert_array_equal(np.sort(shown, axis=0), np.sort(there, axis=0))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_what_its_name_says(path: Path, tmp_path: Path) -> None:
    experiment = files.load_python(path, Trade)
    words = path.stem.split("_")
    data = words[0] if words[0] in ("bundled", "csi300", "simulated") else "dj30"
    assert experiment.name == path.stem
    assert type(experiment.agent).__name__.lower() in words
    assert (experiment.asset is None) == ("portfolio" in words)
    assert experiment.panel == f"data/{data}/panel.safetensors"
    encoder = {"csi300": "factor_vae_walk", "simulated": "ridge_walk"}.get(data, "storm_dual")
    assert experiment.states == f"states/{data}_{encoder}/states.safetensors"
    walked = experiment.states.endswith("_walk/states.safetensors")
    assert experiment.in_sample == ("refuse" if walked else "allow")  # states of a single split can only be allowed
    experiment.action.space(1 if experiment.asset else 29)


def test_four_bases_make_all_runs_of_the_dow_jones_30() -> None:
    stems = {path.stem for path in CONFIGS}
    assert {"ppo_single", "ppo_portfolio", "sac_single", "sac_portfolio"} <= stems
    base = ["--config", str(ROOT / "configs" / "trade" / "sac_single.py"), "--name", "dj30_{asset}_{states}_sac"]
    vary = ["--vary", "asset=AAPL,IBM,INTC,JPM,MSFT", "states=storm_dual,storm_single_ts,storm_single_cs"]
    runs, _ = configurations(Trade, Options, [*base, *vary], "configs/trade")
    assert len({run.name for run in runs}) == len(runs) == 15
    assert runs[1].name == "dj30_AAPL_storm_single_ts_sac"
    assert runs[1].states == "workdir/states/storm_single_ts/states.safetensors"
    assert len({(run.asset, run.states) for run in runs}) == 15


def test_one_command_trains_every_variation_and_continues_with_what_is_missing(tmp_path: Path, capsys) -> None:
    _, experiment = market(tmp_path)
    experiment = replace(experiment, seeds=(0,), action=SellHoldBuy())
    names = [f"small_{asset}" for asset in market(tmp_path)[0].assets[:2]]
    vary = ["--vary", f"asset={','.join(market(tmp_path)[0].assets[:2])}"]
    train(experiment, tmp_path, *vary)
    assert sorted(path.name for path in (tmp_path / "trade").iterdir() if path.is_dir()) == sorted(names)
    shutil.rmtree(tmp_path / "trade" / names[1])
    capsys.readouterr()
    train(experiment, tmp_path, *vary)
    assert f"{names[0]} is finished" in capsys.readouterr().out
    assert (tmp_path / "trade" / names[1] / TRAINING).exists()


@pytest.mark.parametrize(("turnover", "said"), [(0.0, True), (0.01, False)])
def test_a_seed_that_never_trades_is_told_of(turnover: float, said: bool, capsys) -> None:
    valid = {"growth": 0.0, "benchmark_growth": 0.3, "step": 64, "turnover": turnover}
    show_agents(TrainResult(Path("run"), ({"seed": 3, "n_steps": 256, "valid": valid},)))
    assert ("Never traded on the valid days: seed 3." in capsys.readouterr().out) is said
