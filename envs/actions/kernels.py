"""Weighing: compiled loops that turn batches of raw actions into target weights, cash first.

Every row is worked out by itself and in the same order whatever the number of rows, so a batch equals its single
episodes to the bit.
"""

import math

import numba
import numpy as np

from envs.compiled import compiled
from envs.execution import AVAILABLE, LEAVES_BEFORE, StatusArray
from market.arrays import AnyFloatArray, BoolArray, FloatArray, IntArray

_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # the upper bits of ln 2: whole multiples of it are exact
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2**52: added to a float it rounds it to a whole number
_BLOCK = 1024  # numbers at a time, to stay in the nearest cache


@compiled()
def exponentials(actions: AnyFloatArray, bound: float, scale: float, powers: FloatArray) -> None:
    """Writes ``exp(scale * clip(actions, -bound, bound))`` of flat `actions` to `powers`, to an ulp or two.

    A call of libm would keep the loop from being vectorised. Split ``x = k ln 2 + r`` with ``|r| <= ln 2 / 2``; the
    Taylor series of degree 13 is exact for ``r`` in double precision. Adding `_ROUND` leaves ``k`` in the low bits,
    from where it moves into the exponent. Valid for ``|x| < 700``, which the bounds of the actions ensure.
    """
    for i in range(len(actions)):
        clipped: float = np.float64(actions[i])
        clipped = bound if clipped > bound else clipped
        clipped = -bound if clipped < -bound else clipped
        x = scale * clipped
        rounded = np.float64(x * _LOG2E + _ROUND)
        k = rounded - _ROUND
        r = (x - k * _LN2_HIGH) - k * _LN2_LOW
        r2 = r * r
        r4 = r2 * r2
        low = (1.0 + r) + r2 * (1.0 / 2 + r * (1.0 / 6))
        middle = (1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720 + r * (1.0 / 5040))
        high = (1.0 / 40320 + r * (1.0 / 362880)) + r2 * (1.0 / 3628800 + r * (1.0 / 39916800))
        top = 1.0 / 479001600 + r * (1.0 / 6227020800)
        power_of_two = np.int64((rounded.view(np.int64) << 52) + (1023 << 52))
        powers[i] = (low + r4 * (middle + r4 * (high + r4 * top))) * power_of_two.view(np.float64)


@compiled(fastmath={"reassoc"})
def _sum(values: FloatArray) -> float:
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@compiled()
def _write_softmax(
    actions: AnyFloatArray, bound: float, scale: float, status: StatusArray, day: IntArray, powers: FloatArray,
    targets: FloatArray,
) -> None:  # fmt: skip
    """Writes what `softmax` says, a block of rows at a time, in the space of `powers`."""
    n = targets.shape[1] - 1
    width = len(actions) // len(targets)
    rows = len(powers) // width
    for b in range(len(targets)):
        place = b % rows * width
        if place == 0:
            block = actions[b * width : (b + rows) * width]
            exponentials(block, bound, scale, powers[: len(block)])
        row, share = powers[place : place + width], targets[b, n + 1 - width :]
        if width == n:
            targets[b, 0] = 0.0
            for i in range(n):
                if not status[day[b], i] & AVAILABLE:
                    row[i] = 0.0
        total = _sum(row)
        if total > 0:
            total = 1 / total
        else:
            targets[b, 0] = 1.0
        for i in range(width):
            share[i] = row[i] * total


@numba.njit(cache=True)
def softmax(
    actions: AnyFloatArray, bound: float, scale: float, status: StatusArray, day: IntArray, targets: FloatArray
) -> None:
    """Writes the softmax of ``scale * clip(actions, -bound, bound)``, flat rows, to `targets`, ``[B, 1 + N]``.

    With ``1 + N`` actions a row the first is cash. With N there is no cash: assets that are not available get no
    weight, and only where none is available everything is cash.
    """
    powers = np.empty(max(_BLOCK, targets.shape[1]))
    _write_softmax(actions, bound, scale, status, day, powers, targets)


