"""Accounting: one day of B accounts, booked exactly.

A day has five parts: drift to the fill, constrain, trade, drift to the close, account. After the trade the account
holds *exactly* the target weights of its wealth after costs: with ``h`` the weights before the trade and ``w`` the
targets, the wealth ``mu`` that is left solves ``mu + sum_i cost_i(mu w_i - h_i) = 1``. The left side is convex in
``mu``, so Newton's iteration from the cost-free ``mu`` falls monotonically onto the solution; with proportional costs
it is exact as soon as the sets of bought and sold assets stop changing, which takes two or three passes.

Each episode is booked by itself, in an order that does not depend on how many there are. Sums may be reordered to use
vectors (``reassoc``) only in loops that write nothing: a loop that also writes is compiled twice, and which of the two
runs depends on how far apart its arrays happen to lie in memory, so that the same episode could end one ulp apart. The
compiled functions stand in one file on purpose: numba's cache notices changes of the file that a function stands in and
of no other.
"""

import math

import numba
import numpy as np

from envs.account_types import RUIN_WEALTH, CostTerms, DayResult, MarketArrays
from envs.compiled import compiled
from envs.execution import AVAILABLE, BUY, LEAVES_AFTER, LEAVES_BEFORE, SELL, StatusArray
from market.arrays import BoolArray, FeatureArray, FloatArray, IntArray

_NOTHING = 1e-12  # a weight too small to share anything in proportion to
_PASSES = 100  # never reached: each pass changes a set, or halves the digits that are missing


@compiled(forceinline=True, fastmath={"reassoc"})
def solve_proportional(w: FloatArray, h: FloatArray, room: float, open_weight: float, buy: float, sell: float) -> float:
    """Returns the ``s`` at which the trades ``s w_i - h_i`` and their proportional costs use up `room`.

    Solves ``open_weight s + sum_i cost_i(s w_i - h_i) = room``. Without halted assets `room` and `open_weight` are 1
    and ``s`` is ``mu``. NaN where no ``s`` solves it.
    """
    s = room / open_weight
    for _ in range(_PASSES):
        above, below = room, open_weight
        for i in range(len(w)):
            rate = buy if s * w[i] > h[i] else -sell
            above += rate * h[i]
            below += rate * w[i]
        if below <= 0:
            return np.nan
        lower = above / below
        if lower >= s:
            return s
        s = lower
    return s


@compiled(forceinline=True)
def trade_cost(x: float, buy: float, sell: float, impact: float) -> float:
    """Returns the cost of a trade `x` in units of wealth; `impact` is the coefficient of ``|x| ** 1.5``."""
    size = abs(x)
    return size * ((buy if x > 0 else sell) + impact * math.sqrt(size))


@compiled()
def solve_with_impact(
    w: FloatArray, h: FloatArray, room: float, open_weight: float, buy: float, sell: float, impact: FloatArray
) -> float:
    """Returns the ``s`` of `solve_proportional` when trades also pay ``impact_i |x| ** 1.5``."""
    s = room / open_weight
    for _ in range(_PASSES):
        value, slope = open_weight * s - room, open_weight
        for i in range(len(w)):
            x = s * w[i] - h[i]
            marginal = (buy if x > 0 else sell) + 1.5 * impact[i] * math.sqrt(abs(x))
            value += trade_cost(x, buy, sell, impact[i])
            slope += w[i] * (marginal if x > 0 else -marginal)
        if slope <= 0:
            return np.nan
        lower = s - value / slope
        if lower >= s - 1e-16 * abs(s):
            return s
        s = lower
    return s


@compiled()
def _pay_out(values: FloatArray, status: StatusArray, leaves: int) -> float:
    """Returns the value of the assets that leave, and empties their positions."""
    paid = 0.0
    for i in range(len(values)):
        if status[i] & leaves:
            paid += values[i]
            values[i] = 0.0
    return paid


