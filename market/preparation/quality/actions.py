"""Corporate actions that are known: from columns of the vendor, from a list of the user, from steps of ``adj_close``.

What is known outranks what prices suggest. Whether a vendor's prices and volumes have been adjusted for an action that
its own column reports differs from vendor to vendor, so the prices themselves are asked.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.arrays import BoolArray, FloatArray
from market.panel import PRICES, RAW_CLOSE, RAW_VOLUME, Panel
from market.preparation.quality.checks import previous_row, take_previous
from market.preparation.quality.evidence import nearest_ratio, ratio_name

NEAR_DAYS = 3
NOTICEABLE = float(np.log(1.15))
ADJUSTED_STEP = float(np.log(1.19))
ADJUSTED_TOLERANCE = 0.015
VOLUME_BARS = 20
DIVIDEND_LIMIT = 1.0
SCALED = (*PRICES, "vwap")


@dataclass(frozen=True)
class StockSplit:
    """Shares of one asset that became `ratio` shares each before the bar of a day.

    Attributes:
        day: Row of the first bar in new shares.
        asset: Column.
        ratio: New shares for one old share.
        source: Who says so, in words.
        quoted: Whether the prices before `day` are still those of old shares.
        adjusts: Whether ``adj_close`` has missed it as well.
    """

    day: int
    asset: int
    ratio: float
    source: str
    quoted: bool
    adjusts: bool = False


def known_splits(panel: Panel, listed: pd.DataFrame | None) -> list[StockSplit]:
    """Returns the splits that are known of a panel: the user's, the vendor's, and those that ``adj_close`` tells of.

    Args:
        panel: Bars, with a column ``split`` (new shares for one old share; 0, 1 or nothing on other days) or without.
        listed: The user's ``symbol, date, ratio``, which outranks the rest; None for none.

    Raises:
        ValueError: The user's list names a ratio that is no positive number.
    """
    told = _user_events(panel, listed) if listed is not None else []
    own = [_placed(panel, *event) for event in told]
    column = _without_near(_column_events(panel), told) if "split" in panel else []
    placed = [_placed(panel, *event) for event in column]
    splits = [_split(one, one.stepped < one.resting) for one in own]
    splits += [_split(one, _quoted(one, placed, _neutral(panel))) for one in placed]
    splits = [replace(one, adjusts=_adjusted_missed(panel, one)) for one in splits]
    seen = {(one.day, one.asset) for one in splits}
    return splits + [one for one in _adjusted_events(panel) if not _near(seen, one.day, one.asset)]


def states_splits(panel: Panel) -> BoolArray:
    """Returns the assets ``[N]`` of which a vendor's column knows whether they were split."""
    if "split" not in panel:
        return np.zeros(len(panel.assets), np.bool_)
    return np.asarray(np.isfinite(panel["split"]).any(axis=0), np.bool_)


def in_new_shares(panel: Panel, splits: list[StockSplit]) -> Panel:
    """Returns the panel in shares of its last day; what was quoted stays as ``raw_close`` and ``raw_volume``.

    Prices and dividends before a split are divided by its ratio, volumes multiplied. Volumes that a vendor counts in
    shares of today beside quoted prices are left alone, and ``raw_volume`` is what was traded on the day.
    """
    quoted = [one for one in splits if one.quoted]
    if not quoted:
        return panel
    later = np.ones(panel.listed.shape)  # shares of today for one share of that day
    missed = np.ones(panel.listed.shape)
    for one in quoted:
        later[: one.day, one.asset] *= one.ratio
        if one.adjusts:
            missed[: one.day, one.asset] *= one.ratio
    fields = list(panel.fields)
    values = np.array(panel.values)
    added = {RAW_CLOSE: panel["close"].astype(np.float64)} if RAW_CLOSE not in panel else {}
    if "volume" in panel:
        counted = volume_is_quoted(panel, quoted)
        volume = panel["volume"].astype(np.float64)
        if RAW_VOLUME not in panel:
            added[RAW_VOLUME] = volume if counted else volume / later
        if counted:
            values[:, :, fields.index("volume")] = volume * later
    for name in (*SCALED, "dividend"):
        if name in panel:
            values[:, :, fields.index(name)] /= later
    if "adj_close" in panel:
        values[:, :, fields.index("adj_close")] /= missed
    return with_fields(replace(panel, values=values), added)


