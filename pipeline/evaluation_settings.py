"""How an evaluation was made, as its metrics record it, and whether it answers what is asked now."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from configs.schema.evaluate import Evaluate
from evaluation.policy_comparison import REFERENCES
from market.storage.array_file import read_json
from pipeline.control_markets import read_index

TABLED = ("index", "index_return", "other_trials", "seed")
"""Settings that decide what a row of a comparison says; costs and hindsight are on the page alone."""


def record_of(settings: Evaluate, days: Sequence[str]) -> dict[str, Any]:
    """Returns settings as ``metrics.json`` holds them; an index is named by its asset and by what it was.

    Args:
        settings: How to evaluate.
        days: First and last day traded: the content of an index is that of these days.

    Raises:
        ValueError: The index cannot be read or lacks its asset.
    """
    record = asdict(settings) | {"cost_points": list(settings.cost_points)}
    record["index"] = _index_record(settings, days)
    del record["index_asset"]
    return record


def _index_record(settings: Evaluate, days: Sequence[str]) -> dict[str, Any] | None:
    """The traded panel's content is in the fingerprint of the run; one of its tickers is named alone."""
    if settings.index is None:
        return None if settings.index_asset is None else {"asset": settings.index_asset, "content": None}
    panel = read_index(settings.index)
    own = panel.select([settings.index_asset or panel.assets[0]], ["close"]).between(days[0], days[-1])
    return {"asset": own.assets[0], "content": replace(own, source={}).fingerprint}


def recorded(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that an evaluation was made with; of older ones the name of the index is all there is."""
    if "settings" in metrics:
        return dict(metrics["settings"])
    shown = index_of(metrics)
    return {"index": None if shown is None else {"asset": shown.removeprefix("index ")}}


def index_of(metrics: Mapping[str, Any]) -> str | None:
    """Returns the name of the published index that an evaluation was set beside, None where there was none."""
    measured_against = next(iter(metrics["comparisons"].values()))
    held = (*REFERENCES, metrics.get("rule"))
    return next((name for name in measured_against if name not in held), None)


def refuse_other_settings(path: Path, asked: Evaluate) -> None:
    """Refuses an evaluation that was made in another way than is asked for.

    Raises:
        ValueError: One of its settings is another, or the index has other prices on the days traded.
    """
    metrics = read_json(path)
    before, now = recorded(metrics), record_of(asked, metrics["test_days"])
    other = [name for name in now if name in before and differs(name, before, now)]
    if other:
        raise ValueError(
            f"{path}: the test days were evaluated {_said(other[0], before, now)}; --overwrite looks at them again and "
            "says so"
        )


def refuse_mixed_settings(paths: Sequence[Path]) -> None:
    """Refuses to set evaluations side by side that were made in different ways.

    Raises:
        ValueError: A setting that the table depends on differs between two of them.
    """
    found = {path: recorded(read_json(path)) for path in paths}
    first = next(iter(found), None)
    for path, record in found.items():
        for name in TABLED:
            if first is not None and name in record and name in found[first] and differs(name, found[first], record):
                raise ValueError(
                    f"{path}: evaluated {_said(name, record, found[first])} in {first}; name the settings "
                    "(--evaluate, --index) and --overwrite to evaluate both alike"
                )


def differs(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Returns whether two records differ in one setting, as far as both know it."""
    if name == "index_return" and None in (one["index"], other["index"]):
        return False  # it says something of an index alone
    if name != "index" or None in (one[name], other[name]):
        return bool(one[name] != other[name])
    shared = one[name].keys() & other[name].keys()
    return any(one[name][key] != other[name][key] for key in shared)


def _said(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if name != "index":
        return f"with {name} {before[name]}, now {now[name]}"
    was, asked = (None if one[name] is None else one[name]["asset"] for one in (before, now))
    if was == asked:
        return f"beside other prices of the index {was} than now"
    return " ".join([_beside(was), "instead of", _beside(asked)])


def _beside(asset: str | None) -> str:
    return "without an index" if asset is None else f"beside the index {asset}"
