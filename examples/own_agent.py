"""An agent of one's own in plain torch: REINFORCE on a batch of episodes, without stable-baselines3."""

import numpy as np
import torch

from envs import BatchMarket, Costs, Episodes, LongOnly, Tape
from evaluation.performance import performance
from evaluation.rollout import rollout
from market import Bundled, Panel

torch.manual_seed(0)
panel, costs = Panel.from_frame(Bundled().read()), Costs(fee_rate=1e-3)
train, test = Tape.from_panel(panel, stop="2017-12-29"), Tape.from_panel(panel, start="2018-01-09")
market = BatchMarket(train, n_envs=64, costs=costs, observation="flat", episodes=Episodes(days=60), seed=0)

observation = market.reset()[0]
n_inputs, n_actions = observation.shape[1], 1 + len(panel.assets)
policy = torch.nn.Sequential(torch.nn.Linear(n_inputs, 64), torch.nn.Tanh(), torch.nn.Linear(64, n_actions))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)

for _ in range(10):
    log_probability, rewards = [], []
    for _ in range(60):
        logits = torch.distributions.Normal(policy(torch.as_tensor(observation)), 1.0)
        action = logits.sample()
        observation, reward, *_ = market.step(action.numpy())
        log_probability.append(logits.log_prob(action).sum(1))
        rewards.append(torch.as_tensor(reward, dtype=torch.float32))
    growth = torch.stack(rewards).flip(0).cumsum(0).flip(0)  # reward to go, [60, B]
    advantage = growth - growth.mean(1, keepdim=True)  # the other episodes are the baseline
    loss = -(torch.stack(log_probability) * advantage).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


class Greedy:
    """The mean action, behind the `predict` of stable-baselines3, so that `rollout` takes it."""

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """Returns the action and no memory."""
        with torch.no_grad():
            return policy(torch.as_tensor(np.asarray(observation))).numpy(), None


if __name__ == "__main__":
    import gymnasium

    env = gymnasium.make("FactorGym/Portfolio-v0", tape=test, costs=costs, action=LongOnly(), observation="flat")
    print(performance(rollout(Greedy(), env)))