def with_dividends(panel: Panel) -> tuple[Panel, list[tuple[int, int]]]:
    """Returns the panel with dividends reinvested at the close of their day, and the (row, column) of every one.

    Prices before a dividend are multiplied by ``close / (close + dividend)``; ``raw_close`` keeps the quoted ones. A
    dividend over `DIVIDEND_LIMIT` times the close is in another unit, or no dividend, and is left out. Nothing is done
    where adjusted closes tell of dividends already.
    """
    if "dividend" not in panel or "adj_close" in panel:
        return panel, []
    close, paid = panel["close"].astype(np.float64), panel["dividend"].astype(np.float64)
    due = np.isfinite(close) & (close > 0) & np.isfinite(paid) & (paid > 0) & (paid < DIVIDEND_LIMIT * close)
    if not due.any():
        return panel, []
    share = np.where(due, close / np.where(due, close + paid, 1.0), 1.0)
    after = np.cumprod(share[::-1], axis=0)[::-1] / share  # of the dividends after that day
    values = np.array(panel.values)
    for name in SCALED:
        if name in panel:
            values[:, :, panel.fields.index(name)] *= after
    added = {} if RAW_CLOSE in panel else {RAW_CLOSE: close}
    places = [(int(t), int(n)) for t, n in np.argwhere(due)]
    return with_fields(replace(panel, values=values), added), places


def with_fields(panel: Panel, added: dict[str, FloatArray]) -> Panel:
    """Returns the panel with further fields ``[T, N]`` at its end."""
    if not added:
        return panel
    values = np.concatenate([panel.values, *(field[:, :, None] for field in added.values())], axis=2)
    return replace(panel, fields=(*panel.fields, *added), values=values)


def volume_is_quoted(panel: Panel, splits: list[StockSplit]) -> bool:
    """Returns whether volumes step with the splits, as quoted ones do, judged over all of them together."""
    gain = 0.0
    for one in splits:
        volume = panel["volume"][:, one.asset]
        around = (volume[max(0, one.day - VOLUME_BARS) : one.day], volume[one.day : one.day + VOLUME_BARS])
        before, after = (side[np.isfinite(side) & (side > 0)] for side in around)
        if abs(np.log(one.ratio)) >= NOTICEABLE and len(before) >= 5 and len(after) >= 5:
            step = np.log(np.median(after) / np.median(before))
            gain += np.clip(abs(step) - abs(step - np.log(one.ratio)), -1, 1)
    return bool(gain >= 0)


def with_factor(panel: Panel) -> Panel:
    """Returns the panel with what a column ``factor`` tells: quoted prices, or adjusted closes.

    qlib's store holds adjusted prices and ``factor`` is adjusted over quoted; baostock's and Tushare's factors stand
    beside quoted prices. Which one it is shows where the factor steps: adjusted prices do not step with it.
    """
    if "factor" not in panel or "adj_close" in panel or RAW_CLOSE in panel:
        return panel
    factor, close = panel["factor"].astype(np.float64), panel["close"].astype(np.float64)
    known = np.isfinite(factor) & (factor > 0) & np.isfinite(close) & (close > 0)
    before = previous_row(known)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.log(factor / take_previous(factor, before))
        move = np.log(close / take_previous(close, before))
    steps = known & (np.abs(step) > np.log(1.02)) & np.isfinite(move)
    if (np.abs(move[steps] + step[steps]) < np.abs(move[steps])).sum() > steps.sum() / 2:
        return with_fields(panel, {"adj_close": np.where(known, close * factor, np.nan)})
    quoted = {RAW_CLOSE: np.where(known, close / np.where(known, factor, 1.0), np.nan)}
    if "volume" in panel:
        quoted[RAW_VOLUME] = panel["volume"] * np.where(known, factor, np.nan)
    return with_fields(panel, quoted)


Event = tuple[int, int, float, str]


def _user_events(panel: Panel, listed: pd.DataFrame) -> list[Event]:
    column = {name: n for n, name in enumerate(panel.assets)}
    events: list[Event] = []
    days = pd.to_datetime(listed["date"]).to_numpy().astype("datetime64[D]")
    for symbol, day, ratio in zip(listed["symbol"].astype(str), days, listed["ratio"].astype(float), strict=True):
        if not (np.isfinite(ratio) and ratio > 0):
            raise ValueError(f"splits: the ratio of {symbol} on {day} is {ratio}, expected new shares for one old one")
        row = int(np.searchsorted(panel.dates, day))
        if symbol in column and 0 < row < len(panel) and ratio != 1:
            events.append((row, column[symbol], ratio, "the list of splits"))
    return events


def _column_events(panel: Panel) -> list[Event]:
    ratios = panel["split"].astype(np.float64)
    cells = np.argwhere(np.isfinite(ratios) & (ratios > 0) & (np.abs(ratios - 1) > 1e-6))
    return [(int(t), int(n), float(ratios[t, n]), "the column split") for t, n in cells if t > 0]


def _without_near(events: list[Event], outranking: list[Event]) -> list[Event]:
    taken = {(day, asset) for day, asset, *_ in outranking}
    return [event for event in events if not _near(taken, event[0], event[1])]


def _near(taken: set[tuple[int, int]], day: int, asset: int) -> bool:
    return any((day + shift, asset) in taken for shift in range(-NEAR_DAYS, NEAR_DAYS + 1))


