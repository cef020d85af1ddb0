"""Jobs that are done in no time, to see what engines do with them; nothing heavy is imported."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market.artifacts import AGENT_STATE
from market.storage.array_file import write_text
from pipeline.jobs.job import Job
from pipeline.results import Observer


@dataclass(frozen=True)
class Note(Job):
    """Writes its name and what those before it wrote into a file of its own folder.

    Attributes:
        kills: Starts of it that end in the death of the process.
        fails: Says this instead.
    """

    kills: int = 0
    fails: str = ""

    @property
    def folder(self) -> Path:
        return Path(self.workdir) / self.name

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(str(Path(self.workdir) / name) for name in self.after)

    @property
    def writes(self) -> tuple[str, ...]:
        return (str(self.folder),)

    def run(self, observer: Observer) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        starts = self.folder / "starts"
        with open(starts, "a") as handle:
            handle.write("x")
        if len(starts.read_text()) <= self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fails:
            raise ValueError(self.fails)
        before = sorted((Path(self.workdir) / name / "said").read_text() for name in self.after)
        said = f"{self.name}({''.join(before)})"
        (self.folder / "said").write_text(said)
        return said

    def result(self, answer: Any) -> Any:
        return answer


@dataclass(frozen=True)
class Nap(Note):
    """The same after a while."""

    def run(self, observer: Observer) -> Any:
        time.sleep(0.3)
        return super().run(observer)


@dataclass(frozen=True)
class Count(Note):
    """Counts in a file that it continues from, and answers how many steps its last start took.

    Attributes:
        steps: How far.
        seconds: Of each step.
    """

    steps: int = 10
    seconds: float = 0.1

    @property
    def state(self) -> Path:
        return self.folder / AGENT_STATE

    def run(self, observer: Observer) -> Any:
        first = int(self.state.read_text()) if self.state.exists() else 0
        for step in range(first, self.steps):
            time.sleep(self.seconds)
            write_text(self.folder / "work", f"{step + 1}")
            write_text(self.state, str(step + 1))
        return self.steps - first
