"""TorchRL on the environments: REINFORCE on eight episodes at once; needs `pip install torchrl`."""

import gymnasium
import torch
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torchrl.envs import GymWrapper
from torchrl.modules import IndependentNormal, ProbabilisticActor

from envs import Costs, LongOnly, Tape
from market import Bundled, Panel

torch.manual_seed(0)
tape = Tape.from_panel(Panel.from_frame(Bundled().read()), stop="2017-12-29")
terms = {"costs": Costs(fee_rate=1e-3), "action": LongOnly(bound=1, scale=5), "observation": "flat", "episode_days": 60}
# TorchRL starts episodes itself, so the environments must not: autoreset_mode="DISABLED". One: gymnasium.make.
env = GymWrapper(gymnasium.make_vec("FactorGym/Portfolio-v0", 8, tape=tape, autoreset_mode="DISABLED", **terms))
env.set_seed(0)

width, actions = env.observation_spec["observation"].shape[-1], env.action_spec.shape[-1]
layers = (torch.nn.Linear(width, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2 * actions), NormalParamExtractor())
moments = TensorDictModule(torch.nn.Sequential(*layers), in_keys=["observation"], out_keys=["loc", "scale"])
policy = ProbabilisticActor(
    moments, in_keys=["loc", "scale"], distribution_class=IndependentNormal, return_log_prob=True
)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)

for update in range(5):
    episodes = env.rollout(60, policy, auto_cast_to_device=True).detach()
    reward = episodes["next", "reward"].squeeze(-1)  # [B, T]
    to_go = reward.flip(1).cumsum(1).flip(1)
    advantage = to_go - to_go.mean(0, keepdim=True)  # the other episodes are the baseline
    log_probability = policy.get_dist(episodes).log_prob(episodes["action"])
    loss = -(log_probability * advantage).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"update {update}: mean log growth of an episode {reward.sum(1).mean():+.4f}")
