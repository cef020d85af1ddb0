"""`python -m tools.decide --run workdir/trade/dj30_portfolio_storm_dual_ppo`: tomorrow's weights and trades."""

from collections.abc import Sequence
from dataclasses import dataclass

import pipeline
from tools.command import SHOWING, plain, run


@dataclass(frozen=True)
class Options:
    """Decides on the last day known: target weights, trades in shares and money, expected cost, and what is blocked."""

    run: str
    """Directory of the trading run."""
    panel: str | None = None
    """Panel to decide on; that of the run by default, where days may have been appended."""
    holdings: str | None = None
    """CSV of what is held, with the columns ticker and shares; a line named cash holds money."""
    capital: float | None = None
    """Worth of the account; without holdings 100000, with them what they are worth."""
    paper: str | None = None
    """File of a paper account, which is opened, or booked up to the last day."""
    max_age: int = 5
    """Days that the last close may be old."""
    today: str | None = None
    """The calendar's day, YYYY-MM-DD; the clock's by default."""
    schedule: bool = False
    """Also say when the next refit of the encoder is due."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""


def main(argv: Sequence[str]) -> None:
    """Decides what to hold tomorrow."""
    options = plain(Options, argv)
    settings = pipeline.Decide(
        options.panel, options.holdings, options.capital, options.paper, options.max_age, options.today
    )
    result = pipeline.decide(options.run, settings, options.workdir, observer=SHOWING)
    if options.schedule:
        due = result.about["next_refit"]
        print(f"next refit of the encoder: {due or 'not on a calendar; its states come from a single fit'}")


if __name__ == "__main__":
    run(main)
