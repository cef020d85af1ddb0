"""Policies for portfolios: stable-baselines3's actor-critics over a scoring network that does not count its assets.

Their weights do not depend on the number of assets: build the policy for another environment, load the weights, and it
trades that one. Plain networks (single stocks, recurrence) use stable-baselines3's own policies over `FlatLookup`.
"""

from functools import partial
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution, Distribution
from stable_baselines3.common.policies import ActorCriticPolicy, ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, SACPolicy
from stable_baselines3.sac.policies import Actor as SACActor
from stable_baselines3.td3.policies import Actor as TD3Actor
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

from agents.lookup import Seen, StateLookup
from agents.networks import PortfolioScorer, PortfolioValue


def widths(observation_space: spaces.Space[Any], extractor: Any) -> tuple[int, int]:
    """Returns the widths of asset and market states that the extractor will hand over."""
    if extractor.table is not None:
        return extractor.table.assets.shape[-1], extractor.table.market.shape[-1]
    assert isinstance(observation_space, spaces.Dict)
    assets, market = observation_space["assets"].shape, observation_space["market"].shape
    assert assets is not None
    assert market is not None
    return assets[-1], market[-1]


def has_cash(observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> bool:
    """Returns whether actions begin with cash: then they are as many as the account's weights."""
    assert isinstance(observation_space, spaces.Dict)
    return action_space.shape == observation_space["account"].shape


class _ActorAndCritic(nn.Module):
    # What stable-baselines3 calls the mlp_extractor: latents of policy and value from what is seen.

    def __init__(self, scorer: PortfolioScorer, width: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.latent_dim_pi = self.latent_dim_vf = width

    def forward(self, seen: Seen) -> tuple[Tensor, Tensor]:
        scores, whole = self.scorer(seen)
        return scores[..., 0], whole

    def forward_actor(self, seen: Seen) -> Tensor:
        return self.forward(seen)[0]

    def forward_critic(self, seen: Seen) -> Tensor:
        return self.forward(seen)[1]


class PortfolioPolicy(ActorCriticPolicy):
    """Actor-critic for PPO and A2C: permuting the assets permutes the action, and N may differ from training.

    All assets share one standard deviation, cash has its own.

    Args:
        width: Hidden width of the scorer.
        kwargs: Those of stable-baselines3's `ActorCriticPolicy`; `net_arch` is not used.
    """

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self.width = width
        kwargs.setdefault("features_extractor_class", StateLookup)
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        cash = has_cash(self.observation_space, self.action_space)
        scorer = PortfolioScorer(*widths(self.observation_space, self.features_extractor), self.width, cash)
        self.mlp_extractor = _ActorAndCritic(scorer, self.width)  # type: ignore[assignment]
        self.action_net = nn.Identity()  # type: ignore[assignment]
        self.value_net = nn.Linear(self.width, 1)
        self.log_std = nn.Parameter(torch.full((2,), float(self.log_std_init)))  # of cash, of every asset
        if self.ortho_init:
            self.mlp_extractor.apply(partial(self.init_weights, gain=2**0.5))
            for last in (scorer.score, scorer.score_cash):
                if last is not None:
                    last.apply(partial(self.init_weights, gain=0.01))
            self.value_net.apply(partial(self.init_weights, gain=1.0))
        parameters: Any = self.parameters()
        self.optimizer = self.optimizer_class(parameters, lr=lr_schedule(1), **self.optimizer_kwargs)

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Distribution:
        assert isinstance(self.action_dist, DiagGaussianDistribution)
        which = torch.ones(latent_pi.shape[1], dtype=torch.long, device=latent_pi.device)
        which[0] = 0 if has_cash(self.observation_space, self.action_space) else 1
        return self.action_dist.proba_distribution(latent_pi, self.log_std[which])


class PortfolioSACActor(SACActor):
    """SAC's actor over the scorer: a mean and a spread for every asset."""

    def __init__(self, *args: Any, width: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cash = has_cash(self.observation_space, self.action_space)
        asset_width, market_width = widths(self.observation_space, self.features_extractor)
        self.latent_pi = PortfolioScorer(asset_width, market_width, width, cash, n_outputs=2)  # type: ignore[assignment]
        self.mu = nn.Identity()  # type: ignore[assignment]
        self.log_std = nn.Identity()  # type: ignore[assignment]

    def get_action_dist_params(self, obs: PyTorchObs) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Returns mean and log standard deviation of the action before squashing."""
        scores, _ = self.latent_pi(self.extract_features(obs, self.features_extractor))
        return scores[..., 0], scores[..., 1].clamp(LOG_STD_MIN, LOG_STD_MAX), {}


class PortfolioTD3Actor(TD3Actor):
    """TD3's actor over the scorer."""

    def __init__(self, *args: Any, width: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cash = has_cash(self.observation_space, self.action_space)
        asset_width, market_width = widths(self.observation_space, self.features_extractor)
        self.mu = PortfolioScorer(asset_width, market_width, width, cash)  # type: ignore[assignment]

    def forward(self, obs: Tensor) -> Tensor:
        """Returns the action in ``[-1, 1]``."""
        scores, _ = self.mu(self.extract_features(obs, self.features_extractor))
        return torch.tanh(scores[..., 0])


class PortfolioCritic(ContinuousCritic):
    """Values of actions for SAC and TD3: permuting assets and actions together changes nothing."""

    def __init__(self, *args: Any, width: int, n_critics: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, n_critics=0, **kwargs)
        self.n_critics = n_critics
        asset_width, market_width = widths(self.observation_space, self.features_extractor)
        networks = [PortfolioValue(asset_width, market_width, width) for _ in range(n_critics)]
        self.q_networks = nn.ModuleList(networks)  # type: ignore[assignment]

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Returns one value ``[B, 1]`` of each critic."""
        seen = self.extract_features(obs, self.features_extractor)
        return tuple(network(seen, actions) for network in self.q_networks)

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Returns the value of the first critic alone."""
        value: Tensor = self.q_networks[0](self.extract_features(obs, self.features_extractor), actions)
        return value


class PortfolioSACPolicy(SACPolicy):
    """SAC for portfolios; see `PortfolioPolicy`."""

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self.width = width
        kwargs.setdefault("features_extractor_class", StateLookup)
        super().__init__(*args, **kwargs)

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> SACActor:
        """Returns the actor."""
        given = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return PortfolioSACActor(**given, width=self.width).to(self.device)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Returns the critics."""
        given = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return PortfolioCritic(**given, width=self.width).to(self.device)


class PortfolioTD3Policy(TD3Policy):
    """TD3 for portfolios; see `PortfolioPolicy`."""

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self.width = width
        kwargs.setdefault("features_extractor_class", StateLookup)
        super().__init__(*args, **kwargs)

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> TD3Actor:
        """Returns the actor."""
        given = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return PortfolioTD3Actor(**given, width=self.width).to(self.device)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Returns the critics."""
        given = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return PortfolioCritic(**given, width=self.width).to(self.device)