@numba.njit(cache=True)
def cap_weights(targets: FloatArray, cap: float) -> None:
    """Cuts every asset at `cap` and shares the excess among the other assets and cash in proportion to their weights.

    What no asset can take goes to cash, which has no cap.
    """
    n = targets.shape[1] - 1
    capped = np.zeros(n, np.bool_)
    for b in range(len(targets)):
        capped[:] = False
        for _ in range(n):
            excess, free, found = 0.0, targets[b, 0], False
            for i in range(n):
                if not capped[i] and targets[b, 1 + i] > cap:
                    excess += targets[b, 1 + i] - cap
                    targets[b, 1 + i] = cap
                    capped[i] = True
                    found = True
            if not found:
                break
            for i in range(n):
                if not capped[i]:
                    free += targets[b, 1 + i]
            if free <= 0:
                targets[b, 0] += excess
                break
            scale = (free + excess) / free
            targets[b, 0] *= scale
            for i in range(n):
                if not capped[i]:
                    targets[b, 1 + i] *= scale


@numba.njit(cache=True)
def long_short(actions: AnyFloatArray, gross: float, net: float, cap: float, targets: FloatArray) -> None:
    """Writes signed weights within the limits to `targets`; cash is one minus their sum.

    Actions in ``[-1, 1]`` are shares of `gross`. Each weight is cut at `cap`, all are shrunk together until the sum of
    their sizes is at most `gross`, then the heavier side alone until the sum is within `net` of zero.
    """
    n = targets.shape[1] - 1
    for b in range(len(actions)):
        longs, shorts = 0.0, 0.0
        for i in range(n):
            weight = gross * min(max(np.float64(actions[b, i]), -1.0), 1.0)
            weight = min(max(weight, -cap), cap)
            targets[b, 1 + i] = weight
            longs += max(weight, 0.0)
            shorts += max(-weight, 0.0)
        shrink = min(1.0, gross / (longs + shorts)) if longs + shorts > 0 else 1.0
        longs, shorts = longs * shrink, shorts * shrink
        keep_long = (shorts + net) / longs if longs - shorts > net else 1.0
        keep_short = (longs + net) / shorts if shorts - longs > net else 1.0
        total = 0.0
        for i in range(n):
            targets[b, 1 + i] *= shrink * (keep_long if targets[b, 1 + i] > 0 else keep_short)
            total += targets[b, 1 + i]
        targets[b, 0] = 1.0 - total


@numba.njit(cache=True)
def limit_long(targets: FloatArray, sector: IntArray, n_sectors: int, cap: float, sector_cap: float) -> None:
    """Cuts every asset at `cap` and every sector at `sector_cap`; the others and cash share what was cut.

    An asset is closed once it, or its sector, has been cut, so that each pass closes one or is the last. What no asset
    can take goes to cash, which has no limit.
    """
    n = targets.shape[1] - 1
    closed, shut, total = np.zeros(n, np.bool_), np.zeros(n_sectors, np.bool_), np.zeros(n_sectors)
    for b in range(len(targets)):
        closed[:], shut[:] = False, False
        for _ in range(n + n_sectors):
            excess, free, found = 0.0, targets[b, 0], False
            total[:] = 0.0
            for i in range(n):
                if not closed[i] and targets[b, 1 + i] > cap:
                    excess += targets[b, 1 + i] - cap
                    targets[b, 1 + i] = cap
                    closed[i] = found = True
                total[sector[i]] += targets[b, 1 + i]
            for i in range(n):
                k = sector[i]
                if not shut[k] and total[k] > sector_cap:
                    weight = targets[b, 1 + i]
                    targets[b, 1 + i] = weight * (sector_cap / total[k])
                    excess += weight - targets[b, 1 + i]
                    closed[i] = found = True
            for k in range(n_sectors):
                shut[k] |= total[k] > sector_cap
            if not found:
                break
            for i in range(n):
                free += 0.0 if closed[i] else targets[b, 1 + i]
            if free <= 0:
                targets[b, 0] += excess
                break
            scale = (free + excess) / free
            targets[b, 0] *= scale
            for i in range(n):
                if not closed[i]:
                    targets[b, 1 + i] *= scale


@numba.njit(cache=True)
def limit_signed(
    targets: FloatArray, sector: IntArray, n_sectors: int, cap: float, sector_cap: float, net: float
) -> None:
    """Shrinks signed weights to sizes of `cap` an asset and `sector_cap` a sector, then their sum to within `net`.

    The heavier side alone is shrunk for the latter; cash is one minus the sum.
    """
    n = targets.shape[1] - 1
    total = np.zeros(n_sectors)
    for b in range(len(targets)):
        total[:] = 0.0
        for i in range(n):
            targets[b, 1 + i] = min(max(targets[b, 1 + i], -cap), cap)
            total[sector[i]] += abs(targets[b, 1 + i])
        longs, shorts = 0.0, 0.0
        for i in range(n):
            if total[sector[i]] > sector_cap:
                targets[b, 1 + i] *= sector_cap / total[sector[i]]
            longs += max(targets[b, 1 + i], 0.0)
            shorts += max(-targets[b, 1 + i], 0.0)
        keep_long = (shorts + net) / longs if longs - shorts > net else 1.0
        keep_short = (longs + net) / shorts if shorts - longs > net else 1.0
        targets[b, 0] = 1.0
        for i in range(n):
            targets[b, 1 + i] *= keep_long if targets[b, 1 + i] > 0 else keep_short
            targets[b, 0] -= targets[b, 1 + i]