@compiled()
def _may_stay(values: FloatArray, status: StatusArray) -> bool:
    """Whether no position has to be sold because its asset is no longer listed."""
    forced = False
    for i in range(len(values)):
        forced |= values[i] != 0.0 and not status[i] & AVAILABLE
    return not forced


@compiled()
def _blocked(wanted: float, status: int) -> bool:
    """Whether a trade of this sign is not allowed; an asset that can do neither is blocked even at rest."""
    return not (status & BUY if wanted > 0 else status & SELL if wanted < 0 else status & (BUY | SELL))


@compiled()
def _freeze_wrong_ways(
    s: float, w: FloatArray, h: FloatArray, kept: FloatArray, status: StatusArray
) -> tuple[int, float]:
    """Moves assets whose trade ``s w_i - h_i`` is blocked from `h` to `kept`; returns their number and value."""
    found, value = 0, 0.0
    for i in range(len(w)):
        if w[i] == 0.0 and h[i] == 0.0:
            continue
        if _blocked(s * w[i] - h[i], status[i]):
            found += 1
            value += h[i]
            kept[i] = h[i]
            h[i] = 0.0
            w[i] = 0.0
    return found, value


@compiled(forceinline=True)
def _scale(
    w: FloatArray, h: FloatArray, room: float, open_weight: float, terms: CostTerms, impact: FloatArray
) -> float:
    if terms.impact > 0:
        return solve_with_impact(w, h, room, open_weight, terms.buy, terms.sell, impact)
    return solve_proportional(w, h, room, open_weight, terms.buy, terms.sell)


@compiled(forceinline=True)
def _solve(
    w: FloatArray, h: FloatArray, room: float, open_weight: float, terms: CostTerms, impact: FloatArray
) -> tuple[float, bool]:
    """Returns the scale of the open targets, and whether cash takes the rest instead of its share.

    Where halted assets leave more room than was asked for them, the others fill it only if the action may stretch;
    otherwise they get the weights they asked for and cash takes the rest.
    """
    if room > open_weight * terms.max_stretch or (open_weight <= _NOTHING and terms.max_stretch < np.inf):
        return _scale(w, h, 1.0, 1.0, terms, impact), True
    if open_weight <= _NOTHING:
        return 0.0, True
    s = _scale(w, h, room, open_weight, terms, impact)
    if room != 1.0 and not s >= 0.0:  # what is halted already takes more than there is
        return 0.0, True
    return s, False


@compiled()
def _leave_alone(w: FloatArray, h: FloatArray, kept: FloatArray, status: StatusArray) -> tuple[bool, bool, float]:
    """Moves the assets whose target is NaN, or all where none is, from `h` to `kept`; what is not available is sold.

    Returns whether nothing is traded at all (then `w` is `h`), whether all assets were meant, and the value kept.
    """
    marked = 0
    for i in range(len(w)):
        marked += np.isnan(w[i])
    whole = marked == 0 or marked == len(w)
    if whole and _may_stay(h, status):
        for i in range(len(w)):
            w[i] = h[i]
        return True, True, 0.0
    value = 0.0
    for i in range(len(w)):
        if whole or np.isnan(w[i]):
            w[i] = 0.0
            if status[i] & AVAILABLE:
                value += h[i]
                kept[i] = h[i]
                h[i] = 0.0
    return False, whole, value


@compiled()
def _constrain(
    w: FloatArray, h: FloatArray, kept: FloatArray, cash: float, room: float, status: StatusArray, terms: CostTerms,
    impact: FloatArray,
) -> tuple[float, float, bool]:  # fmt: skip
    """Applies what may be traded; returns the target cash, the scale of the open targets, and whether cash is the rest.

    Weight on assets that are not available becomes cash. Assets that cannot be traded in the direction they need keep
    their value; the others, cash included, share what remains of `room` in the proportions asked for.
    """
    for i in range(len(w)):
        if not status[i] & AVAILABLE:
            cash += w[i]
            w[i] = 0.0
    # What is open is summed up rather than taken from 1, which would lose the digits of a small rest.
    found, value = _freeze_wrong_ways(room, w, h, kept, status)
    room -= value
    s, rest = _solve(w, h, room, cash + w.sum(), terms, impact)
    for _ in range(len(w)):
        found, value = _freeze_wrong_ways(s, w, h, kept, status)
        if found == 0:
            break
        room -= value
        s, rest = _solve(w, h, room, cash + w.sum(), terms, impact)
    return cash, s, rest


