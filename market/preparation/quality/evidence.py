"""Evidence for a split that no vendor told of: several signs that must all agree, each with its limit.

A split and a crash look alike in one price. They differ in what surrounds it: once the ratio is taken out, the day of
a split is a day like any other.
"""

from dataclasses import dataclass

import numpy as np

from market.arrays import AnyArray, FloatArray

RATIOS = (5 / 4, 4 / 3, 3 / 2, 2.0, 5 / 2, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
"""New shares for one old share that companies choose; 100 and the reverse of those from 2 on are added below."""
SPLIT_RATIOS = np.array([*RATIOS, 100.0, *(1 / ratio for ratio in (*RATIOS[3:], 100.0))])
SELDOM_RATIOS = np.array([6 / 5, 7 / 5, 8 / 5, 5 / 3, 7 / 4, 7 / 2, 9 / 2, 15 / 2, 9.0, 11.0, 1 / 9, 1 / 11])
"""Ratios of bonus issues that some companies choose: worth a doubt, and too many for a guess to tell from a fall."""

HELD_BARS = 5
PAST, USUAL_BARS, LEAST_BARS = 20, 60, 10
NOISE_FLOOR, ROUNDING, TICK, COARSE = 0.003, 0.002, 0.01, 0.05
STANDS_OUT = 8.0  # times the usual daily move
OPEN_LIMIT, CLOSE_LIMIT, WIDTH_LIMIT, VOLUME_LIMIT, JOINT_LIMIT = 3.0, 4.0, 3.0, 2.5, 0.8
QUIET, QUIET_WIDTH_LIMIT = 0.75, 4.0  # a wide range is no crash on few shares, nor by such a ratio
SMALL_RATIO, SMALL_SHARE = 1.45, 0.65  # news moves prices by a quarter more often than companies split 5:4
LARGE_RATIO = 5.0
FOLLOWS = 0.45  # of the ratio, in logarithms: so far from it volume may step
DOUBT = 2.0


@dataclass(frozen=True, eq=False)
class Series:
    """The bars of one asset on the days that have one, ``[n]`` each, prices as quoted and known actions undone.

    Attributes:
        day: Rows of the panel.
        close: Closes.
        open: Opens, or None.
        high: Highs, or None.
        low: Lows, or None.
        volume: Volumes, or None.
        level: Logarithm of what decides the level: the adjusted close where there is one, else the close.
        market: Logarithm of the market's move on that day; 0 where the market is too small to tell.
    """

    day: AnyArray
    close: FloatArray
    open: FloatArray | None
    high: FloatArray | None
    low: FloatArray | None
    volume: FloatArray | None
    level: FloatArray
    market: FloatArray


@dataclass(frozen=True)
class SplitEvidence:
    """Evidence for a split of `ratio` new shares for one; each part is a share of its limit, at most 1 if it agrees.

    Attributes:
        ratio: New shares for one old share.
        size: Usual noise against the size of the move.
        overnight: Distance of the open from where the ratio puts it, in usual moves.
        session: The same of the close.
        width: Range of the day against the usual one.
        volume: Shares traded, in new shares, against the usual number; 0 where the ratio is too large to be a crash.
        held: Bars that the new level has held for so far, up to five.
    """

    ratio: float
    size: float
    overnight: float
    session: float
    width: float
    volume: float
    held: int

    @property
    def agrees(self) -> bool:
        """Whether every sign but the number of bars held says split."""
        return self.confidence > 0

    @property
    def doubtful(self) -> bool:
        """Whether open and close stand where the ratio puts them, but range or volume are up to twice too large."""
        return max(self.size, self.overnight, self.session) < 1 and max(self.width, self.volume) < DOUBT

    @property
    def convincing(self) -> bool:
        """Whether every sign says split, and the new level has held for five bars."""
        return self.agrees and self.held >= HELD_BARS

    @property
    def joint(self) -> float:
        """Root mean square of the four signs of the day, as a share of its own limit: few splits strain all of them."""
        signs = (self.overnight, self.session, self.width, self.volume)
        return float(np.sqrt(np.mean(np.square(signs)))) / JOINT_LIMIT

    @property
    def confidence(self) -> float:
        """Distance of the weakest sign from its limit, as a share of it: 1 is perfect, 0 or less is no agreement."""
        return float(1 - max(self.size, self.overnight, self.session, self.width, self.volume, self.joint))

    def __str__(self) -> str:
        return (
            f"{ratio_name(self.ratio)} guessed, confidence {max(self.confidence, 0):.2f}; in shares of the limits: "
            f"noise {self.size:.2f}, open {self.overnight:.2f}, close {self.session:.2f}, range {self.width:.2f}, "
            f"volume {self.volume:.2f}; held {self.held} bars"
        )


def split_evidence(series: Series, k: int, ratios: FloatArray = SPLIT_RATIOS) -> SplitEvidence | None:
    """Returns the evidence for a split on bar `k`, or None where the move is near no ratio or nothing can be compared.

    Without opens, ranges and volumes nothing tells a split from a crash, so such bars give no evidence; nor does a
    close before that is a vendor's filler, a flat bar that repeats the one before it, or that has just come from
    elsewhere: the return of a glitch is no split.
    """
    opens, high, low, volume = series.open, series.high, series.low, series.volume
    if opens is None or high is None or low is None or volume is None or k < LEAST_BARS:
        return None
    usual = usual_move(series, k)
    ratio = nearest_ratio(float(np.log(series.close[k - 1] / opens[k]) + series.market[k]), ratios)
    coarse = TICK / min(series.close[k], series.close[k - 1])
    past = slice(max(0, k - PAST), k)
    shares, widths = np.median(volume[past]), np.median(np.log(high[past] / low[past]))
    if not shares > 0 or not volume[k] > 0 or coarse > COARSE or _is_filler(series, k - 1):
        return None
    step = np.log(ratio)
    strict = SMALL_SHARE if max(ratio, 1 / ratio) < SMALL_RATIO else 1.0
    overnight = abs(np.log(opens[k] / series.close[k - 1]) + step - series.market[k])
    session = abs(np.log(series.close[k] / series.close[k - 1]) + step - series.market[k])
    width = np.log(high[k] / low[k])
    traded = volume[k] / shares / ratio
    large = max(ratio, 1 / ratio) >= LARGE_RATIO
    limit = QUIET_WIDTH_LIMIT if large or traded <= QUIET else WIDTH_LIMIT
    if large and not _volume_follows(volume, k, ratio):
        return None  # pence and pounds, another company: the number of shares did not move with the price
    if np.abs(np.log(series.close[k - HELD_BARS : k] / series.close[k - 1])).max() >= abs(step) / 2:
        return None
    if large and 2 * usual + coarse > _room(ratio):
        return None  # several ratios fit
    return SplitEvidence(
        ratio=ratio,
        size=STANDS_OUT * usual / abs(step),
        overnight=overnight / (strict * (OPEN_LIMIT * usual + coarse + ROUNDING)),
        session=session / (strict * (CLOSE_LIMIT * usual + coarse + ROUNDING)),
        width=width / (strict * limit * max(widths, NOISE_FLOOR)),
        volume=0.0 if large else traded / (strict * VOLUME_LIMIT),
        held=_held(series, k, step),
    )


def nearest_ratio(move: float, ratios: FloatArray = SPLIT_RATIOS) -> float:
    """Returns the ratio of a split nearest to a fall by `move` in logarithms."""
    return float(ratios[np.abs(np.log(ratios) - move).argmin()])


def usual_move(series: Series, k: int) -> float:
    """Returns the robust standard deviation of the moves around bar `k`, the market's and its own taken out."""
    first, stop = max(1, k - USUAL_BARS), min(len(series.level), k + USUAL_BARS)
    moves = (np.diff(series.level) - series.market[1:])[first - 1 : stop - 1]
    moves = np.delete(moves, k - first)
    return max(float(1.4826 * np.median(np.abs(moves))) if len(moves) else 0.0, NOISE_FLOOR)


def ratio_name(ratio: float) -> str:
    """Returns a ratio as people write it: 3:2, 10:1, 1:8."""
    shares = ratio if ratio >= 1 else 1 / ratio
    scale = next((scale for scale in (1, 2, 3, 4) if abs(shares * scale - round(shares * scale)) < 1e-3), None)
    text = f"{shares:g}:1" if scale is None else f"{round(shares * scale)}:{scale}"
    return text if ratio >= 1 else ":".join(reversed(text.split(":")))


def _is_filler(series: Series, k: int) -> bool:
    """Tells whether bar `k` is flat at the close before it: no trade of that day has made its price."""
    if series.high is None or series.low is None:
        return False
    return bool(series.high[k] == series.low[k] == series.close[k - 1])


def _room(ratio: float) -> float:
    """Returns half the distance in logarithms from a ratio to the nearest other one."""
    distance = np.abs(np.log(SPLIT_RATIOS / ratio))
    return float(np.sort(distance)[1] / 2)


def _held(series: Series, k: int, step: float) -> int:
    """Returns for how many bars, up to five, the level stays nearer to the new than to the old one."""
    after = series.close[k : k + HELD_BARS]
    near = np.abs(np.log(after / series.close[k])) < abs(step) / 2
    return int(len(after) if near.all() else near.argmin())


def _volume_follows(volume: FloatArray, k: int, ratio: float) -> bool:
    before, after = np.median(volume[max(0, k - PAST) : k]), np.median(volume[k : k + PAST])
    return bool(after > 0 and abs(np.log(after / before / ratio)) < FOLLOWS * abs(np.log(ratio)))
