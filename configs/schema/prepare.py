"""Configuration of a prepared panel."""

from dataclasses import dataclass
from typing import Literal

from configs.schema.names import check_folder_name
from envs.rules import MarketRules
from market.preparation.quality import Rules
from market.sources import Source


@dataclass(frozen=True)
class Prepare:
    """Any source to one clean panel: read, clean, adjust, restrict, resample, save."""

    name: str
    """Folder under workdir/data that receives the panel."""
    source: Source
    """Where the bars come from."""
    rules: Rules = Rules()
    """Thresholds of each check, and the treatment of what it finds."""
    adjust: bool = True
    """Apply dividends, through adj_close or a column dividend; splits are undone either way. Keeps raw_close."""
    splits: str | None = None
    """Table (CSV or Parquet: symbol, date, ratio) of splits that outranks what vendors say; None for none."""
    keep_ragged_end: bool = False
    """Keep last days on which a part of the assets has no bar yet, instead of ending with the last complete day."""
    membership: str | None = None
    """Table (CSV or Parquet: symbol, start, end) of point-in-time membership; None lists every asset with bars."""
    frequency: Literal["d", "w", "m", "q"] = "d"
    """Length of a bar: day, week, month or quarter."""
    start: str | None = None
    """First day to keep (YYYY-MM-DD); None keeps all."""
    stop: str | None = None
    """Last day to keep (YYYY-MM-DD), inclusive; None keeps all."""
    market: MarketRules | None = None
    """How this market is traded; written into the panel, where later stages take over what they are not told.
    Costs each stage names itself; where they differ from these, the page says so."""

    def __post_init__(self) -> None:
        check_folder_name("Prepare", self.name)
