"""Weighing: compiled loops that turn batches of raw actions into target weights, cash first.

Every row is worked out by itself and in the same order whatever the number of rows, so a batch equals its single
episodes to the bit.
"""

import numba
import numpy as np

from envs.legs import AVAILABLE, StatusArray
from market.arrays import AnyFloatArray, FloatArray, IntArray

_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # the upper bits of ln 2: whole multiples of it are exact
_LN2_LOW = 1.90821492927058770002e-10


@numba.njit(cache=True)
def _exponentials(scratch: FloatArray, exponents: IntArray, powers: FloatArray) -> None:
    """Replaces `scratch` by its exponentials, to an ulp or two; `powers` is `exponents` seen as floats.

    The libm call would keep the loop from being vectorised. Split ``x = k ln 2 + r`` with ``|r| <= ln 2 / 2``; the
    Taylor series of degree 13 is exact for ``r`` in double precision, and ``2**k`` is written into the exponent bits.
    Valid for ``|x| < 700``, which the bounds of the actions ensure.
    """
    for i in range(len(scratch)):
        k = np.floor(scratch[i] * _LOG2E + 0.5)
        r = (scratch[i] - k * _LN2_HIGH) - k * _LN2_LOW
        exponents[i] = (np.int64(k) + 1023) << 52
        r2 = r * r
        r4 = r2 * r2
        low = (1.0 + r) + r2 * (1.0 / 2 + r * (1.0 / 6))
        middle = (1.0 / 24 + r * (1.0 / 120)) + r2 * (1.0 / 720 + r * (1.0 / 5040))
        high = (1.0 / 40320 + r * (1.0 / 362880)) + r2 * (1.0 / 3628800 + r * (1.0 / 39916800))
        top = 1.0 / 479001600 + r * (1.0 / 6227020800)
        scratch[i] = low + r4 * (middle + r4 * (high + r4 * top))
    for i in range(len(scratch)):
        scratch[i] *= powers[i]


@numba.njit(cache=True, fastmath={"reassoc"})
def softmax(
    actions: AnyFloatArray, bound: float, scale: float, status: StatusArray, day: IntArray, targets: FloatArray
) -> None:
    """Writes the softmax of each row of logits ``scale * clip(action, -bound, bound)`` to `targets`, ``[B, 1 + N]``.

    With ``1 + N`` logits the first is cash. With N there is no cash: assets that are not available get no weight, and
    only where none is available everything is cash.
    """
    n = targets.shape[1] - 1
    shift = n + 1 - actions.shape[1]  # 1 without cash
    scratch = np.empty(actions.shape[1])
    exponents = np.empty(actions.shape[1], np.int64)
    powers = exponents.view(np.float64)
    for b in range(len(actions)):
        for i in range(len(scratch)):
            scratch[i] = scale * min(max(np.float64(actions[b, i]), -bound), bound)
        _exponentials(scratch, exponents, powers)
        if shift:
            targets[b, 0] = 0.0
            for i in range(n):
                if not status[day[b], i] & AVAILABLE:
                    scratch[i] = 0.0
        total = 0.0
        for i in range(len(scratch)):
            total += scratch[i]
        if total > 0:
            total = 1 / total
        else:
            targets[b, 0] = 1.0
        for i in range(len(scratch)):
            targets[b, shift + i] = scratch[i] * total


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
