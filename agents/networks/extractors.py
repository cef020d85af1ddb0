"""Feature extractors: a policy's input from full or compact observations, the latter looked up in the state table.

Market states do not depend on what an agent does. Training observations therefore carry the day and the account alone,
and the table of states lies once on the policy's device; a rollout or replay buffer costs tens of bytes a step. Public
environments show the whole states. Both give the same actions from the same weights (tested).

What is seen is standardised with the mean and the deviation of each channel over the train days. A channel of the
market ends where it ended on those days, so that nothing is extrapolated, and one that only grew on them is a clock:
every later day lies beyond it, so it is not seen at all. Nor are states of a walk whose later fits could not be
carried into the coordinates of the first. These numbers are buffers of the policy and saved with it.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from envs import Tape
from envs.forecast_channels import CHANNELS


class PolicyInput(NamedTuple):
    """The market of U distinct days and the accounts of B steps on them.

    Attributes:
        assets: Asset states of the distinct days.
        market: Market states of the distinct days.
        mask: 1 where an asset is listed, else 0.
        account: Weights at the close, cash first.
        day: Which of the U days each step is on; None where U is B and they stand in order.
    """

    assets: Float[Tensor, "U N D"]
    market: Float[Tensor, "U M"]
    mask: Float[Tensor, "U N"]
    account: Float[Tensor, "B 1+N"]
    day: Int[Tensor, " B"] | None

    def spread(self, per_day: Tensor) -> Tensor:
        """Returns values of the distinct days ``[U, ...]`` for each step ``[B, ...]``."""
        return per_day if self.day is None else per_day.index_select(0, self.day)  # its gradient is the faster one


LARGEST = 10.0
"""Of a standardised channel: what lies further out is a rare day, not a reason to bet ten times as much."""

CONSTANT = 1e-6  # a deviation this small beside the level is rounding, not information
MOMENTS = ("asset_mean", "asset_scale", "market_mean", "market_scale", "market_low", "market_high")
BOUNDLESS = torch.finfo(torch.float32).max
UNSCALED = {
    **{name: 1.0 if name.endswith("scale") else 0.0 for name in MOMENTS},
    **{"market_low": -BOUNDLESS, "market_high": BOUNDLESS, "limit": math.inf},
}
"""The buffers of a policy that sees its channels as they are, as all did before version 0.2.0."""
ADDED = ((*MOMENTS[:4], "limit"), MOMENTS[4:])
"""Buffers that came together."""


class StateTable:
    """Channels of a tape as tensors, one row a day; look-back days stand side by side as in full observations."""

    def __init__(self, tape: Tape) -> None:
        everything = slice(None)
        self.assets = torch.from_numpy(tape.seen_assets(everything))  # [T, N, D]
        self.market = torch.from_numpy(tape.seen_market(everything))  # [T, M]
        self.mask = torch.from_numpy(tape.mask.astype(np.float32))  # [T, N]
        self.is_state = torch.tensor([not name.startswith(CHANNELS[0]) for name in tape.channels] * tape.lookback)
        unaligned = tape.provenance.get("unaligned", ())
        own = [name.startswith("state_") and "asset" in unaligned for name in tape.channels]
        shared = [name.startswith("market_state_") and "market" in unaligned for name in tape.market_channels]
        self.unaligned = tuple(torch.tensor(one * tape.lookback, dtype=torch.bool) for one in (own, shared))
        self._flat: Tensor | None = None

    def moments(self) -> tuple[Tensor, ...]:
        """Returns mean and scale ``[D]`` of the asset channels; mean, scale, least and largest ``[M]`` of the market's.

        The scale is one over the standard deviation; a channel that never changes has scale 0, since nothing can have
        been learnt of it, and so has a channel of the market that never falls, as the age of a single fit, and a state
        that means something else from one fit of a walk to another.
        """
        own, (mean, scale) = _moments(self.assets, self.mask), _moments(self.market, torch.ones(len(self.market)))
        is_clock = (self.market.diff(dim=0) >= 0).all(0)
        scale = torch.where(is_clock | self.unaligned[1], 0.0, scale)
        return own[0], torch.where(self.unaligned[0], 0.0, own[1]), mean, scale, *torch.aminmax(self.market, dim=0)

    def to(self, device: torch.device) -> None:
        """Moves the table to `device`."""
        if self.assets.device != device:
            self.assets, self.market, self.mask = (one.to(device) for one in (self.assets, self.market, self.mask))

    def at(self, rows: Int[Tensor, " U"]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns asset states, market states and mask of some days."""
        assets, market, mask = (one.index_select(0, rows) for one in (self.assets, self.market, self.mask))
        return assets, market, mask

    def flat(self, device: torch.device) -> Float[Tensor, "T features"]:
        """Returns asset states and market state of each day in one row, made when first asked for."""
        if self._flat is None or self._flat.device != device:
            self._flat = torch.cat([self.assets.flatten(1), self.market], dim=1).to(device)
        return self._flat

    def __deepcopy__(self, memo: dict[int, Any]) -> "StateTable":
        return self  # as immutable as its tape


