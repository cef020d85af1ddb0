"""The policy of `APG`: scores that depend on the day alone, plus a few numbers that say what the account adds.

A score network looks at a day once, for all accounts that stand on it. What is held enters through single learnt
numbers: how much an asset that is held is preferred (which makes a no-trade region), and how a fraction or a score of
cash depends on the cash there is. So few numbers cannot learn the noise of the path an account took.
"""

from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from agents.networks.extractors import PolicyInput, StateLookup, StateTable
from agents.networks.on_policy import leading, widths
from envs.actions.relative import FractionBox

FIRST_FRACTION = -3.0
"""Logit of a fresh policy's fraction: one twentieth of the way a day."""

FRACTION_OF_CASH = 8.0
"""Addition to that logit for an account all in cash, so that a fresh account is invested at once."""


class DayScores(NamedTuple):
    """Outputs of a policy for U days before it looks at an account.

    Attributes:
        assets: Scores of the assets.
        lead: What leads an action, before the account adds to it.
        values: What a unit of weight in each asset is worth beyond the present trades.
    """

    assets: Float[Tensor, "U N"]
    lead: Float[Tensor, "U A"]
    values: Float[Tensor, "U N"]


class ScoreNetwork(nn.Module):
    """Scores each asset from its own channels and the market's: a linear term and one hidden layer.

    Args:
        asset_width: D.
        market_width: M.
        width: Hidden width.
        first: Numbers of an action in front of the assets'.
        dropout: Share of the channels of states that training hides.
        is_state: ``[D]``, true where a channel is a state; None hides nothing.
    """

    def __init__(
        self, asset_width: int, market_width: int, width: int, first: int, dropout: float, is_state: Tensor | None
    ) -> None:
        super().__init__()
        self.asset = nn.Linear(asset_width, width)
        self.market = nn.Linear(market_width, width, bias=False)
        self.score = nn.Linear(width, 2, bias=False)
        self.linear = nn.Linear(asset_width, 1, bias=False)
        self.whole = nn.Linear(width, max(first, 1), bias=False)
        self.dropout, self.is_state, self.first = dropout, is_state, first
        for small in (self.score, self.whole):
            nn.init.normal_(small.weight, std=1e-2)
        nn.init.zeros_(self.linear.weight)

    def forward(self, seen: PolicyInput) -> DayScores:
        """Returns the scores; an asset that is not listed scores 0 and has no say in what leads."""
        assets, listed = seen.assets, seen.mask[..., None]
        if self.training and self.dropout > 0 and self.is_state is not None:
            kept = torch.rand(assets.shape[0], 1, assets.shape[2]) >= self.dropout
            scaled = torch.where(self.is_state, kept / (1 - self.dropout), 1.0)  # together they weigh what all do
            assets = assets.mul_(scaled)  # in place: it was made for this call, and is large
        market = self.market(seen.market)
        hidden = torch.relu(self.asset(assets) + market[:, None])
        scores = (self.score(hidden) + nn.functional.pad(self.linear(assets), (0, 1))) * listed
        mean = (hidden * listed).sum(1) / seen.mask.sum(1, keepdim=True).clamp(min=1.0)
        summed = (mean + torch.tanh(market))[
            :, None
        ] * self.whole.weight  # a product that is alike for any number of days
        lead = summed.sum(-1)[:, : self.first]
        return DayScores(scores[..., 0], lead, scores[..., 1])


class GradientPolicy(BasePolicy):
    """A deterministic policy for one asset or a portfolio; N may differ from training.

    Permuting the assets permutes the action.

    Args:
        observation_space: Space of the environment, full or compact.
        action_space: Box of the environment.
        lr_schedule: Learning rate over the training.
        width: Hidden width.
        state_dropout: Share of the channels of states that training hides.
        weight_decay: Of AdamW.
        account_rate: Learning rate of the numbers by which what is held enters, in units of the others'.
        kwargs: Those of stable-baselines3's `BasePolicy`.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        width: int = 32,
        state_dropout: float = 0.0,
        weight_decay: float = 0.0,
        account_rate: float = 1.0,
        **kwargs: Any,
    ) -> None:
        kwargs = {"features_extractor_class": StateLookup, **kwargs}
        super().__init__(observation_space, action_space, normalize_images=False, **kwargs)
        self.features_extractor = self.make_features_extractor()
        lookup: Any = self.features_extractor
        table: StateTable | None = lookup.table
        self.first = leading(observation_space, action_space)
        seen = widths(observation_space, self.features_extractor)
        is_state = None if table is None else table.is_state
        self.network = ScoreNetwork(*seen, width, self.first, state_dropout, is_state)
        self.memory = nn.Parameter(torch.zeros(()))  # what a held asset adds to its score
        self.lead = nn.Parameter(torch.zeros(2, self.first))  # what leads: a constant, and by weight of cash
        self.has_fraction = isinstance(action_space, FractionBox)
        if self.has_fraction:
            self.lead.data[:, 0] = torch.tensor([FIRST_FRACTION, FRACTION_OF_CASH])
        self.bound: Tensor
        self.register_buffer("bound", torch.from_numpy(action_space.high.copy()).max(), persistent=False)
        of_account, of_day = [self.memory, self.lead], self.network.parameters()  # in the order of `parameters()`
        groups: list[dict[str, Any]] = [{"params": of_account, "rate": account_rate}, {"params": of_day, "rate": 1.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=lr_schedule(1), weight_decay=weight_decay)

    def act(
        self, scores: Float[Tensor, "B N"], lead: Float[Tensor, "B L"], account: Float[Tensor, "B 1+N"]
    ) -> Float[Tensor, "B A"]:
        """Returns the actions of accounts, given the scores of the day that each stands on."""
        held = nn.functional.softsign(account[:, 1:] * (account.shape[1] - 1))
        assets = self._squashed(scores + self.memory * held)
        if not self.first:
            return assets
        led = lead + self.lead[0] + self.lead[1] * account[:, :1]
        squashed = self._squashed(led)
        if self.has_fraction:
            squashed = torch.cat([torch.sigmoid(led[:, :1]), squashed[:, 1:]], dim=1)
        return torch.cat([squashed, assets], dim=1)

    def forward(self, obs: PyTorchObs, deterministic: bool = True) -> Tensor:
        """Returns the actions for observations."""
        lookup: Any = self.features_extractor
        seen: PolicyInput = self.extract_features(obs, lookup)  # type: ignore[assignment]
        scores = self.network(seen)
        return self.act(seen.spread(scores.assets), seen.spread(scores.lead), seen.account)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        return self.forward(observation)

    def _squashed(self, numbers: Tensor) -> Tensor:
        return self.bound * torch.tanh(numbers / self.bound)
