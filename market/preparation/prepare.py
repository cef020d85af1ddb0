"""From what a source read to a panel that everything else can trust: clean, adjust, restrict, resample."""

from dataclasses import replace

import pandas as pd

from market.panel import Panel
from market.preparation.adjustment import adjusted
from market.preparation.membership import check_members, membership_coverage, with_membership
from market.preparation.quality import Report, Rules, clean
from market.preparation.resampling import Frequency, resample


def prepared(
    frame: pd.DataFrame,
    rules: Rules,
    adjust: bool = True,
    membership: pd.DataFrame | None = None,
    frequency: Frequency = "d",
    start: str | None = None,
    stop: str | None = None,
    splits: pd.DataFrame | None = None,
) -> tuple[Panel, Report]:
    """Returns the panel of `frame` and the report of what was wrong with it.

    The order is fixed: splits are undone and rows cleaned by `rules`; prices are adjusted through ``adj_close`` where
    there is one, or for a column ``dividend``; membership narrows what is listed, and the report counts members without
    a bar; days outside `start` to `stop` (inclusive) are dropped; bars are resampled.

    Args:
        frame: Long frame of bars, as `market.preparation.quality.clean` takes it.
        rules: What counts as dirt, and what is done about each kind.
        adjust: Apply dividends; splits are undone either way.
        membership: Intervals ``symbol, start, end``; None lists every asset with bars.
        frequency: Length of a bar.
        start: First day to keep.
        stop: Last day to keep.
        splits: The user's own list of splits, ``symbol, date, ratio``, which outranks all else.

    Raises:
        ValueError: A rule refuses the data or the membership, or nothing is left of it.
    """
    panel, report = clean(frame, rules, splits=splits, dividends=adjust)
    if adjust and "adj_close" in panel:
        panel = adjusted(panel)
    if membership is not None:
        check_members(panel, membership, rules.unknown_members == "keep")
        panel = with_membership(panel, membership)
        report = replace(report, membership=membership_coverage(panel, membership))
    panel = panel.between(start, stop)
    if not len(panel) or not panel.listed.any():
        raise ValueError(
            f"panel: nothing is listed from {start or 'the start'} to {stop or 'the end'}; widen the range"
        )
    return resample(panel, frequency) if frequency != "d" else panel, report
