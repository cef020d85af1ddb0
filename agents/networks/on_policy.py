"""The policy of PPO and A2C for portfolios: a scoring network that does not count its assets.

Its weights do not depend on the number of assets: build the policy for another environment, load the weights, and it
trades that one; so do those of `agents.networks.off_policy`. Plain networks (single stocks, recurrence) use
stable-baselines3's own policies over `FlatLookup`.
"""

from functools import partial
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.networks.extractors import PolicyInput, StateLookup
from agents.networks.scorer import PortfolioScorer


def widths(observation_space: spaces.Space[Any], extractor: Any) -> tuple[int, int]:
    """Returns the widths of asset and market states that the extractor will hand over."""
    if extractor.table is not None:
        return extractor.table.assets.shape[-1], extractor.table.market.shape[-1]
    assert isinstance(observation_space, spaces.Dict)
    shown = observation_space["assets" if "assets" in observation_space.spaces else "asset"]
    assets, market = shown.shape, observation_space["market"].shape
    assert assets is not None
    assert market is not None
    return assets[-1], market[-1]


def leading(observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> int:
    """Returns how many numbers of an action stand before those of the assets: a fraction, cash, both or none."""
    assert isinstance(observation_space, spaces.Dict)
    account = observation_space["account"].shape
    assert account is not None
    assert action_space.shape is not None
    return action_space.shape[0] - (account[0] - 1)


class _ActorAndCritic(nn.Module):
    # What stable-baselines3 calls the mlp_extractor: latents of policy and value from what is seen.

    def __init__(self, scorer: PortfolioScorer, width: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.latent_dim_pi = self.latent_dim_vf = width

    def forward(self, seen: PolicyInput) -> tuple[Tensor, Tensor]:
        scores, whole = self.scorer(seen)
        return scores[..., 0], whole

    def forward_actor(self, seen: PolicyInput) -> Tensor:
        return self.forward(seen)[0]

    def forward_critic(self, seen: PolicyInput) -> Tensor:
        return self.forward(seen)[1]


class PortfolioPolicy(ActorCriticPolicy):
    """Actor-critic for PPO and A2C: permuting the assets permutes the action, and N may differ from training.

    All assets share one standard deviation, what stands before them in an action another.

    Args:
        width: Hidden width of the scorer.
        kwargs: Those of stable-baselines3's `ActorCriticPolicy`; `net_arch` is not used.
    """

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self.width = width
        kwargs.setdefault("features_extractor_class", StateLookup)
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        seen = widths(self.observation_space, self.features_extractor)
        scorer = PortfolioScorer(*seen, self.width, leading(self.observation_space, self.action_space))
        self.mlp_extractor = _ActorAndCritic(scorer, self.width)  # type: ignore[assignment]
        self.action_net = nn.Identity()
        self.value_net = nn.Linear(self.width, 1)
        self.log_std = nn.Parameter(torch.full((2,), float(self.log_std_init)))  # of what leads, of every asset
        if self.ortho_init:
            self.mlp_extractor.apply(partial(self.init_weights, gain=2**0.5))
            for head in scorer.heads():
                head.apply(partial(self.init_weights, gain=0.01))
            self.value_net.apply(partial(self.init_weights, gain=1.0))
        optimizer_class: Any = self.optimizer_class
        self.optimizer = optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        assert isinstance(self.action_dist, DiagGaussianDistribution)
        which = torch.ones(latent_pi.shape[1], dtype=torch.long, device=latent_pi.device)
        which[: leading(self.observation_space, self.action_space)] = 0
        return self.action_dist.proba_distribution(latent_pi, self.log_std[which])
