"""Target weights of raw actions as torch functions, equal to what the actions of `envs` write, with gradients."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from envs import LongOnly, LongShort, Position, SectorLimit, Step, Tilt
from envs.actions.limits import sector_numbers
from envs.actions.portfolio import Action
from market.arrays import BoolArray

Weights = Float[Tensor, "B 1+N"]


def target_weights(action: Action, raw: Float[Tensor, "B A"], held: Weights, available: Bool[Tensor, "B N"]) -> Weights:
    """Returns the weights that raw actions ask for, cash first.

    Args:
        action: `LongOnly`, `LongShort`, `Position`, `Tilt`, a `SectorLimit`, or a `Step` towards one of these but
            `Tilt`.
        raw: Raw actions.
        held: Weights at the fill, before the trade.
        available: True where an asset may carry weight.

    Raises:
        ValueError: The action is of another kind.
    """
    if isinstance(action, Step):
        fraction = action.largest * raw[:, :1].clamp(0.0, 1.0)
        return held + fraction * (target_weights(action.target, raw[:, 1:], held, available) - held)
    kinds: dict[type[Any], Callable[..., Weights]] = {
        LongOnly: _long_only,
        Tilt: _tilted,
        LongShort: _long_short,
        Position: _position,
        SectorLimit: _sector_limited,
    }
    if type(action) not in kinds:
        raise ValueError(
            f"{type(action).__name__}: it has no gradient; use {', '.join(kind.__name__ for kind in kinds)} or Step"
        )
    return kinds[type(action)](action, raw, held, available)


def has_gradient(action: Action) -> bool:
    """Returns whether `target_weights` knows an action."""
    final = action.target if isinstance(action, Step) else action
    return isinstance(final, LongOnly | LongShort | Position | SectorLimit | Tilt)


def holds(action: Action, raw: Float[Tensor, "B A"]) -> BoolArray:
    """Returns where a relative action trades nothing at all ``[B]``: no gradient is asked for there."""
    if isinstance(action, Step):
        return (raw.detach()[:, 0] <= 0).numpy()
    if isinstance(action, Tilt):
        return (raw.detach() == 0).all(1).numpy()
    return np.zeros(len(raw), np.bool_)


def _long_only(action: LongOnly, raw: Tensor, held: Weights, available: Tensor) -> Weights:
    powers = torch.exp(action.scale * raw.clamp(-action.bound, action.bound))
    if not action.cash:
        powers = torch.cat([torch.zeros_like(powers[:, :1]), torch.where(available, powers, 0.0)], dim=1)
    return _capped(_normalised(powers), action.cap)


def _tilted(action: Tilt, raw: Tensor, held: Weights, available: Tensor) -> Weights:
    if not action.cash:
        raw = torch.cat([torch.zeros_like(raw[:, :1]), raw], dim=1)
    power = torch.exp(action.scale * raw.clamp(-action.bound, action.bound))
    share = held.clamp(min=0.0)
    if action.kappa != 1.0:  # the power's slope at nothing held is infinite, and of no use
        share = torch.where(share > 0, share.clamp(min=1e-300) ** action.kappa, 0.0)
    share = share * power + action.opening * (power - 1.0).clamp(min=0.0)
    share = torch.cat([share[:, :1], torch.where(available, share[:, 1:], 0.0)], dim=1)
    return _capped(_normalised(share), action.cap)


def _long_short(action: LongShort, raw: Tensor, held: Weights, available: Tensor) -> Weights:
    weights = action.gross * raw.clamp(-1.0, 1.0)
    if action.cap is not None:
        weights = weights.clamp(-action.cap, action.cap)
    size = weights.abs().sum(1, keepdim=True)
    shrink = torch.where(size > action.gross, action.gross / torch.where(size > 0, size, 1.0), 1.0)
    return _within_net(weights * shrink, action.net_limit)


def _within_net(weights: Float[Tensor, "B N"], net: float) -> Weights:
    """Returns signed weights whose heavier side is shrunk until their sum is within `net`, and the cash beside them."""
    longs, shorts = weights.clamp(min=0).sum(1, keepdim=True), (-weights).clamp(min=0).sum(1, keepdim=True)
    keep_long = torch.where(longs - shorts > net, (shorts + net) / torch.where(longs > 0, longs, 1.0), 1.0)
    keep_short = torch.where(shorts - longs > net, (longs + net) / torch.where(shorts > 0, shorts, 1.0), 1.0)
    weights = weights * torch.where(weights > 0, keep_long, keep_short)
    return torch.cat([1.0 - weights.sum(1, keepdim=True), weights], dim=1)


def _position(action: Position, raw: Tensor, held: Weights, available: Tensor) -> Weights:
    share = (raw.clamp(-1.0, 1.0) + 1.0) / 2.0
    weight = action.low + share * (action.high - action.low)
    return torch.cat([1.0 - weight, weight], dim=1)


def _normalised(shares: Tensor) -> Weights:
    """Returns shares over their sum; all cash where there is none."""
    total = shares.sum(1, keepdim=True)
    weights = shares / torch.where(total > 0, total, 1.0)
    cash = weights[:, :1] + torch.where(total > 0, 0.0, 1.0)
    return torch.cat([cash, weights[:, 1:]], dim=1)


def _capped(weights: Weights, cap: float | None) -> Weights:
    """Returns weights cut at `cap`, the excess shared in proportion by the others, cash included; see `cap_weights`."""
    if cap is None:
        return weights
    capped = torch.zeros_like(weights[:, 1:], dtype=torch.bool)
    for _ in range(weights.shape[1]):
        cash, assets = weights[:, :1], weights[:, 1:]
        above = ~capped & (assets > cap)
        if not above.any():
            break
        excess = torch.where(above, assets - cap, 0.0).sum(1, keepdim=True)
        capped = capped | above
        free = cash + torch.where(capped, 0.0, assets).sum(1, keepdim=True)
        nobody = free <= 0
        factor = torch.where(nobody, 1.0, (free + excess) / torch.where(nobody, 1.0, free))
        cut = torch.where(above, torch.full_like(assets, cap), torch.where(capped, assets, assets * factor))
        weights = torch.cat([torch.where(nobody, cash + excess, cash * factor), cut], dim=1)
    return weights


def _sector_limited(action: SectorLimit, raw: Tensor, held: Weights, available: Tensor) -> Weights:
    weights = target_weights(action.base, raw, held, available)
    of, count = sector_numbers(action.sectors)
    member = torch.nn.functional.one_hot(torch.from_numpy(of), count).to(weights)  # [N, G]
    cap = math.inf if action.asset_cap is None else action.asset_cap
    if isinstance(action.base, LongShort):
        cut = weights[:, 1:].clamp(-cap, cap)
        return _within_net(cut * (_shrink(cut.abs() @ member, action.sector_cap) @ member.T), action.base.net_limit)
    return _long_limited(weights, member, cap, action.sector_cap)


def _shrink(total: Float[Tensor, "B G"], limit: float) -> Float[Tensor, "B G"]:
    """Returns the factors that bring totals down to a limit."""
    return torch.where(total > limit, limit / torch.where(total > limit, total, 1.0), 1.0)


def _long_limited(weights: Weights, member: Float[Tensor, "N G"], cap: float, sector_cap: float) -> Weights:
    """Returns long-only weights within both limits; see `limit_long` of the environments."""
    closed = torch.zeros_like(weights[:, 1:], dtype=torch.bool)
    shut = torch.zeros(len(weights), member.shape[1], dtype=torch.bool)
    for _ in range(sum(member.shape)):
        cash, assets = weights[:, :1], weights[:, 1:]
        above = ~closed & (assets > cap)
        cut = torch.where(above, torch.full_like(assets, cap), assets)
        total = cut @ member
        over = ~shut & (total > sector_cap)
        if not (above.any() or over.any()):
            break
        cut = cut * (torch.where(over, _shrink(total, sector_cap), 1.0) @ member.T)
        shut = shut | over
        closed = closed | above | (over.to(member) @ member.T > 0)
        excess = (assets - cut).sum(1, keepdim=True)
        free = cash + torch.where(closed, 0.0, cut).sum(1, keepdim=True)
        nobody = free <= 0
        factor = torch.where(nobody, 1.0, (free + excess) / torch.where(nobody, 1.0, free))
        shared = torch.where(nobody, cash + excess, cash * factor)
        weights = torch.cat([shared, torch.where(closed, cut, cut * factor)], dim=1)
    return weights