class StateLookup(BaseFeaturesExtractor):
    """Turns full or compact observations of the portfolio environment into what a policy sees.

    Its table is no part of a saved policy, so that a policy can be used with another tape; the moments that it
    standardises with are.

    Args:
        observation_space: Space of the environment.
        table: States of the days that compact observations name; not needed for full ones. A fresh policy takes its
            moments from it.
    """

    def __init__(self, observation_space: spaces.Dict, table: StateTable | None = None) -> None:
        super().__init__(observation_space, features_dim=1)
        names = set(observation_space.spaces) if isinstance(observation_space, spaces.Dict) else {"one flat row"}
        if names == {"day", "account"} and table is None:
            raise ValueError("compact observations name a day; give the policy the states of the days they name")
        if not (names == {"day", "account"} or {"market", "account"} < names):
            raise ValueError(f"observations hold {sorted(names)}; make the environment with 'full' or 'compact' ones")
        self.table = table
        for name, moment in zip(MOMENTS, _first_moments(observation_space, table), strict=True):
            self.register_buffer(name, moment)
        self.limit: Tensor
        self.market_low: Tensor
        self.market_high: Tensor
        self.register_buffer("limit", torch.tensor(LARGEST))

    def standardised(self, channels: Tensor, kind: str, copies: int = 1) -> Tensor:
        """Returns channels in standard units of the train days; `kind` is ``asset`` or ``market``."""
        mean, scale = (getattr(self, f"{kind}_{name}").repeat(copies) for name in ("mean", "scale"))
        if kind == "market":
            channels = channels.clamp(self.market_low, self.market_high)
        centred: Tensor = channels - mean
        limit = float(self.limit)
        return centred.mul_(scale).clamp_(-limit, limit)  # in place: it is large

    def forward(self, observations: Mapping[str, Tensor]) -> PolicyInput:
        """Returns what is seen; each distinct day of a batch of compact observations is looked up once."""
        account = observations["account"].float()
        if "day" in observations:
            assert self.table is not None
            self.table.to(account.device)
            rows, inverse = torch.unique(day_rows(observations["day"]), return_inverse=True)
            assets, market, mask = self.table.at(rows)
            return self._seen(assets, market, mask, account, inverse)
        if "asset" in observations:  # the single-stock environment
            assets = observations["asset"].float()[:, None]
            return self._seen(assets, observations["market"].float(), torch.ones_like(assets[..., 0]), account, None)
        assets, market, mask = (observations[name].float() for name in ("assets", "market", "mask"))
        return self._seen(assets, market, mask, account, None)

    def _seen(self, assets: Tensor, market: Tensor, mask: Tensor, account: Tensor, day: Tensor | None) -> PolicyInput:
        return PolicyInput(self.standardised(assets, "asset"), self.standardised(market, "market"), mask, account, day)


