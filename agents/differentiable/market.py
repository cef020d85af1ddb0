"""The money of `envs.BatchMarket` as torch functions: one day of B accounts, with gradients.

The market is exogenous and booking is smooth almost everywhere, so the gradient of wealth by what was asked for exists
and need not be sampled. Which positions are traded and how far the targets are scaled is solved by the compiled loops
of `envs.accounting`; given that, the wealth after the trade solves one equation, and its gradient follows from the
implicit function theorem, not from the iterations of the solver.

References: Buehler et al. (2019), Deep Hedging, https://arxiv.org/abs/1802.03042; Xu et al. (2022), Accelerated Policy
Learning with Parallel Differentiable Simulation, https://arxiv.org/abs/2204.07137, for gradients through a simulator.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from envs.account_types import RUIN_WEALTH
from envs.accounting import solve_trades
from envs.batch import BatchMarket
from envs.execution import AVAILABLE, LEAVES_AFTER, LEAVES_BEFORE
from market.arrays import BoolArray, IntArray


class HeldWeights(NamedTuple):
    """Accounts at the fill, before the trade.

    Attributes:
        weights: ``[B, 1 + N]``, cash first.
        growth: ``[B]`` of wealth since the close.
    """

    weights: Float[Tensor, "B 1+N"]
    growth: Float[Tensor, " B"]


class TradedDay(NamedTuple):
    """Result of a day.

    Attributes:
        account: ``[B, 1 + N]`` weights at the next close, cash first.
        growth: ``[B]`` of wealth, new over old.
        weights: ``[B, 1 + N]`` right after the trade.
        turnover: ``[B]``, one-way, cash included.
        cost: ``[B]`` of the trade, as a share of wealth at the close before.
        ruined: ``[B]``; no gradient passes through the day that ruins.
    """

    account: Float[Tensor, "B 1+N"]
    growth: Float[Tensor, " B"]
    weights: Float[Tensor, "B 1+N"]
    turnover: Float[Tensor, " B"]
    cost: Float[Tensor, " B"]
    ruined: Bool[Tensor, " B"]


class Solution(NamedTuple):
    """Result of `solve_trades`: the scale of the targets, how cash is set, and which assets take part."""

    scale: Float[Tensor, " B"]
    rest: Bool[Tensor, " B"]
    whole: Bool[Tensor, " B"]
    kept: Bool[Tensor, "B N"]
    weighed: Bool[Tensor, "B N"]


class DifferentiableMarket:
    """Books days of a market's tape at a market's costs, in double precision and with gradients.

    A step is two calls: `drift` to the fill, whose weights a relative action starts from, and `trade` to the next
    close. Values equal those of `BatchMarket` to 1e-9 (tested on everything that happens to a market).

    Args:
        market: Whose tape, costs and fill to use; it is not stepped.
    """

    def __init__(self, market: BatchMarket) -> None:
        self.market = market
        self.legs, self.terms = market.legs, market.terms
        tape = market.tape
        self.before, self.after = torch.tensor(tape.before), torch.tensor(tape.after)
        self.status = np.asarray(tape.status)
        self.free = np.asarray(tape.free)
        scale = market.legs.impact_scale
        self.impact_scale = torch.tensor(scale) if market.terms.impact > 0 else None

    def drift(self, rows: IntArray, account: Float[Tensor, "B 1+N"]) -> HeldWeights:
        """Returns the accounts at the fill of the decisions of `rows` ``[B]``."""
        terms, day = self.terms, torch.from_numpy(rows)
        cash, assets = account[:, 0] * (1 + terms.cash_before), account[:, 1:]
        if terms.borrow_before > 0:
            cash = cash - terms.borrow_before * (-assets).clamp(min=0).sum(1)
        values = assets * (1 + self.before[day])
        total = cash + values.sum(1)
        if not self.free[rows].all():
            cash, values = self._pay_out(rows, LEAVES_BEFORE, cash, values)
        alive = total.detach() > RUIN_WEALTH
        safe = torch.where(alive, total, 1.0)
        weights = torch.cat([cash[:, None], values], dim=1) / safe[:, None]
        return HeldWeights(torch.where(alive[:, None], weights, _all_cash(weights)), torch.where(alive, total, 0.0))

    def trade(
        self,
        rows: IntArray,
        held: HeldWeights,
        targets: Float[Tensor, "B 1+N"],
        wealth: Float[Tensor, " B"] | None = None,
        hold: BoolArray | None = None,
    ) -> TradedDay:
        """Trades at the fill and returns what the accounts are at the next close.

        Args:
            rows: ``[B]`` of the tape.
            held: What `drift` returned.
            targets: Weights asked for, rows summing to 1 beside NaN, cash first.
            wealth: At the close before, in units of the first day's; only impact depends on it. None is 1.
            hold: Where assets are left alone: those whose target is NaN, or all where none is. None is nowhere.
        """
        wealth = torch.ones_like(held.growth) if wealth is None else wealth
        impact = self._impact(rows, wealth * held.growth)
        found = self._solve(rows, held, targets, wealth, hold)
        cash_target, wanted = self._wanted(rows, targets, found)
        own, kept = torch.where(found.kept, 0.0, held.weights[:, 1:]), torch.where(found.kept, held.weights[:, 1:], 0.0)
        scale = self._scale(found, cash_target, wanted, own, kept, impact)
        bought = scale[:, None] * wanted - own
        cost = self._cost(bought, impact).sum(1)
        after = scale[:, None] * wanted + kept
        shared = scale * cash_target
        untouched = ~found.weighed.any(1) & found.kept.all(1)
        left = torch.where(found.rest, 1 - cost, shared + after.sum(1))
        left = torch.where(untouched, 1.0, left)
        cash = torch.where(found.rest, 1 - cost - after.sum(1), shared)
        cash = torch.where(untouched, held.weights[:, 0], cash)
        return self._close(rows, held, cash, after, left, kept + own)

    def _close(
        self, rows: IntArray, held: HeldWeights, cash: Tensor, after: Tensor, left: Tensor, before: Tensor
    ) -> TradedDay:
        terms, day = self.terms, torch.from_numpy(rows)
        solvent = left.detach() > RUIN_WEALTH
        safe = torch.where(solvent, left, 1.0)
        weights = torch.cat([cash[:, None], after], dim=1) / safe[:, None]
        moved = (weights[:, 1:] - before).abs().sum(1) + (weights[:, 0] - held.weights[:, 0]).abs()
        closing_cash = cash * (1 + terms.cash_after)
        if terms.borrow_after > 0:
            closing_cash = closing_cash - terms.borrow_after * (-after).clamp(min=0).sum(1)
        values = after * (1 + self.after[day])
        closing = closing_cash + values.sum(1)
        gross = values.detach().abs().sum(1)
        if not self.free[rows].all():
            closing_cash, values = self._pay_out(rows, LEAVES_AFTER, closing_cash, values)
        alive = solvent & (closing.detach() > RUIN_WEALTH) & (held.growth.detach() > RUIN_WEALTH)
        growth = held.growth * torch.where(alive, closing, 1.0)
        alive = alive & (growth.detach() > RUIN_WEALTH)
        broke = ~alive | (closing.detach() <= terms.margin * gross)
        account = torch.cat([closing_cash[:, None], values], dim=1) / torch.where(alive, closing, 1.0)[:, None]
        rows_alive, nothing = alive[:, None], torch.zeros_like(growth)
        return TradedDay(
            account=torch.where(rows_alive, account, _all_cash(account)),
            growth=torch.where(alive, growth, RUIN_WEALTH),
            weights=torch.where(rows_alive, weights, _all_cash(weights)),
            turnover=torch.where(alive, 0.5 * moved, nothing),
            cost=torch.where(alive, (1 - left) * held.growth, nothing),
            ruined=broke,
        )

    def _pay_out(self, rows: IntArray, leaves: int, cash: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        gone = torch.from_numpy((self.status[rows] & leaves) != 0)
        return cash + torch.where(gone, values, 0.0).sum(1), torch.where(gone, 0.0, values)

    def _impact(self, rows: IntArray, wealth: Tensor) -> Tensor | None:
        """Returns the coefficients of ``|x| ** 1.5`` ``[B, N]``."""
        if self.impact_scale is None:
            return None
        return self.terms.impact * self.impact_scale[torch.from_numpy(rows)] * wealth.clamp(min=0).sqrt()[:, None]

    def _solve(
        self, rows: IntArray, held: HeldWeights, targets: Tensor, wealth: Tensor, hold: BoolArray | None
    ) -> Solution:
        n_envs, width = targets.shape
        scale, flags = np.empty(n_envs), np.zeros((2, n_envs), np.bool_)
        kept, weighed = np.zeros((2, n_envs, width - 1), np.bool_)
        hold = np.zeros(n_envs, np.bool_) if hold is None else hold
        weights, asked, money = (one.detach().numpy() for one in (held.weights, targets, wealth * held.growth))
        solve_trades(rows, weights, money, asked, hold, self.legs, self.terms, scale, flags[0], flags[1], kept, weighed)
        rest, whole = torch.from_numpy(flags)
        return Solution(torch.from_numpy(scale), rest, whole, torch.from_numpy(kept), torch.from_numpy(weighed))

    def _wanted(self, rows: IntArray, targets: Tensor, found: Solution) -> tuple[Tensor, Tensor]:
        """Returns the target of cash, with what is asked of assets that are not available, and those that count."""
        cash, wanted = targets[:, 0], torch.where(found.weighed, targets[:, 1:], 0.0)
        if not self.free[rows].all():
            absent = torch.from_numpy((self.status[rows] & AVAILABLE) == 0) & ~targets.isnan()[:, 1:]
            cash = cash + torch.where(absent, targets[:, 1:], 0.0).sum(1)
        return torch.where(found.whole, 1.0, cash), wanted

    def _scale(
        self, found: Solution, cash: Tensor, wanted: Tensor, own: Tensor, kept: Tensor, impact: Tensor | None
    ) -> Tensor:
        """Returns the scale with its gradient: one step of Newton's from the solution, whose slope is a constant.

        The scale ``s`` solves ``F(s, x) = 0``; ``s - F(s, x) / F'(s)`` at the solution has the value ``s`` and the
        gradient ``-(dF / dx) / F'(s)``, which is that of the implicit function.
        """
        found_scale = found.scale
        trades = found_scale[:, None] * wanted - own
        cost = self._cost(trades, impact).sum(1)
        paid = torch.where(
            found.rest,
            found_scale + cost - 1.0,
            found_scale * (cash + wanted.sum(1)) + cost + kept.sum(1) - 1.0,
        )
        with torch.no_grad():
            rate = self._marginal(trades, impact)
            slope = torch.where(found.rest, 1.0, cash + wanted.sum(1)) + (wanted * rate).sum(1)
            solved = found.weighed.any(1) | (cash.abs() > 0)
            fixed = ~solved | (found_scale == 0) | (slope <= 0) | ~slope.isfinite() | found.kept.all(1)
        step = torch.where(fixed, 0.0, paid / torch.where(fixed, 1.0, slope))
        return found_scale - (step - step.detach())

    def _cost(self, trades: Tensor, impact: Tensor | None) -> Tensor:
        """Returns what each trade costs ``[B, N]``."""
        cost = trades.clamp(min=0) * self.terms.buy - trades.clamp(max=0) * self.terms.sell
        return cost if impact is None else cost + impact * trades.abs().pow(1.5)

    def _marginal(self, trades: Tensor, impact: Tensor | None) -> Tensor:
        """Returns the derivative of the cost of each trade by its size and sign."""
        rate = torch.where(trades > 0, self.terms.buy, -self.terms.sell)
        return rate if impact is None else rate + 1.5 * impact * trades.abs().sqrt() * trades.sign()


def _all_cash(weights: Tensor) -> Tensor:
    cash = torch.zeros_like(weights)
    cash[:, 0] = 1.0
    return cash
