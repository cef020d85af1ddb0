"""Who did better: the one rule by which a paired difference becomes a word."""

from collections.abc import Mapping, Sequence
from typing import Any

CONFIDENT = 0.95
SIGNIFICANT = 0.05
SAME = 0.05
"""Difference of annual Sharpe ratios within which two count as equal."""


def outcome(metrics: Mapping[str, Any], agent: str, reference: str) -> str:
    """Returns ``beats``, ``loses``, ``equals`` or ``undecided`` by rule 1 of `evaluation.verdict`."""
    found = sign(metrics["comparisons"][agent][reference]["sharpe"]["ci"])
    return "undecided" if found == "beats" and not steady(metrics, agent, reference) else found


def sign(interval: Sequence[float] | None) -> str:
    """Returns what the 95 % interval of a difference of Sharpe ratios says by itself."""
    if interval is None:
        return "undecided"
    low, high = interval
    if low > -SAME and high < SAME:
        return "equals"
    return "beats" if low > 0 else "loses" if high < 0 else "undecided"


def steady(metrics: Mapping[str, Any], agent: str, reference: str) -> bool:
    """Returns whether the interval of the seeds' mean Sharpe ratio lies above the reference; true for one seed."""
    own, theirs = metrics["performance"][agent], metrics["performance"][reference]["sharpe"]
    interval = own["ci"]["sharpe"]
    return own["n_seeds"] == 1 or (interval is not None and theirs is not None and interval[0] > theirs)
