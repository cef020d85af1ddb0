"""Trading runs side by side: each beside buy and hold on its own test days."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.schema.evaluate import Evaluate
from evaluation.formats import number, percent
from market.storage.array_file import read_json
from tools.console import within
from tools.evaluate import evaluate
from tools.runs.trials import METRICS


def evaluated(folder: Path, settings: Evaluate, workdir: Path, overwrite: bool) -> dict[str, Any]:
    """Returns the metrics of a run, which is evaluated where it has not been.

    Raises:
        ValueError: It was evaluated without the index that `settings` name, and is not to be evaluated again.
    """
    target = workdir / "evaluate" / folder.name
    if overwrite or not (target / METRICS).exists():
        evaluate({folder.name: [folder]}, folder.name, settings, target, overwrite)
    found: dict[str, Any] = read_json(target / METRICS)
    if settings.index is not None and index_of(found) is None:
        raise ValueError(
            f"{target / METRICS}: the test days were evaluated without the index {settings.index}; --overwrite looks "
            "at them again and says so"
        )
    return found


def index_of(metrics: Mapping[str, Any]) -> str | None:
    """Returns the name of the published index that an evaluation was set beside, None where there was none."""
    measured_against = next(iter(metrics["comparisons"].values()))
    return next((name for name in measured_against if name.startswith("index ")), None)


def trading_rows(name: str, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns one row for each agent of an evaluation: itself, buy and hold, the index, and the differences."""
    rows, index = [], index_of(metrics)
    passive = metrics["performance"]["buy_and_hold"]
    for agent, found in metrics["comparisons"].items():
        own, gain = metrics["performance"][agent], found["buy_and_hold"]["sharpe"]
        row = {
            "run": name,
            "agent": agent,
            "return a year": percent(own["annual_return"]),
            "Sharpe": within(own["sharpe"], own["sharpe_ci"]),
            "Sharpe over seeds": within(own["mean"]["sharpe"], own["ci"]["sharpe"]),
            "deepest loss": percent(own["max_drawdown"]),
            "buy and hold": percent(passive["annual_return"]),
            "its Sharpe": number(passive["sharpe"]),
            "difference": within(gain["difference"], gain["ci"]),
        }
        if index is not None:
            beyond = found[index]["sharpe"]
            row |= {
                "index": percent(metrics["performance"][index]["annual_return"]),
                "Sharpe of the index": number(metrics["performance"][index]["sharpe"]),
                "difference from the index": within(beyond["difference"], beyond["ci"]),
            }
        rows.append(row | {"verdict": metrics["verdict"][agent]["word"]})
    return rows
