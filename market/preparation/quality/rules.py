"""Rules: which treatment every kind of dirt gets, and the thresholds that define it."""

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints


@dataclass(frozen=True)
class Rules:
    """One treatment per check, then the calendar and the thresholds.

    Attributes:
        weekend: Rows on a Saturday or Sunday on which less than half of the listed assets traded.
        additive: Assets whose prices were adjusted by subtraction, so that no ratio of them is a return.
        duplicate: Rows of the same date and symbol that disagree in a price; equal ones are always reduced to one, and
            of those that differ in volume alone the fuller one stays. ``last`` keeps the last row of the frame.
        missing: Rows without one of their prices, or without an adjusted close where the asset has had one before.
        nonpositive: Prices, open to adjusted close, at or below zero, or a volume that is negative or infinite.
        impossible: High below or low above another price of the bar. ``repair`` widens the range to hold them.
        extreme: A price above `max_price` and over `max_jump` times what the asset usually costs, or a bar whose
            highest price is over `max_jump` times its lowest.
        glitch: Up to four bars that lie wholly at another level than the bars before and after them.
        split: A split that the user, the vendor or ``adj_close`` tells of, or, where no vendor knows anything, one that
            all the evidence of `market.preparation.quality.evidence` agrees on. ``repair`` counts all prices in new
            shares.
        suspect: A move by the ratio of a split for which the evidence is not enough; its return stays.
        pending: Such a move, or a jump, in the last bars, too young to tell from a glitch.
        jump: A close over `max_jump` times the one before, or below its inverse, that lasts `confirm_days` bars.
            ``cut`` ends the listing at the last good price and begins another one. Judged on adjusted closes where
            there are any.
        relisted: More than `relist_days` days without a bar; ``cut`` likewise.
        stale: From the `stale_days`-th day on which nothing moved: the close as before and no volume, or the whole bar.
        zero_volume: Bars without volume, of assets that have any.
        gap: More than `gap_days` days of the panel without a row, while listed.
        short: Assets with fewer than `min_days` bars.
        coverage: Assets with bars on less than `min_coverage` of their listed days.
        holiday: Days on which less than `min_day_share` of the listed assets (of at least 5) have a bar.
        currencies: Assets quoted in another currency than most, by a column ``currency`` or Yahoo's exchange suffix.
        calendars: Assets with bars on at least three days a year on which most others have none.
        unknown_members: Symbols of a membership that are no asset, where they are more than the others or are spelled
            like an asset; ``keep`` counts them by year, as the few that a collection has forgotten.
        ragged: Last days that lack a bar of more than 5 % of the assets which the day before still had.
        calendar: Exchange (its code, as XNYS) whose sessions are the only days, by exchange_calendars; None for none.
        tolerance: Relative rounding error of prices.
        max_price: In currency units; a price above is looked at, and kept where the asset always costs so much.
        max_jump: Ratio between closes of consecutive days.
        confirm_days: Bars for which a new level must hold.
        relist_days: Days.
        stale_days: Days.
        gap_days: Days.
        min_days: Bars.
        min_coverage: Share of days.
        min_day_share: Share of assets.
    """

    weekend: Literal["drop", "keep", "refuse"] = "drop"
    additive: Literal["refuse", "drop", "keep"] = "refuse"
    duplicate: Literal["mask", "last", "refuse"] = "mask"
    missing: Literal["mask", "refuse"] = "mask"
    nonpositive: Literal["mask", "refuse"] = "mask"
    impossible: Literal["mask", "repair", "keep", "refuse"] = "mask"
    extreme: Literal["mask", "keep", "refuse"] = "mask"
    glitch: Literal["mask", "keep", "refuse"] = "mask"
    split: Literal["repair", "keep", "refuse"] = "repair"
    suspect: Literal["keep", "cut", "refuse"] = "keep"
    pending: Literal["mask", "keep", "refuse"] = "mask"
    jump: Literal["cut", "keep", "refuse"] = "cut"
    relisted: Literal["cut", "keep", "refuse"] = "cut"
    stale: Literal["untradable", "keep", "refuse"] = "untradable"
    zero_volume: Literal["untradable", "keep", "refuse"] = "untradable"
    gap: Literal["keep", "refuse"] = "keep"
    short: Literal["drop", "keep", "refuse"] = "drop"
    coverage: Literal["drop", "keep", "refuse"] = "drop"
    holiday: Literal["drop", "keep", "refuse"] = "drop"
    ragged: Literal["drop", "keep", "refuse"] = "drop"
    currencies: Literal["keep", "refuse"] = "keep"
    calendars: Literal["keep", "refuse"] = "keep"
    unknown_members: Literal["refuse", "keep"] = "refuse"
    calendar: str | None = None
    tolerance: float = 1e-4
    max_price: float = 1e6
    max_jump: float = 5.0
    confirm_days: int = 5
    relist_days: int = 250
    stale_days: int = 10
    gap_days: int = 0
    min_days: int = 20
    min_coverage: float = 0.5
    min_day_share: float = 0.2

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, allowed = getattr(self, field.name), get_args(hints[field.name])
            if field.name != "calendar" and allowed and value not in allowed:
                raise ValueError(f"rules: {field.name} is {value!r}, expected one of {', '.join(map(repr, allowed))}")
        for name, low, high in (
            ("tolerance", 0.0, 0.1),
            ("max_price", 1.0, float("inf")),
            ("max_jump", 1.5, float("inf")),
            ("confirm_days", 1, 60),
            ("relist_days", 1, 1_000_000),
            ("stale_days", 2, 10_000),
            ("gap_days", 0, 10_000),
            ("min_days", 1, 10_000),
            ("min_coverage", 0.0, 1.0),
            ("min_day_share", 0.0, 1.0),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"rules: {name} is {getattr(self, name)}, expected {low} to {high}")
