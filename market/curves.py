"""Curves of a training, step by step, for whoever keeps them beside TensorBoard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class CurveLog(Protocol):
    """Keeps curves, as a tracker of experiments does."""

    def settings(self, values: Mapping[str, Any]) -> None:
        """Keeps what decides a run, one plain value a name."""
        ...

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Keeps a point of each of some curves."""
        ...


@dataclass(frozen=True)
class CurveLogs:
    """Several keepers of curves at once, or none.

    Attributes:
        logs: Each of them.
    """

    logs: Sequence[CurveLog] = ()

    def settings(self, values: Mapping[str, Any]) -> None:
        """Tells each of them what decides a run."""
        for one in self.logs:
            one.settings(values)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Tells each of them a point of each curve."""
        for one in self.logs:
            one.log(values, step)


NO_CURVES = CurveLogs()
"""Keeps nothing."""
