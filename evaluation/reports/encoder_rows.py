"""Tables of encoders side by side: their forecasts, and what trading on them earned."""

from collections.abc import Mapping
from typing import Any

from evaluation.formats import bar_name, display_name, number, percent, percent_within, within


def forecast_rows(result: Mapping[str, Any], part: str) -> list[dict[str, Any]]:
    """Returns one row for each encoder: how good its forecasts of a part are, with intervals over days and seeds."""
    return [_forecast_row(name, one, part, result["reference"]) for name, one in result["encoders"].items()]


def _forecast_row(name: str, one: Mapping[str, Any], part: str, reference: str | None) -> dict[str, Any]:
    found = one[part]
    row = {
        "encoder": name,
        "seeds": one["n_seeds"],
        "IC": number(found["ic"], 4),
        "ICIR": number(found["icir"], 3),
        "rank IC, days": within(found["rank_ic"], found["rank_ic_ci"], 4),
        "rank IC, seeds": within(found["rank_ic"], found["rank_ic_seeds_ci"], 4),
        "rank ICIR": number(found["rank_icir"], 3),
    }
    if reference is not None:
        row |= _paired(found["against"], f"rank IC less {reference}", 4)
    row["codes used"] = ", ".join(percent(book["usage"], 0) for book in one["codebooks"].values()) or "–"
    return row


def trading_rows(result: Mapping[str, Any], rule: str) -> list[dict[str, Any]]:
    """Returns a row for each encoder, what trading on its forecasts earned on the test days after costs.

    Below them is what the same assets earned without a forecast, and beside them by how much each encoder is ahead.
    """
    held = result.get("references", {})
    rows = [
        _trading_row(name, one["trading"][rule], result["reference"], held) for name, one in result["encoders"].items()
    ]
    return rows + [_trading_row(display_name(name), found, result["reference"], held) for name, found in held.items()]


def _trading_row(name: str, found: Mapping[str, Any], reference: str | None, held: Mapping[str, Any]) -> dict[str, Any]:
    seeds = found.get("seeds_ci")
    row = {
        "encoder": name,
        "return a year": percent(found["annual_return"]),
        "Sharpe, days": within(found["sharpe"], found["sharpe_ci"]),
        "Sharpe, seeds": within(found["mean"]["sharpe"], seeds["sharpe"]) if seeds else "–",
        "deepest loss": percent(found["max_drawdown"]),
        f"turnover a {bar_name(found.get('periods_per_year', 252.0))}": percent(found["turnover"]),
    }
    for other in held:
        gap = found.get("beyond", {}).get(other)
        row[f"a year less {display_name(other)}"] = "–" if gap is None else percent_within(gap["difference"], gap["ci"])
    if reference is not None:
        row |= _paired(found.get("against"), f"Sharpe less {reference}", 2)
    return row


def _paired(found: Mapping[str, Any] | None, words: str, digits: int) -> dict[str, str]:
    if found is None:
        return {words: "–", "p": "–"}
    return {words: within(found["difference"], found["ci"], digits), "p": number(found["p_value"], 3)}
