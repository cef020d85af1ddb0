"""Configuration of an evaluation."""

from dataclasses import dataclass, field
from typing import Literal

from configs.paths import IN_WORKDIR


@dataclass(frozen=True)
class Evaluate:
    """How a trained run is evaluated on its test days: rivals, costs, and what is counted as tried."""

    cost_points: tuple[float, ...] = (0.0, 1.0, 5.0, 10.0, 20.0)
    """Proportional costs in basis points at which agents and references are traded again; empty leaves it out."""
    index: str | None = field(default=None, metadata={IN_WORKDIR: "data/{}/panel.safetensors"})
    """Published index: a table of its prices (CSV, Parquet), a panel file in the workdir, or the name of a prepared
    panel; None for none."""
    index_asset: str | None = None
    """Ticker of the index there, which may be left out where there is only one; without an index, a ticker of the panel
    that is traded."""
    index_return: Literal["price", "total"] = "price"
    """Whether that index leaves out dividends, like ^DJI and ^GSPC, or reinvests them, like ^SP500TR."""
    hindsight: bool = True
    """Add what hindsight would have earned, labelled as cheating."""
    other_trials: int = 0
    """Training runs that were tried and deleted: they count in the deflated Sharpe ratio although nothing is known."""
    seed: int = 0
    """Of every bootstrap."""

    def __post_init__(self) -> None:
        if any(points < 0 for points in self.cost_points):
            raise ValueError(f"Evaluate: cost_points are {self.cost_points}, expected basis points of at least 0")
        if self.other_trials < 0:
            raise ValueError(f"Evaluate: other_trials is {self.other_trials}, expected at least 0")
