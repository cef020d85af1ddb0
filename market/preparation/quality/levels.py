"""Breaks of the price level: lone glitches are masked, splits without a vendor's word are undone, the rest is cut.

A break that nothing explains ends a listing. What follows it is another one: another company under a used ticker,
another unit, another vendor. No return spans the break, and nobody is paid it.
"""

from dataclasses import dataclass

import numpy as np

from market.arrays import BoolArray, FloatArray, IntArray
from market.preparation.quality.evidence import PAST, SELDOM_RATIOS, Series, SplitEvidence, split_evidence, usual_move

GLITCH_BARS = 4
GLITCH = float(np.log(1.9))
GLITCH_RETURN = 0.15  # of the way out
SMALL_GLITCH = 12.0  # times the usual move: so far away is a lone wrong bar of less than `GLITCH`
BACK = 3.0  # times the usual move: so near it comes back
QUIET_VOLUME = 1.5  # times the usual one: news is traded more
SPLIT_LIKE = float(np.log(1.2))
SILENT_DAYS = 20  # after more of them without a bar it may be another company
ROUNDING = 1e-6


@dataclass(frozen=True)
class LevelBreak:
    """One decision about the bars of one asset.

    Attributes:
        kind: ``glitch`` (masked), ``pending`` (masked: too young to judge), ``split``, ``suspect`` or ``cut``.
        first: First bar concerned, counted among the bars of the series.
        last: Last bar concerned.
        ratio: New shares for one old share, of a split or a suspect; 1 otherwise.
        reason: The evidence in words.
    """

    kind: str
    first: int
    last: int
    ratio: float
    reason: str


@dataclass(frozen=True)
class LevelRules:
    """Limits of `level_breaks`, as `Rules` states them: largest believable move, bars and days."""

    max_jump: float
    confirm_days: int
    relist_days: int


def level_breaks(series: Series, rules: LevelRules, guess: bool) -> list[LevelBreak]:
    """Returns what breaks the level of a series, in order of time.

    Args:
        series: The bars.
        rules: The limits.
        guess: Whether splits may be guessed; not where a vendor knows them.
    """
    bad = glitches(series)
    found = [LevelBreak("glitch", int(run[0]), int(run[-1]), 1.0, _away(series, run)) for run in bad]
    masked = np.zeros(len(series.level), np.bool_)
    for run in bad:
        masked[run] = True
    kept = np.flatnonzero(~masked)
    calm = _picked(series, kept)
    for one in _remaining(calm, rules, guess):
        found.append(LevelBreak(one.kind, int(kept[one.first]), int(kept[one.last]), one.ratio, one.reason))
    return sorted(found, key=lambda one: one.first)


def glitches(series: Series) -> list[IntArray]:
    """Returns runs of up to four bars that lie wholly at another level than the bars before and after them.

    A lone bar counts too where only its close, or only its open, lies there, and, with the usual volume, where it lies
    less far away.
    """
    runs: list[IntArray] = []
    done = 0
    odd = odd_opens(series)
    moves = np.abs(np.diff(series.level, prepend=series.level[:1]))
    for k in np.flatnonzero((moves >= SPLIT_LIKE) | odd):
        if k <= done:  # the bar that is back is no news
            continue
        length = _excursion(series, int(k)) if moves[k] >= GLITCH else 0
        length = length or int(_is_lone(series, int(k)))
        if length or odd[k]:
            runs.append(np.arange(k, k + max(length, 1)))
            done = int(k) + length
    return runs


def _excursion(series: Series, k: int) -> int:
    """Returns how many bars from `k` on are away from the level before, if the level then comes back; else 0."""
    level, base = series.level, series.level[k - 1]
    out = level[k] - base
    for length in range(1, GLITCH_BARS + 1):
        if k + length >= len(level):
            return 0
        if abs(level[k + length] - base) <= GLITCH_RETURN * abs(out):
            away = (level[k : k + length] - base) * np.sign(out)
            return length if (away >= abs(out) / 2).all() and _whole(series, k, length, out) else 0
    return 0


def _whole(series: Series, k: int, length: int, out: float) -> bool:
    """Tells whether the whole bars are away, and not only their closes."""
    edge = series.low if out > 0 else series.high
    if edge is None:
        return True
    distance = np.log(edge[k : k + length] / series.close[k : k + length]) + series.level[k : k + length]
    return bool(((distance - series.level[k - 1]) * np.sign(out) >= abs(out) / 2).all())


def _is_lone(series: Series, k: int) -> bool:
    """Tells whether bar `k` is a lone wrong one: the next bar opens and closes where the bar before closed.

    Far away, the close alone is enough; less far, the bar must look wrong by itself.
    """
    if series.open is None or k + 1 >= len(series.level):
        return False
    out = abs(series.level[k] - series.level[k - 1])
    near = min(BACK * usual_move(series, k), GLITCH_RETURN * out)
    back = series.level[k + 1] - series.level[k - 1]
    opened = back + np.log(series.open[k + 1] / series.close[k + 1])
    return bool(max(abs(back), abs(opened)) <= near and (out >= GLITCH or _looks_wrong(series, k)))


