"""The audit in one line for people: the data that were seen, and how much was proven about them."""

from collections.abc import Mapping
from typing import Any

BUILT_IN = "built in"
"""Verdict on bars: ratios within a day's bar and to the close before, made by the library alone (tested)."""


def is_proven(record: Mapping[str, Any]) -> bool:
    """Returns whether an audit of what was seen passed, or nothing was seen that could be audited."""
    return _verdict(record) in ("passed", BUILT_IN)


def sentence(record: Mapping[str, Any]) -> str:
    """Returns one line on what an agent saw, and what was proven about that.

    Args:
        record: A run's ``audit.json``, or the provenance of a tape (`envs.Tape.provenance`).
    """
    seen = f"The agent saw {record.get('sees', 'something that was not recorded')}"
    if _verdict(record) == BUILT_IN:
        return f"{seen}: ratios within each day's bar and to the close before, which hold nothing later."
    if not is_proven(record):
        why = record.get("why") or "nothing shows that it did not see the future"
        return f"{seen}; not audited: {why}."
    if record.get("sees") == "nothing of the market":
        return f"{seen}, so there is nothing to prove."
    parts = [f"{seen}; audited and passed", _covered(record.get("coverage", {})), _external(record.get("external", {}))]
    return "; ".join(part for part in parts if part) + "."


def _verdict(record: Mapping[str, Any]) -> Any:
    return record.get("verdict", record.get("audit"))


def _covered(coverage: Mapping[str, Any]) -> str:
    every = coverage.get("every_row")
    if not every:
        return ""
    days = f"{coverage['days']:,} days from {coverage['first_day']} to {coverage['last_day']}"
    long = len(coverage.get("exact_cuts_only", ()))
    if len(coverage["exact_cuts"]) >= coverage["days"] - 1:
        return f"{days}, the future rewritten after each"
    told = f"{days}, each compared with every later day rewritten ({every['assets_per_row']} assets a day)"
    return f"{told}, {long} columns with a long memory on {len(coverage['exact_cuts'])} days" if long else told


def _external(external: Mapping[str, int]) -> str:
    if not external:
        return ""
    named = ", ".join(f"{name} (known after {lag} days)" for name, lag in list(external.items())[:4])
    return f"external, not auditable: {named}{', ...' if len(external) > 4 else ''}"
