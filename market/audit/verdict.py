"""How hard an audit looks, and what it found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from market.audit.external import External


@dataclass(frozen=True)
class Scrutiny:
    """How hard the audit of a function of a panel looks.

    Attributes:
        cuts: Days after which the whole future is rewritten, whatever the function's memory.
        cells: Values (days x assets x columns, summed over recomputations) that the comparison of every row may take;
            beyond it each row is compared for a part of the assets. At the default that takes some ten seconds.
        tolerance: Share of a column's standard deviation that counts as moved; below it is rounding.
        memory: Longest memory in days up to which every row is compared with every lead.
        seed: Of the rewritten worlds.
    """

    cuts: int = 6
    cells: float = 1.8e9
    tolerance: float = 1e-5
    memory: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("cuts", 1), ("cells", 0.0), ("tolerance", 0.0), ("memory", 1)):
            if not getattr(self, name) >= least:
                raise ValueError(f"audit: {name} is {getattr(self, name)}, expected at least {least}")


@dataclass(frozen=True)
class AuditResult:
    """Result of an audit: one line a fault, which checks were made, and what they covered.

    Attributes:
        faults: One line each, with the column and the day.
        checks: ``passed``, ``failed`` or why it was skipped, by name of the check.
        settings: How hard it looked.
        coverage: Which rows were compared with which of their futures.
        external: Columns that were computed elsewhere and cannot be audited, with the days until they are known.
    """

    faults: tuple[str, ...]
    checks: Mapping[str, str]
    settings: Any
    coverage: Mapping[str, Any] = field(default_factory=dict)
    external: tuple[External, ...] = ()

    @property
    def passed(self) -> bool:
        """True where nothing moved that must not, and everything moved that must."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Returns the content of ``audit.json``."""
        return {
            "verdict": "passed" if self.passed else "failed",
            "checks": dict(self.checks),
            "faults": list(self.faults),
            "coverage": dict(self.coverage),
            "external": {one.name: one.lag for one in self.external},
            "settings": asdict(self.settings),
        }


class AuditError(ValueError):
    """Something that a policy is to see looks at what it must not; carries the `AuditResult`."""

    def __init__(self, verdict: AuditResult, consequence: str) -> None:
        super().__init__(f"the audit failed, {consequence}: {'; '.join(verdict.faults)}")
        self.verdict = verdict