def _looks_wrong(series: Series, k: int) -> bool:
    """Tells whether all of bar `k` is far away on no more than the usual volume, as news does not move prices."""
    if series.open is None or series.volume is None:
        return False
    out = series.level[k] - series.level[k - 1]
    quiet = series.volume[k] <= QUIET_VOLUME * np.median(series.volume[max(0, k - PAST) : k])
    return bool(quiet and abs(out) >= SMALL_GLITCH * usual_move(series, k) and _whole(series, k, 1, out))


def odd_opens(series: Series) -> BoolArray:
    """Returns the bars whose open alone lies at another level: far from their own close and from the one before."""
    odd = np.zeros(len(series.level), np.bool_)
    if series.open is not None:
        inside = np.log(series.open / series.close)[1:]
        outside = inside + np.diff(series.level)
        odd[1:] = (np.minimum(np.abs(inside), np.abs(outside)) >= GLITCH) & (np.sign(inside) == np.sign(outside))
    return odd


def _remaining(series: Series, rules: LevelRules, guess: bool) -> list[LevelBreak]:
    """Walks over the bars and settles each break against the last level that was believed."""
    found: list[LevelBreak] = []
    level = series.level
    limit = float(np.log(rules.max_jump)) - ROUNDING
    gaps = np.diff(series.day, prepend=series.day[:1])
    moves = np.abs(np.diff(level, prepend=level[:1]))
    for k in np.flatnonzero((moves >= SPLIT_LIKE) | (gaps > rules.relist_days)):
        if found and k <= found[-1].last:
            continue
        one = _settled(series, int(k), _believed(found, int(k)), limit, rules, guess)
        if one is not None:
            found.append(one)
    return found


def _believed(found: list[LevelBreak], k: int) -> int:
    """Returns the last bar before `k` that is not masked."""
    bar = k - 1
    for one in reversed(found):
        if one.kind in ("glitch", "pending") and one.first <= bar <= one.last:
            bar = one.first - 1
    return bar


def _settled(series: Series, k: int, believed: int, limit: float, rules: LevelRules, guess: bool) -> LevelBreak | None:
    if series.day[k] - series.day[k - 1] > rules.relist_days:
        return LevelBreak("cut", k, k, 1.0, f"no bar for {series.day[k] - series.day[k - 1] - 1} days")
    evidence = split_evidence(series, k) if believed == k - 1 else None
    silent = series.day[k] - series.day[k - 1] > SILENT_DAYS
    if guess and evidence is not None and evidence.convincing and not silent:
        return LevelBreak("split", k, k, evidence.ratio, str(evidence))
    if guess and evidence is not None and evidence.agrees and k + evidence.held == len(series.level):
        return LevelBreak("pending", k, len(series.level) - 1, 1.0, str(evidence))
    if abs(series.level[k] - series.level[believed]) > limit:
        return _jump(series, k, believed, limit, rules)
    if k == len(series.level) - 1 and k > PAST and _looks_wrong(series, k):
        return LevelBreak("pending", k, k, 1.0, _factor(series, k, believed))
    return _suspect(evidence, k, guess) or (_seldom(series, k) if guess and believed == k - 1 else None)


def _seldom(series: Series, k: int) -> LevelBreak | None:
    """Returns a doubt: all signs say split, by a ratio that few companies choose."""
    evidence = split_evidence(series, k, SELDOM_RATIOS)
    if evidence is None or not evidence.convincing:
        return None
    return LevelBreak("suspect", k, k, evidence.ratio, f"{evidence}; few companies split like that")


def _suspect(evidence: SplitEvidence | None, k: int, guess: bool) -> LevelBreak | None:
    """Returns a doubt: prices say split, but range or volume do not quite, or the vendor denies what all signs say."""
    if evidence is None or not (evidence.agrees or (guess and evidence.doubtful)):
        return None
    denied = "" if guess else "; the vendor's adjusted closes or splits deny it"
    return LevelBreak("suspect", k, k, evidence.ratio, f"{evidence}{denied}")


def _jump(series: Series, k: int, believed: int, limit: float, rules: LevelRules) -> LevelBreak:
    """Returns a cut where the new level lasts, else a glitch: bars that agree with nothing, or that came back."""
    level, stop = series.level, k + 1
    while stop < len(level) and stop - k < rules.confirm_days:
        if abs(level[stop] - level[stop - 1]) > limit or abs(level[stop] - level[believed]) <= limit:
            break
        stop += 1
    factor = _factor(series, k, believed)
    if stop - k >= rules.confirm_days:
        return LevelBreak("cut", k, k, 1.0, factor)
    kind = "pending" if stop == len(level) else "glitch"
    return LevelBreak(kind, k, stop - 1, 1.0, factor)


def _factor(series: Series, k: int, believed: int) -> str:
    return f"{np.exp(series.level[k] - series.level[believed]):.4g} times the close before"


def _away(series: Series, run: IntArray) -> str:
    if series.open is not None and odd_opens(series)[run[0]]:
        return f"its open alone is {series.open[run[0]] / series.close[run[0]]:.4g} times its close"
    factor = np.exp(series.level[run[0]] - series.level[run[0] - 1])
    return f"{factor:.4g} times the close before, and back"


def _picked(series: Series, kept: IntArray) -> Series:
    def pick(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else values[kept]

    return Series(
        series.day[kept],
        series.close[kept],
        pick(series.open),
        pick(series.high),
        pick(series.low),
        pick(series.volume),
        series.level[kept],
        series.market[kept],
    )