@dataclass(frozen=True)
class PlacedEvent:
    """An event of a list or a column at the bar whose price stepped.

    Attributes:
        day: Row of the bar.
        asset: Column.
        ratio: New shares for one old share.
        source: Who says so.
        stepped: Distance of the bar's move from that of quoted prices.
        resting: Distance of the bar's move from that of adjusted prices, none.
    """

    day: int
    asset: int
    ratio: float
    source: str
    stepped: float
    resting: float

    @property
    def clear(self) -> bool:
        """Whether the move says beyond doubt whether the prices are quoted."""
        sizes = sorted((self.stepped, self.resting))
        return abs(np.log(self.ratio)) >= NOTICEABLE and sizes[0] < sizes[1] / 2


def _placed(panel: Panel, day: int, asset: int, ratio: float, source: str) -> PlacedEvent:
    """Finds the bar whose price stepped.

    Vendors are off by a day now and then, and a split may fall on a halted day, so bars nearby are looked at too, where
    the ratio is one that no usual day moves by.
    """
    step = np.log(ratio)
    close = panel["close"][:, asset].astype(np.float64)
    bars = np.flatnonzero(np.isfinite(close))
    at = int(np.searchsorted(bars, day))
    near = NEAR_DAYS if abs(step) >= NOTICEABLE else 0
    nearby = [k for k in range(at - near, at + near + 1) if 0 < k < len(bars)]
    moves = {k: float(np.log(close[bars[k]] / close[bars[k - 1]])) for k in nearby}
    fitting = [k for k, move in moves.items() if abs(move + step) <= abs(step) / 4]
    here = min(fitting, key=lambda k: (abs(k - at), k), default=min(max(at, 1), len(bars) - 1))
    move = moves.get(here, 0.0)
    return PlacedEvent(int(bars[here]) if len(bars) else day, asset, ratio, source, abs(move + step), abs(move))


def _split(event: PlacedEvent, quoted: bool) -> StockSplit:
    doubt = quoted and event.resting < event.stepped
    source = f"{event.source}, though the price did not step" if doubt else event.source
    return StockSplit(event.day, event.asset, event.ratio, source, quoted)


def _neutral(panel: Panel) -> float:
    """Returns what the column ``split`` holds on most days: 1 is a coefficient of quoted prices, 0 is Yahoo's."""
    ratios = panel["split"]
    return 1.0 if (ratios == 1).sum() > (ratios == 0).sum() else 0.0


def _quoted(event: PlacedEvent, events: list[PlacedEvent], neutral: float) -> bool:
    """Returns whether the prices before an event of the column are quoted, by what most of its events show.

    The asset's own events decide where two or more are clear, then those of the whole market. A single event is
    evidence of itself, but a coefficient of 1 on all other days states that prices are quoted, and the vendor's word
    stands.
    """
    for group in ([one for one in events if one.asset == event.asset], events):
        votes = [one.stepped < one.resting for one in group if one.clear]
        if len(votes) >= 2 and 2 * sum(votes) != len(votes):
            return 2 * sum(votes) > len(votes)
    return neutral == 1.0 or event.stepped < event.resting


def _adjusted_missed(panel: Panel, split: StockSplit) -> bool:
    """Tells whether ``adj_close`` fell with the quoted close, so that it has to be mended too."""
    if "adj_close" not in panel or not split.quoted:
        return False
    adjusted = panel["adj_close"][:, split.asset]
    before = np.flatnonzero(np.isfinite(adjusted[: split.day]) & (adjusted[: split.day] > 0))
    if not len(before) or not adjusted[split.day] > 0:
        return False
    move = float(np.log(adjusted[split.day] / adjusted[before[-1]]))
    return bool(abs(move + np.log(split.ratio)) < abs(move))


def _adjusted_events(panel: Panel) -> list[StockSplit]:
    """Returns the splits that ``adj_close / close`` has steps for: by a ratio that companies choose, and overnight."""
    if "adj_close" not in panel:
        return []
    close, adjusted = panel["close"].astype(np.float64), panel["adj_close"].astype(np.float64)
    known = np.isfinite(close) & (close > 0) & np.isfinite(adjusted) & (adjusted > 0)
    before = previous_row(known)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.log(adjusted / close)
        step = factor - take_previous(np.where(known, factor, np.nan), before)
        move = np.log(close / take_previous(close, before))
    cells = np.argwhere(known & (np.abs(step) > ADJUSTED_STEP) & (np.abs(move + step) < np.abs(move)))
    splits = []
    for t, n in cells:
        ratio = nearest_ratio(float(step[t, n]))
        if abs(step[t, n] - np.log(ratio)) <= ADJUSTED_TOLERANCE:
            splits.append(StockSplit(int(t), int(n), ratio, "a step of adj_close", True))
    return splits


def described(panel: Panel, split: StockSplit) -> str:
    """Returns a split as one line for the report."""
    done = "" if split.quoted else ", the prices are adjusted for it already"
    return f"{ratio_name(split.ratio)} by {split.source}{done}"
