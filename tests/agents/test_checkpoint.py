"""Saved agents load equal, also elsewhere, and what does not belong together is refused in one line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from agents.algorithms.on_policy import PPO, RecurrentPPO
from agents.checkpoint import POLICY, load_agent
from agents.training.loop import train_agent
from agents.training.validation import trace_episode
from envs import BatchMarket, LongOnly, Position
from evaluation.rollout import rollout
from market.storage.array_file import read_arrays
from tests.agents.planted import NAMES, SHORT, SMALL, noise_tape, task_for

ROOT = Path(__file__).parent.parent.parent
ELSEWHERE = """
import sys, json
from pathlib import Path
from agents.checkpoint import load_agent
from agents.training.validation import trace_episode
from tests.agents.planted import SMALL, task_for
agent, portfolio = SMALL[int(sys.argv[2])], sys.argv[3] == "True"
market = task_for(agent, portfolio).validation()
print(json.dumps(trace_episode(load_agent(sys.argv[1], agent, market), market).wealth.tolist()))
"""


def trained(folder: Path, agent=SMALL[0], portfolio: bool = True):
    return train_agent(agent, task_for(agent, portfolio), replace(SHORT, total_steps=64), 0, folder, {})


@pytest.mark.parametrize(("index", "portfolio"), [(0, True), (2, False)], ids=["PPO", "RecurrentPPO"])
def test_an_agent_decides_the_same_in_another_process(index: int, portfolio: bool, tmp_path: Path) -> None:
    agent = SMALL[index]
    trained(tmp_path, agent, portfolio)
    market = task_for(agent, portfolio).validation()
    here = trace_episode(load_agent(tmp_path, agent, market), market).wealth
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path), str(index), str(portfolio)]
    there = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(there.stdout) == here.tolist()
    assert len(set(here.tolist())) > 5


@pytest.mark.parametrize("agent", SMALL, ids=NAMES)
def test_it_trades_the_gymnasium_environments_in_both_views(agent, tmp_path: Path) -> None:
    trained(tmp_path, agent)
    task = task_for(agent)
    kwargs = {"tape": task.valid, "action": task.action, "costs": task.costs}
    paths = []
    for view in ("full", "compact"):
        env = gymnasium.make("FactorGym/Portfolio-v0", observation=view, **kwargs)
        loaded = load_agent(tmp_path, agent, env.unwrapped.market)
        backtest = rollout(loaded, env)
        assert backtest.name == type(agent).__name__
        paths.append(backtest.wealth)
    np.testing.assert_array_equal(*paths)
    market = task.validation()
    np.testing.assert_allclose(trace_episode(load_agent(tmp_path, agent, market), market).wealth, paths[0], rtol=1e-12)


def test_a_portfolio_agent_trades_another_number_of_assets(tmp_path: Path) -> None:
    trained(tmp_path)
    market = BatchMarket(noise_tape(assets=9), observation="full", action=task_for(SMALL[0]).action, autoreset=False)
    loaded = load_agent(tmp_path, SMALL[0], market, name="mine")
    assert loaded.name == "mine"
    assert trace_episode(loaded, market).weights.shape == (59, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": LongOnly(bound=1, scale=6)}, "action was .*scale=5.*, here it is .*scale=6"),
        ({"tape": noise_tape(width=5)}, "asset_width was 8 in training, here it is 9"),
    ],
)
def test_another_environment_is_refused(change, message, tmp_path: Path) -> None:
    trained(tmp_path)
    given = {"tape": noise_tape(), "action": task_for(SMALL[0]).action, "observation": "compact"} | change
    with pytest.raises(ValueError, match=message) as caught:
        load_agent(tmp_path, SMALL[0], BatchMarket(**given))
    assert "\n" not in str(caught.value)
    assert POLICY in str(caught.value)


def test_another_agent_or_other_networks_are_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    market = task_for(SMALL[0]).validation()
    with pytest.raises(ValueError, match="agent was 'PPO' in training, here it is 'A2C'"):
        load_agent(tmp_path, SMALL[1], market)
    with pytest.raises(ValueError, match=r"has shape \(.*32.*\), the configuration builds \(.*16.*\)") as caught:
        load_agent(tmp_path, replace(SMALL[0], width=16), market)
    assert "\n" not in str(caught.value)


def test_a_single_stock_agent_knows_its_stock(tmp_path: Path) -> None:
    agent = RecurrentPPO(n_steps=8, batch_size=16, lstm_hidden_size=8)
    trained(tmp_path, agent, portfolio=False)
    tape = noise_tape(days=20, seed=1).only("A1")
    market = BatchMarket(tape, action=Position(), observation="compact", one_asset=True)
    with pytest.raises(ValueError, match=r"assets was \['A0'\] in training, here it is \['A1'\]"):
        load_agent(tmp_path, agent, market)


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    market = task_for(SMALL[0]).validation()
    with pytest.raises(ValueError, match="no such file"):
        load_agent(tmp_path / "nowhere", SMALL[0], market)
    path = tmp_path / POLICY
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="the file is damaged"):
        load_agent(tmp_path, SMALL[0], market)


@pytest.mark.parametrize("agent", SMALL, ids=NAMES)
def test_what_is_saved_is_what_was_learnt(agent, tmp_path: Path) -> None:
    trained(tmp_path, agent)
    arrays, _ = read_arrays(tmp_path / POLICY, "policy", 1)
    market = task_for(agent).validation()
    loaded = load_agent(tmp_path, agent, market)
    for name, value in loaded.policy.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), arrays[name])
    fresh = agent.policy(
        market.observation_space, market.action_space, loaded.policy.features_extractor_kwargs["table"], True
    )
    changed = [not torch.equal(a, b) for a, b in zip(fresh.parameters(), loaded.policy.parameters(), strict=True)]
    assert any(changed)


def test_the_agent_says_until_when_it_learnt(tmp_path: Path) -> None:
    trained(tmp_path)
    market = task_for(SMALL[0]).validation()
    loaded = load_agent(tmp_path, PPO(n_steps=8, batch_size=16, n_epochs=2), market)
    assert loaded.fit_end == noise_tape().dates[-1]