@numba.njit(cache=True)
def target_shares(actions: AnyFloatArray, targets: FloatArray, hold: BoolArray) -> None:
    """Writes each row of shares ``[1 + N]``, cut at 1 and normalised, to `targets`, and where it leaves assets alone.

    Negative shares of assets become NaN. Without a positive share everything else is cash.
    """
    n = targets.shape[1] - 1
    for b in range(len(actions)):
        total = 0.0
        for i in range(n + 1):
            targets[b, i] = min(max(np.float64(actions[b, i]), 0.0), 1.0)
            total += targets[b, i]
        if total > 0:
            for i in range(n + 1):
                targets[b, i] /= total
        else:
            targets[b, 0] = 1.0
        hold[b] = False
        for i in range(n):
            if actions[b, 1 + i] < 0:
                targets[b, 1 + i] = np.nan
                hold[b] = True


@numba.njit(cache=True)
def fill_weights(
    day: IntArray, account: FloatArray, before: FloatArray, status: StatusArray, cash_rate: float, borrow_rate: float,
    held: FloatArray,
) -> None:  # fmt: skip
    """Writes the weights that accounts have drifted to at the fill to `held` ``[B, 1 + N]``; the rates are before it.

    What is paid out before the fill is cash. An account that the drift has ruined holds cash.
    """
    n = account.shape[1] - 1
    for b in range(len(day)):
        t = day[b]
        cash = account[b, 0] * (1.0 + cash_rate)
        for i in range(n):
            cash += borrow_rate * min(account[b, 1 + i], 0.0)
            value = account[b, 1 + i] * (1.0 + before[t, i])
            if status[t, i] & LEAVES_BEFORE:
                cash += value
                value = 0.0
            held[b, 1 + i] = value
        total = cash
        for i in range(n):
            total += held[b, 1 + i]
        held[b, 0] = cash
        if total > 0:
            for i in range(n + 1):
                held[b, i] /= total
        else:
            held[b, :] = 0.0
            held[b, 0] = 1.0


@numba.njit(cache=True)
def tilt(
    actions: AnyFloatArray, held: FloatArray, status: StatusArray, day: IntArray, bound: float, scale: float,
    kappa: float, opening: float, targets: FloatArray, hold: BoolArray,
) -> None:  # fmt: skip
    """Writes shares ``held ** kappa * exp(s) + opening * max(exp(s) - 1, 0)``, normalised; rows of zeros hold.

    With N scores that of cash is 0. Negative holdings count as none, and so does what is not available.
    """
    n = targets.shape[1] - 1
    first = n + 1 - actions.shape[1]  # 1 where cash is not scored
    for b in range(len(actions)):
        total, resting = 0.0, True
        for i in range(n + 1):
            raw: float = 0.0 if i < first else np.float64(actions[b, i - first])
            resting &= raw == 0.0
            power = math.exp(scale * min(max(raw, -bound), bound))
            share = max(held[b, i], 0.0)
            if kappa != 1.0 and share > 0.0:
                share = share**kappa
            share = share * power + opening * max(power - 1.0, 0.0)
            if i > 0 and not status[day[b], i - 1] & AVAILABLE:
                share = 0.0
            targets[b, i] = share
            total += share
        hold[b] = resting
        if total > 0.0:
            for i in range(n + 1):
                targets[b, i] /= total
        else:
            targets[b, 0] = 1.0


@numba.njit(cache=True)
def step_towards(
    actions: AnyFloatArray, largest: float, held: FloatArray, targets: FloatArray, hold: BoolArray
) -> None:
    """Moves `targets` back towards `held`: what is left is the fraction that the first number of each action names."""
    for b in range(len(actions)):
        fraction = largest * min(max(np.float64(actions[b, 0]), 0.0), 1.0)
        hold[b] = fraction == 0.0
        for i in range(targets.shape[1]):
            targets[b, i] = held[b, i] + fraction * (targets[b, i] - held[b, i])
