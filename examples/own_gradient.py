"""A policy that follows the exact gradient of the account, in plain torch: no critic, no sampled actions."""

import numpy as np
import torch

from agents import DifferentiableMarket
from envs import BatchMarket, Costs, LongOnly, Tape
from evaluation.performance import performance
from evaluation.rollout import rollout
from market import Bundled, Panel

torch.manual_seed(0)
panel, costs, action = Panel.from_frame(Bundled().read()), Costs(fee_rate=1e-3), LongOnly(bound=1, scale=5)
train, test = Tape.from_panel(panel, stop="2017-12-29"), Tape.from_panel(panel, start="2018-01-09")
market = BatchMarket(train, costs=costs, action=action)  # says the terms; the twin books the money
twin = DifferentiableMarket(market)

width = train.n_assets * train.asset_width
policy = torch.nn.Sequential(torch.nn.Linear(width, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1 + train.n_assets))
optimizer, generator = torch.optim.Adam(policy.parameters(), lr=3e-3), np.random.default_rng(0)

for _ in range(40):
    rows = generator.integers(0, len(train) - 21, 64)  # [B] first days of segments of 20
    wealth = torch.ones(64, dtype=torch.float64)
    account = torch.zeros(64, 1 + train.n_assets, dtype=torch.float64)  # [B, 1 + N], cash first
    account[:, 0] = 1.0
    for day in range(20):
        seen = torch.as_tensor(train.seen_assets(rows + day)).flatten(1)  # [B, N D], known after the close of the day
        targets = torch.softmax(action.scale * torch.tanh(policy(seen)).double(), 1)  # what LongOnly makes of it
        traded = twin.trade(rows + day, twin.drift(rows + day, account), targets, wealth)
        account, wealth = traded.account, wealth * traded.growth
    loss = -wealth.log().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


class Learned:
    """The policy behind the `predict` of stable-baselines3, so that `rollout` takes it."""

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """Returns the action and no memory; the flat observation begins with what is seen of the assets."""
        with torch.no_grad():
            return torch.tanh(policy(torch.as_tensor(observation[..., :width]))).numpy(), None


if __name__ == "__main__":
    import gymnasium

    env = gymnasium.make("FactorGym/Portfolio-v0", tape=test, costs=costs, action=action, observation="flat")
    found = performance(rollout(Learned(), env))
    print(f"wealth {found['final_wealth']:.2f}, turnover a day {found['turnover']:.1%}, Sharpe {found['sharpe']:.2f}")
