"""A table of jobs: what runs where, what is finished, and what comes next."""

import atexit
import sys

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipeline.results import GraphProgress, JobProgress

ROWS = 30
"""Jobs that the table has room for: those under way first, then the next ones."""
ORDER = ("failed", "running", "queued", "waiting", "finished")


class LiveTable:
    """A table that is drawn over and over in a terminal; elsewhere a line for each change."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def show(self, progress: GraphProgress) -> None:
        """Shows where the jobs are."""
        if not sys.stdout.isatty() and self._live is None:
            print(line_of(progress), flush=True)
            return
        if self._live is None:
            self._live = Live(console=Console(), auto_refresh=False)
            self._live.start()
            atexit.register(self.stop)
        self._live.update(table_of(progress), refresh=True)
        if progress.is_over:
            self.stop()

    def stop(self) -> None:
        """Leaves the last table where it is."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def line_of(progress: GraphProgress) -> str:
    """Returns the change as a line."""
    one = next(job for job in progress.jobs if job.name == progress.changed)
    done = sum(job.state == "finished" for job in progress.jobs)
    return f"{one.name}: {_told(one)} ({done} of {len(progress.jobs)} finished)"


def table_of(progress: GraphProgress) -> Table:
    """Returns the jobs under way and those that come next."""
    counts = {state: sum(job.state == state for job in progress.jobs) for state in ORDER}
    table = Table(title=", ".join(f"{count} {state}" for state, count in counts.items() if count))
    for column in ("job", "state", "where", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for job in sorted(progress.jobs, key=lambda one: ORDER.index(one.state))[:ROWS]:
        started = "" if job.state == "waiting" else f"{job.seconds:,.0f}"
        table.add_row(job.name, job.state + _again(job), job.place, started)
    return table


def _told(job: JobProgress) -> str:
    where = f" on {job.place}" if job.place and job.state == "running" else ""
    after = f" after {job.seconds:.0f} s" if job.state in ("finished", "failed") else ""
    return job.state + _again(job) + where + after


def _again(job: JobProgress) -> str:
    return f", start {job.starts}" if job.starts > 1 else ""