class FlatLookup(StateLookup):
    """The same in one row ``[B, N D + M + 1 + N]``, for plain networks: single stocks, recurrent policies."""

    def __init__(self, observation_space: spaces.Dict, table: StateTable | None = None) -> None:
        super().__init__(observation_space, table)
        one = {name: torch.zeros(1, *space.shape) for name, space in observation_space.spaces.items() if space.shape}
        self._features_dim = self.forward(one).shape[1]

    def forward(self, observations: Mapping[str, Tensor]) -> Float[Tensor, "B features"]:  # type: ignore[override]
        """Returns asset states, market state and account side by side."""
        if "day" in observations and self.table is not None:
            account = observations["account"].float()
            rows = self.table.flat(account.device).index_select(0, day_rows(observations["day"]))
            names, width = self.table.assets.shape[1], self.table.assets.shape[1] * self.table.assets.shape[2]
            assets = self.standardised(rows[:, :width], "asset", names)
            return torch.cat([assets, self.standardised(rows[:, width:], "market"), account], dim=1)
        seen = super().forward(observations)
        return torch.cat([seen.assets.flatten(1), seen.market, seen.account], dim=1)


def with_moments(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of a saved policy, with moments that change nothing where it is older than they are.

    Args:
        saved: Tensors by name.
        own: Those that a policy of today has.
    """
    ends = {name.rpartition(".")[2] for name in saved}
    absent = {end for added in ADDED if not ends & set(added) for end in added}  # one alone is missing, not older
    last = {name: name.rpartition(".")[2] for name in own}
    added = {name: torch.full_like(own[name], UNSCALED[end]) for name, end in last.items() if end in absent}
    return {**saved, **added}


def day_rows(day: Tensor) -> Int[Tensor, " B"]:
    """Returns the rows of the state table that compact observations name.

    Raises:
        ValueError: They are no whole numbers, so that something between environment and policy has scaled them.
    """
    rows = day.flatten()
    if rows.is_floating_point() and bool((rows != rows.round()).any()):
        raise ValueError(
            f"observations name day {float(rows[rows != rows.round()][0]):.4g}, not a row of the states, so something "
            "scales them (VecNormalize); leave the day out with norm_obs_keys=['account'], or set norm_obs=False"
        )
    return rows.long()


def _first_moments(space: spaces.Dict, table: StateTable | None) -> tuple[Tensor, ...]:
    """Returns the moments of the table's days; without one, those that leave everything as it is."""
    if table is not None:
        return table.moments()
    shown = space["assets"] if "assets" in space.spaces else space["asset"]
    widths = {kind: one.shape[-1] for kind, one in (("asset", shown), ("market", space["market"])) if one.shape}
    return tuple(torch.full((widths[name.partition("_")[0]],), UNSCALED[name]) for name in MOMENTS)


def _moments(values: Float[Tensor, "*s C"], mask: Float[Tensor, "*s"]) -> tuple[Tensor, Tensor]:
    """Returns mean and inverse standard deviation of each channel where `mask` is 1, summed day by day."""
    count, width = mask.sum(dtype=torch.float64).clamp(min=1.0), values.shape[-1]
    total, squares = torch.zeros(2, width, dtype=torch.float64)
    for day, known in zip(values, mask, strict=True):
        seen = day.reshape(-1, width)[known.reshape(-1) > 0].double()
        total += seen.sum(0)
    mean = total / count
    for day, known in zip(values, mask, strict=True):
        seen = day.reshape(-1, width)[known.reshape(-1) > 0].double() - mean
        squares += (seen * seen).sum(0)
    deviation = (squares / count).sqrt()
    varies = deviation > CONSTANT * mean.abs().clamp(min=CONSTANT)
    scale = torch.where(varies, 1.0 / torch.where(varies, deviation, 1.0), 0.0)
    return mean.float(), scale.float()