@compiled(forceinline=True, fastmath={"reassoc"})
def _sum(values: FloatArray) -> float:
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@compiled(forceinline=True, fastmath={"reassoc"})
def _sum_short(values: FloatArray) -> float:
    """Returns the size of the short positions."""
    total = 0.0
    for i in range(len(values)):
        total -= min(values[i], 0.0)
    return total


@compiled(forceinline=True, fastmath={"reassoc"})
def _gross(values: FloatArray) -> float:
    total = 0.0
    for i in range(len(values)):
        total += abs(values[i])
    return total


@compiled(forceinline=True, fastmath={"reassoc"})
def _sum_changes(w: FloatArray, inverse: float, h: FloatArray) -> float:
    """Returns the sum of the changes of weights, from `h` to `w` times `inverse`."""
    total = 0.0
    for i in range(len(w)):
        total += abs(w[i] * inverse - h[i])
    return total


@compiled(forceinline=True)
def _drift(
    b: int, t: int, account: FloatArray, before: FloatArray, terms: CostTerms, h: FloatArray
) -> tuple[float, float]:
    """Writes the asset values at the fill to `h`, in units of the wealth before; returns the cash and the total."""
    cash = account[b, 0] * (1.0 + terms.cash_before)
    if terms.borrow_before > 0:
        cash -= terms.borrow_before * _sum_short(account[b, 1:])
    for i in range(len(h)):
        h[i] = account[b, 1 + i] * (1.0 + before[t, i])
    return cash, cash + _sum(h)


@compiled(forceinline=True)
def _prepare(
    b: int, t: int, total: float, wealth: float, terms: CostTerms, targets: FloatArray, impact_scale: FloatArray,
    w: FloatArray, h: FloatArray, impact: FloatArray,
) -> None:  # fmt: skip
    """Turns the values at the fill into weights; fetches the targets and what impact will cost."""
    inverse = 1.0 / total
    for i in range(len(w)):
        h[i] *= inverse
        w[i] = targets[b, 1 + i]
    if terms.impact > 0:
        for i in range(len(w)):
            impact[i] = terms.impact * impact_scale[t, i] * math.sqrt(wealth * total)


@compiled(forceinline=True, fastmath={"reassoc"})
def _sum_costs(w: FloatArray, h: FloatArray, terms: CostTerms, impact: FloatArray) -> float:
    cost = 0.0
    for i in range(len(w)):
        cost += trade_cost(w[i] - h[i], terms.buy, terms.sell, impact[i])
    return cost


@compiled(forceinline=True)
def _trade(
    t: int, cash: float, target_cash: float, hold: bool, terms: CostTerms, all_status: StatusArray, free: BoolArray,
    w: FloatArray, h: FloatArray, kept: FloatArray, impact: FloatArray,
) -> tuple[float, float]:  # fmt: skip
    """Turns the targets `w` into the values after the trade; returns the cash and the wealth then.

    All are in units of the wealth at the fill, as are the values before the trade, `h`. `kept` is zero before and
    after.
    """
    room, restricted = 1.0, hold or not free[t]
    if hold:
        hold, whole, value = _leave_alone(w, h, kept, all_status[t])
        room -= value
        target_cash = 1.0 if whole else target_cash
        if hold:
            return cash, 1.0
    if free[t]:
        s, rest = _solve(w, h, room, 1.0, terms, impact)
    else:
        target_cash, s, rest = _constrain(w, h, kept, target_cash, room, all_status[t], terms, impact)
    for i in range(len(w)):
        w[i] = s * w[i] + kept[i]
    if restricted:
        for i in range(len(w)):
            h[i] += kept[i]
            kept[i] = 0.0
    invested = _sum(w)
    if not rest:
        return s * target_cash, s * target_cash + invested
    cost = _sum_costs(w, h, terms, impact)
    return 1.0 - cost - invested, 1.0 - cost


