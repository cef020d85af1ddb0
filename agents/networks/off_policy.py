"""The policies of SAC, TD3 and TQC for portfolios: actors and critics that do not count their assets.

See `agents.networks.on_policy` for what that means.
"""

from typing import Any

import torch
from sb3_contrib.tqc.policies import Actor as TQCActor
from sb3_contrib.tqc.policies import Critic as TQCCritic
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common.policies import BaseModel, BasePolicy, ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, SACPolicy
from stable_baselines3.sac.policies import Actor as SACActor
from stable_baselines3.td3.policies import Actor as TD3Actor
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

from agents.networks.extractors import StateLookup
from agents.networks.on_policy import leading, widths
from agents.networks.scorer import PortfolioScorer, PortfolioValue


def scorer_of(actor: BaseModel, width: int, n_outputs: int = 1) -> PortfolioScorer:
    """Returns the scoring network of an actor, for what it sees and does."""
    first = leading(actor.observation_space, actor.action_space)
    seen = widths(actor.observation_space, actor.features_extractor)
    return PortfolioScorer(*seen, width, first, n_outputs)


def values_of(critic: BaseModel, width: int, n_critics: int, n_outputs: int = 1) -> nn.ModuleList:
    """Returns the value networks of a critic."""
    first = leading(critic.observation_space, critic.action_space)
    seen = widths(critic.observation_space, critic.features_extractor)
    return nn.ModuleList(PortfolioValue(*seen, width, n_outputs, first) for _ in range(n_critics))


class PortfolioSACActor(SACActor):
    """SAC's actor over the scorer: a mean and a spread for every asset."""

    def __init__(self, *args: Any, width: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.latent_pi = scorer_of(self, width, n_outputs=2)  # type: ignore[assignment]
        self.mu, self.log_std = nn.Identity(), nn.Identity()  # type: ignore[assignment]

    def get_action_dist_params(self, obs: PyTorchObs) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Returns mean and log standard deviation of the action before squashing."""
        scores, _ = self.latent_pi(self.extract_features(obs, self.features_extractor))
        return scores[..., 0], scores[..., 1].clamp(LOG_STD_MIN, LOG_STD_MAX), {}


class PortfolioTQCActor(TQCActor):
    """TQC's actor, which is SAC's."""

    def __init__(self, *args: Any, width: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.latent_pi = scorer_of(self, width, n_outputs=2)  # type: ignore[assignment]
        self.mu, self.log_std = nn.Identity(), nn.Identity()  # type: ignore[assignment]

    get_action_dist_params = PortfolioSACActor.get_action_dist_params


class PortfolioTD3Actor(TD3Actor):
    """TD3's actor over the scorer."""

    def __init__(self, *args: Any, width: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mu = scorer_of(self, width)  # type: ignore[assignment]

    def forward(self, obs: Tensor) -> Tensor:
        """Returns the action in ``[-1, 1]``."""
        scores, _ = self.mu(self.extract_features(obs, self.features_extractor))
        return torch.tanh(scores[..., 0])


class PortfolioCritic(ContinuousCritic):
    """Values of actions for SAC and TD3: permuting assets and actions together changes nothing."""

    def __init__(self, *args: Any, width: int, n_critics: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "n_critics": 0})
        self.n_critics = n_critics
        self.q_networks = values_of(self, width, n_critics)  # type: ignore[assignment]

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Returns one value ``[B, 1]`` of each critic."""
        seen = self.extract_features(obs, self.features_extractor)
        return tuple(network(seen, actions) for network in self.q_networks)

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Returns the value of the first critic alone."""
        value: Tensor = self.q_networks[0](self.extract_features(obs, self.features_extractor), actions)
        return value


class PortfolioQuantiles(TQCCritic):
    """Quantiles of the value of actions for TQC; see `PortfolioCritic`."""

    def __init__(self, *args: Any, width: int, n_critics: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "n_critics": 0})
        self.n_critics, self.quantiles_total = n_critics, n_critics * self.n_quantiles
        self.q_networks = values_of(self, width, n_critics, self.n_quantiles)  # type: ignore[assignment]

    def forward(self, obs: PyTorchObs, action: Tensor) -> Tensor:
        """Returns the quantiles of each critic ``[B, critics, quantiles]``."""
        seen = self.extract_features(obs, self.features_extractor)
        return torch.stack([network(seen, action) for network in self.q_networks], dim=1)


class PortfolioSACPolicy(SACPolicy):
    """SAC for portfolios.

    Args:
        width: Hidden width of the networks.
        kwargs: Those of the class above; ``net_arch`` is not used.
    """

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self.width = width
        super().__init__(*args, **_looking_up(kwargs))

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> SACActor:
        """Returns the actor."""
        built: PortfolioSACActor = _made(self, PortfolioSACActor, self.actor_kwargs, features_extractor)
        return built

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Returns the critics."""
        built: PortfolioCritic = _made(self, PortfolioCritic, self.critic_kwargs, features_extractor)
        return built


class PortfolioTD3Policy(TD3Policy):
    """TD3 for portfolios; see `PortfolioSACPolicy`."""

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self.width = width
        super().__init__(*args, **_looking_up(kwargs))

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> TD3Actor:
        """Returns the actor."""
        built: PortfolioTD3Actor = _made(self, PortfolioTD3Actor, self.actor_kwargs, features_extractor)
        return built

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Returns the critics."""
        built: PortfolioCritic = _made(self, PortfolioCritic, self.critic_kwargs, features_extractor)
        return built


class PortfolioTQCPolicy(TQCPolicy):
    """TQC for portfolios; see `PortfolioSACPolicy`."""

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any) -> None:
        self.width = width
        super().__init__(*args, **_looking_up(kwargs))

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> PortfolioTQCActor:
        """Returns the actor."""
        built: PortfolioTQCActor = _made(self, PortfolioTQCActor, self.actor_kwargs, features_extractor)
        return built

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> PortfolioQuantiles:
        """Returns the critics."""
        built: PortfolioQuantiles = _made(self, PortfolioQuantiles, self.critic_kwargs, features_extractor)
        return built


def _looking_up(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"features_extractor_class": StateLookup, **kwargs}


def _made(policy: Any, kind: Any, kwargs: dict[str, Any], features_extractor: BaseFeaturesExtractor | None) -> Any:
    """Returns an actor or a critic on the policy's device, built as stable-baselines3 builds its own."""
    assert isinstance(policy, BasePolicy)
    given = policy._update_features_extractor(kwargs, features_extractor)
    return kind(**given, width=policy.width).to(policy.device)
