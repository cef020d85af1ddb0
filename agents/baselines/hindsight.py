"""Hindsight: the best that anyone could have done. It cheats, and says so; nothing else may read the future."""

from typing import Any

import numpy as np

from agents.baselines.base import HELD, compact, leave_all
from envs import Costs, Tape, TargetWeights
from envs.execution import AVAILABLE, BUY, LEAVES_AFTER, LEAVES_BEFORE, SELL
from market.arrays import AnyArray, FloatArray


class Hindsight:
    """The most wealth that any long-only policy could have ended with: an upper bound, not a policy.

    With proportional costs each unit of money grows by itself, so the best policy is always in one asset or in cash,
    and backward induction over the days finds it: no sequence of long-only actions ends with more (tested).

    Args:
        tape: The future.
        costs: Of the environment; impact is refused, because with it money does not grow unit by unit.
    """

    name = "hindsight (cheats: sees the future)"

    def __init__(self, tape: Tape, costs: Costs) -> None:
        if costs.impact > 0:
            raise ValueError(f"hindsight: costs have impact {costs.impact}; it bounds accounts without impact only")
        self.action = TargetWeights()
        self._n_assets = tape.n_assets
        self._keep, self._buy = _plan(tape, costs)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the action for a compact observation, or one row for each of a batch.

        Raises:
            ValueError: The observation is not compact, or is of another number of assets.
        """
        day, account = compact(observation, self._n_assets)
        if account.ndim == 1:
            return self._act(int(day[0]), account), state
        return np.stack([self._act(int(one[0]), row) for one, row in zip(day, account, strict=True)]), state

    def _act(self, day: int, account: FloatArray) -> FloatArray:
        action = leave_all(self._n_assets)
        action[0] = 0.0
        action[1:][(account[1:] > HELD) & ~self._keep[day]] = 0.0
        if self._buy[day] < 0:
            action[0] = 1.0
            return action
        action[1 + self._buy[day]] = 1.0
        return action


def _plan(tape: Tape, costs: Costs) -> tuple[AnyArray, AnyArray]:
    """Returns which assets to keep ``[T, N]`` and which to put cash into ``[T]``, -1 for none, on each day."""
    days, names = len(tape) - 1, tape.n_assets
    keep, buy = np.zeros((days, names), np.bool_), np.full(days, -1)
    before_rate, after_rate = (costs.cash_rate, 0.0) if tape.fill == "next_close" else (0.0, costs.cash_rate)
    cash, asset = 0.0, np.zeros(names)  # log of what a unit grows to from here on
    with np.errstate(divide="ignore"):
        before, after = np.log1p(tape.before), np.log1p(tape.after)
        into, out = -np.log1p(costs.buy_rate), np.log1p(-costs.sell_rate)
    for t in range(days - 1, -1, -1):
        status = tape.status[t]
        stay = after[t] + np.where(status & LEAVES_AFTER, cash, asset)
        entered = np.where((status & BUY > 0) & (status & AVAILABLE > 0), into + stay, -np.inf)
        idle = np.log1p(after_rate) + cash
        best = int(entered.argmax())
        buy[t] = best if entered[best] > idle else -1
        free = max(idle, float(entered[best]))
        must_leave = (status & AVAILABLE == 0) & (status & SELL > 0)
        sale = np.where(status & SELL, out + free, -np.inf)
        keep[t] = ~must_leave & (stay >= sale)
        held = np.where(must_leave, sale, np.maximum(stay, sale))
        asset = before[t] + np.where(status & LEAVES_BEFORE, free, held)
        cash = np.log1p(before_rate) + free
    return keep, buy