@compiled(forceinline=True)
def _write_trade(
    b: int, mu: float, wealth: float, w: FloatArray, h: FloatArray, weights: FloatArray, trades: FloatArray
) -> float:
    """Writes the asset weights after the trade and the trades; returns the sum of the changes of weights."""
    inverse = 1.0 / mu
    for i in range(len(w)):
        weights[b, 1 + i] = w[i] * inverse
        trades[b, i] = (w[i] - h[i]) * wealth
    return _sum_changes(w, inverse, h)


@compiled(forceinline=True)
def _close(t: int, cash: float, terms: CostTerms, after: FloatArray, w: FloatArray) -> tuple[float, float]:
    """Moves the values `w` from the trade to the close; returns the cash then and the sum of all."""
    cash *= 1.0 + terms.cash_after
    if terms.borrow_after > 0:
        cash -= terms.borrow_after * _sum_short(w)
    for i in range(len(w)):
        w[i] *= 1.0 + after[t, i]
    return cash, cash + _sum(w)


@compiled(forceinline=True)
def _write_account(
    b: int, cash: float, closing: float, w: FloatArray, account: FloatArray, shown: FeatureArray
) -> None:
    """Writes the weights at the close, in double precision and as they are shown."""
    inverse = 1.0 / closing
    account[b, 0] = cash * inverse
    shown[b, 0] = np.float32(account[b, 0])
    for i in range(len(w)):
        weight = w[i] * inverse
        account[b, 1 + i] = weight
        shown[b, 1 + i] = np.float32(weight)


@compiled()
def _ruin(b: int, account: FloatArray, book: DayResult) -> None:
    """Closes the account: what is left is cash, and no trade is reported."""
    for i in range(account.shape[1]):
        account[b, i] = book.weights[b, i] = book.account[b, i] = 1.0 if i == 0 else 0.0
    for i in range(account.shape[1] - 1):
        book.trades[b, i] = 0.0
    book.turnover[b], book.cost[b], book.mu[b] = 0.0, 0.0, 1.0


@numba.njit(cache=True)
def solve_trades(
    day: IntArray, held: FloatArray, wealth: FloatArray, targets: FloatArray, hold: BoolArray, legs: MarketArrays,
    terms: CostTerms, scale: FloatArray, rest: BoolArray, whole: BoolArray, kept: BoolArray, weighed: BoolArray,
) -> None:  # fmt: skip
    """Solves the trades of B accounts that have drifted to the fill, and says what entered the equation.

    With `kept` and `weighed` given, wealth after the trade is a smooth function of what is held and asked for, whose
    gradient follows from the equation that `scale` solves.

    Args:
        day: ``[B]`` row of each decision.
        held: ``[B, 1 + N]`` weights before the trade, cash first.
        wealth: ``[B]`` at the fill.
        targets: ``[B, 1 + N]`` weights asked for.
        hold: ``[B]``, see `book_day`.
        legs: The tape's before, after, status, free days and impact scale.
        terms: Costs and limits.
        scale: Written ``[B]``: the ``s`` by which targets are multiplied; 1 where nothing is traded.
        rest: Written ``[B]``: whether cash takes what remains instead of its share.
        whole: Written ``[B]``: whether all assets are left alone.
        kept: Written ``[B, N]``: whose position is not traded.
        weighed: Written ``[B, N]``: whose target counts.
    """
    n = targets.shape[1] - 1
    w, h, own, impact = np.empty(n), np.empty(n), np.zeros(n), np.zeros(n)
    _, _, status, free, impact_scale = legs
    for b in range(len(day)):
        t, room, cash, resting = day[b], 1.0, targets[b, 0], hold[b]
        for i in range(n):
            h[i], w[i], own[i] = held[b, 1 + i], targets[b, 1 + i], 0.0
            if terms.impact > 0:
                impact[i] = terms.impact * impact_scale[t, i] * math.sqrt(wealth[b])
        scale[b], rest[b], whole[b] = 1.0, False, hold[b]
        if resting:
            resting, whole[b], value = _leave_alone(w, h, own, status[t])
            room -= value
            cash = 1.0 if whole[b] else cash
        if resting:
            kept[b, :], weighed[b, :] = True, False
            continue
        if free[t]:
            scale[b], rest[b] = _solve(w, h, room, 1.0, terms, impact)
        else:
            _, scale[b], rest[b] = _constrain(w, h, own, cash, room, status[t], terms, impact)
        for i in range(n):
            weighed[b, i] = w[i] != 0.0
            kept[b, i] = w[i] == 0.0 and h[i] == 0.0


