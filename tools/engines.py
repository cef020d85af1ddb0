"""Options of commands that run many runs: where they go."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pipeline.jobs.engine import Engine


@dataclass(frozen=True)
class EngineOptions:
    """Where runs go."""

    engine: Literal["local", "ray"] = "local"
    """Run on this machine, or on a Ray cluster; results are the same."""
    jobs: int = 0
    """Runs at once, each in a process of its own. 0: one after the other in this process; on Ray what there is room
    for."""
    threads: int = 1
    """Threads of each run where several run at once; more than one may change the last bits of results."""
    gpus_per_job: float = 0.0
    """Graphics cards that Ray gives each run."""
    ray_address: str = "auto"
    """Ray cluster: auto for the one that is there, else a new one on this machine; local; host:port; ray://host:port."""
    return_files: bool = False
    """Runs come back through Ray's object store; for nodes that do not see the workdir."""

    def chosen(self) -> "Engine":
        """Returns the engine.

        Raises:
            ValueError: Options contradict each other.
        """
        from pipeline.jobs.engine import Engine

        return Engine(self.engine, self.jobs, self.threads, self.gpus_per_job, self.ray_address, self.return_files)
