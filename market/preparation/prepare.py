"""From what a source read to a panel that everything else can trust: clean, adjust, restrict, resample."""

from pathlib import Path

import pandas as pd

from market.panel import Panel
from market.preparation.adjustment import adjusted
from market.preparation.membership import with_membership
from market.preparation.resampling import Frequency, resample
from market.quality import Report, Rules, clean


def prepared(
    frame: pd.DataFrame,
    rules: Rules,
    adjust: bool = True,
    membership: pd.DataFrame | None = None,
    frequency: Frequency = "d",
    start: str | None = None,
    stop: str | None = None,
) -> tuple[Panel, Report]:
    """Returns the panel of `frame` and the report of what was wrong with it.

    The order is fixed: rows are cleaned by `rules`; prices are adjusted through ``adj_close`` where there is one;
    membership narrows what is listed; days outside `start` to `stop` (inclusive) are dropped; bars are resampled.

    Raises:
        ValueError: A rule refuses the data, or nothing is left of it.
    """
    panel, report = clean(frame, rules)
    if adjust and "adj_close" in panel:
        panel = adjusted(panel)
    if membership is not None:
        panel = with_membership(panel, membership)
    panel = panel.between(start, stop)
    if not len(panel) or not panel.listed.any():
        raise ValueError(
            f"panel: nothing is listed from {start or 'the start'} to {stop or 'the end'}; widen the range"
        )
    return resample(panel, frequency) if frequency != "d" else panel, report


def read_membership(path: str | Path) -> pd.DataFrame:
    """Returns membership intervals (``symbol, start, end``, or ``start_date, end_date``) from a CSV or Parquet table.

    Raises:
        ValueError: The file is missing or lacks one of the three columns.
    """
    try:
        frame = pd.read_parquet(path) if str(path).endswith(".parquet") else pd.read_csv(path)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name a table with symbol, start and end") from None
    frame = frame.rename(columns={"start_date": "start", "end_date": "end"})
    for name in ("symbol", "start", "end"):
        if name not in frame.columns:
            raise ValueError(
                f"{path}: no column '{name}' among {', '.join(map(str, frame.columns))}; rename the one that is"
            )
    return frame