@compiled()
def _book_accounts(
    day: IntArray, account: FloatArray, wealth: FloatArray, targets: FloatArray, hold: BoolArray, legs: MarketArrays,
    terms: CostTerms, book: DayResult, w: FloatArray, h: FloatArray, kept: FloatArray, impact: FloatArray,
) -> None:  # fmt: skip
    """Books the day of every account, one after the other, in the space of the last four arrays, zero at first."""
    before, after, status, free, impact_scale = legs
    weights, trades, shown, growths, log_growth, mus, turnover, cost, ruined = book
    for b in range(len(day)):
        t, growth, broke = day[b], 0.0, False
        cash, total = _drift(b, t, account, before, terms, h)
        if not free[t]:
            cash += _pay_out(h, status[t], LEAVES_BEFORE)
        if total > RUIN_WEALTH:
            cash /= total
            _prepare(b, t, total, wealth[b], terms, targets, impact_scale, w, h, impact)
            traded_cash, mu = _trade(t, cash, targets[b, 0], hold[b], terms, status, free, w, h, kept, impact)
            if mu > RUIN_WEALTH:
                change = _write_trade(b, mu, wealth[b] * total, w, h, weights, trades)
                weights[b, 0], mus[b], cost[b] = traded_cash / mu, mu, (1.0 - mu) * wealth[b] * total
                turnover[b] = 0.5 * (change + abs(weights[b, 0] - cash))
                closing_cash, closing = _close(t, traded_cash, terms, after, w)
                if terms.margin > 0:
                    broke = closing <= terms.margin * _gross(w)
                if not free[t]:
                    closing_cash += _pay_out(w, status[t], LEAVES_AFTER)
                if closing > RUIN_WEALTH:
                    growth = total * closing
                    _write_account(b, closing_cash, closing, w, account, shown)
        if not growth > RUIN_WEALTH:
            growth, broke = RUIN_WEALTH, True
            _ruin(b, account, book)
        wealth[b] *= growth
        growths[b], log_growth[b], ruined[b] = growth, math.log(growth), broke


@numba.njit(cache=True)
def book_day(
    day: IntArray,
    account: FloatArray,
    wealth: FloatArray,
    targets: FloatArray,
    hold: BoolArray,
    legs: MarketArrays,
    terms: CostTerms,
    book: DayResult,
) -> None:
    """Books one day of B accounts in place.

    The arrays to work in are made here and the accounts are booked by functions that make none (``_nrt=False``), so
    that nothing is counted by reference in every episode, which would cost as much as the arithmetic.

    Args:
        day: ``[B]`` row of each decision.
        account: ``[B, 1 + N]`` weights at the close, cash first; moved to the next close.
        wealth: ``[B]``; moved to the next close.
        targets: ``[B, 1 + N]`` weights asked for, rows summing to 1 beside NaN.
        hold: ``[B]``, true where assets are left alone: those whose target is NaN, or all where none is.
        legs: The tape's before, after, status, free days and impact scale.
        terms: Costs and limits.
        book: Written.
    """
    n = targets.shape[1] - 1
    w, h, kept, impact = np.empty(n), np.empty(n), np.zeros(n), np.zeros(n)
    _book_accounts(day, account, wealth, targets, hold, legs, terms, book, w, h, kept, impact)
