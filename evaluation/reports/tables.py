"""Tables of the report, each a view of the content of ``metrics.json``."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

from evaluation.formats import bar_name, display_name, listed, number, p_value, percent, position_name
from evaluation.outcomes import outcome, sign
from evaluation.performance import DAYS_PER_YEAR
from evaluation.reports.html import table
from evaluation.statements import is_part, mean_over, split_over

HEADLINE = (
    "policy", "return a year", "Sharpe", "volatility", "deepest loss", "Calmar", "Sortino", "final wealth",
)  # fmt: skip
TRADING = (
    "policy", "invested, mean", "{bar}s in the market", "turnover a {bar}",
    "costs paid in all, of starting money", "trades", "{bar}s until all sold, mean",
    "closed holdings with a profit", "{bar}s with a gain",
    "Sharpe > 0*", "deflated*",
)  # fmt: skip
ABSURD = 100.0
"""Return a year beyond which the exact figure says nothing more."""
OUTCOMES = {"beats": "better", "loses": "worse", "equals": "the same", "undecided": "cannot tell"}
TONES = {"beats": "good", "loses": "bad", "equals": "", "undecided": ""}
CHECKS = {
    "inputs": "later days rewritten, asked of the encoder's inputs on every day",
    "window": "days outside the look-back window deleted",
    "future": "later days rewritten",
    "batch": "other days in the same batch",
    "labels": "labels replaced",
    "scaler": "days after the fit, to the scaler",
    "assets": "values of assets that are masked on a day, or of none where all are listed",
}
"""Checks of the states in words."""
PREDICTION = (
    ("ic", "IC", 4),
    ("icir", "ICIR", 3),
    ("rank_ic", "rank IC", 4),
    ("rank_icir", "rank ICIR", 3),
    ("rank_ic_t", "t (Newey-West)", 2),
    ("n_days", "days", 0),
    ("n_assets", "assets", 0),
)


def headline_table(metrics: Mapping[str, Any]) -> str:
    """Returns every policy's return and risk, with 95 % intervals below; agents first."""
    rows = []
    for name, one in _possible(metrics):
        own = name in metrics["comparisons"]
        seeds = f"<small>{split_over(one['n_seeds'])}</small>" if own and one["n_seeds"] > 1 else ""
        shown = {
            key: None if one.get("cheats") else one.get(f"{key}_ci")
            for key in (
                "annual_return",
                "sharpe",
                "annual_volatility",
                "max_drawdown",
                "calmar",
                "sortino",
                "final_wealth",
            )
        }
        rows.append(
            (
                html.escape(display_name(name)) + seeds,
                percent(one["annual_return"]) + interval(shown["annual_return"], percent),
                number(one["sharpe"]) + interval(shown["sharpe"], number),
                percent(one["annual_volatility"]) + interval(shown["annual_volatility"], percent),
                percent(one["max_drawdown"]) + interval(shown["max_drawdown"], percent),
                number(one["calmar"]) + interval(shown["calmar"], number),
                number(one["sortino"]) + interval(shown["sortino"], number),
                number(one["final_wealth"]) + interval(shown["final_wealth"], number),
            )
        )
    return table(HEADLINE, rows, _kinds(metrics))


def _possible(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The policies that somebody could have followed, without the one that knows the future."""
    return [(name, one) for name, one in metrics["performance"].items() if not one.get("cheats")]


def hindsight_words(metrics: Mapping[str, Any]) -> str | None:
    """Returns a sentence on what perfect knowledge of the future would have earned; None where it is not known."""
    found = next((one for one in metrics["performance"].values() if one.get("cheats")), None)
    if found is None:
        return None
    earned = found["annual_return"]
    yearly = percent(earned) if earned is None or earned < ABSURD else f"more than {100 * ABSURD:,.0f} %"
    return (
        f"Whoever had known every price in advance, long only and at the same costs, would have earned "
        f"{yearly} a year. Nobody can: this bounds what was there to be earned, and is no "
        "policy to compare with."
    )


def trading_table(metrics: Mapping[str, Any]) -> str:
    """Returns how every policy traded, and how sure its Sharpe ratio is."""
    rows = [
        (
            html.escape(display_name(name)),
            percent(one["exposure"], 0),
            percent(one["time_in_market"], 0),
            percent(one["turnover"]),
            percent(one["cost_paid"]),
            f"{one['n_trades']:,}",
            number(one["average_holding_days"], 0),
            percent(one["win_rate"], 0),
            percent(one["hit_rate"], 0),
            number(one["psr"]),
            number(one["deflated_sharpe"]) if name in metrics["comparisons"] else "–",
        )
        for name, one in _possible(metrics)
    ]
    bar = bar_name(max(one.get("periods_per_year", DAYS_PER_YEAR) for one in metrics["performance"].values()))
    return table([head.format(bar=bar) for head in TRADING], rows, _kinds(metrics))


def comparison_table(metrics: Mapping[str, Any], agent: str) -> str:
    """Returns the paired differences of an agent from each reference, and what they decide."""
    rows: list[tuple[str, ...]] = []
    for name, found in metrics["comparisons"][agent].items():
        decided = outcome(metrics, agent, name)
        sharpe, growth = found["sharpe"], found["annual_return"]
        rows.append(
            (
                f"against {html.escape(display_name(name))}",
                number(sharpe["difference"]) + interval(sharpe["ci"], number),
                p_value(sharpe["p_value"]),
                percent(growth["difference"]) + interval(growth["ci"], percent),
                p_value(growth["p_value"]),
                f'<span class="{TONES[decided]}">{OUTCOMES[decided]}</span>',
            )
        )
        if "price_return" in found:
            rows.append(_prices_row(name, found["price_return"]))
    columns = ("", "difference of Sharpe", "p", "difference of return a year", "p", "by Sharpe it is")
    return table(columns, rows)


def family_words(metrics: Mapping[str, Any]) -> str | None:
    """Returns the test of all policies together in a sentence; None where no reference could be tested against."""
    tests = metrics["superior_predictive_ability"]
    known = {display_name(name): p_value(one["consistent"]) for name, one in tests.items() if one is not None}
    found = [f"p {p if p.startswith('<') else f'= {p}'} against {name}" for name, p in known.items()]
    if not found:
        return None
    return (
        "One test of the whole table (superior predictive ability, SPA), the same for every agent: if no policy and no "
        "agent earned more than the reference, the best of them would still look as good as it does with probability "
        f"{listed(found)}."
    )


def _prices_row(name: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of an agent without its dividends against a price index."""
    decided = sign(found["ci"])
    return (
        f"against {html.escape(display_name(name))}, prices alone",
        number(found["difference"]) + interval(found["ci"], number),
        p_value(found["p_value"]),
        "–",
        "–",
        f'<span class="{TONES[decided]}">{OUTCOMES[decided]}</span>',
    )


def seeds_table(one: Mapping[str, Any]) -> str:
    """Returns each seed of an agent and the mean over seeds with its interval."""
    bar = bar_name(one.get("periods_per_year", DAYS_PER_YEAR))
    columns = ("seed", "return a year", "Sharpe", "deepest loss", f"turnover a {bar}", "final wealth")
    measures = (
        ("annual_return", percent),
        ("sharpe", number),
        ("max_drawdown", percent),
        ("turnover", percent),
        ("final_wealth", number),
    )
    rows = [
        (html.escape(display_name(name)), *(form(found[key]) for key, form in measures))
        for name, found in one["seeds"].items()
    ]
    row = mean_over(len(one["seeds"]))
    bounds = one["ci"] | {"turnover": None}  # by Student's t it would reach below zero
    rows.append((row, *(form(one["mean"][key]) + interval(bounds[key], form) for key, form in measures)))
    return table(columns, rows, [*("" for _ in one["seeds"]), "lead"])


def years_table(metrics: Mapping[str, Any]) -> str:
    """Returns the return and Sharpe ratio of each calendar year, of agents, references and the rest."""
    names = [name for name, one in metrics["performance"].items() if not one.get("cheats")]
    years = [_year(row, metrics["performance"][names[0]]) for row in metrics["per_year"][names[0]]]
    rows = []
    for name in names:
        found = metrics["per_year"][name]
        cells = [percent(row["return"]) + f"<small>{number(row['sharpe'])}</small>" for row in found]
        rows.append((html.escape(display_name(name)), *cells))
    kinds = ["lead" if name in metrics["comparisons"] else "" for name in names]
    return table(("return, Sharpe below", *years), rows, kinds)


def _year(row: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    """A calendar year, with the number of its bars where that is only a part of it."""
    bars, periods = row.get("n_days"), one.get("periods_per_year", DAYS_PER_YEAR)
    return f"{row['year']} ({bars} {bar_name(periods)}s only)" if is_part(row, one) else str(row["year"])


def costs_table(metrics: Mapping[str, Any]) -> str:
    """Returns the Sharpe ratio and the return a year at each cost."""
    sensitivity = metrics["cost_sensitivity"]
    points = list(next(iter(sensitivity.values())))
    rows = [
        (
            html.escape(display_name(name)),
            *(number(found[at]["sharpe"]) + f"<small>{percent(found[at]['annual_return'])}</small>" for at in points),
        )
        for name, found in sensitivity.items()
    ]
    kinds = ["lead" if name in metrics["comparisons"] else "" for name in sensitivity]
    return table(("Sharpe, return a year below", *(f"{at} bp" for at in points)), rows, kinds)


def relative_table(metrics: Mapping[str, Any]) -> str:
    """Returns alpha, beta and the like against the index."""
    rows, kinds = [], []
    for name, one in metrics["performance"].items():
        found = one.get("relative")
        if found is None or one.get("cheats"):
            continue
        cells = (percent(found["alpha"]), number(found["beta"]), number(found["correlation"]))
        rest = (percent(found["tracking_error"]), number(found["information_ratio"]))
        rows.append((html.escape(display_name(name)), *cells, *rest, percent(found["excess_annual_return"])))
        kinds.append("lead" if name in metrics["comparisons"] else "")
    columns = (
        "against the index",
        "alpha a year",
        "beta",
        "correlation",
        "tracking error",
        "information ratio",
        "excess",
    )
    return table(columns, rows, kinds)


def prediction_table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the prediction measures of valid and test side by side."""
    rows = [
        (name, *(number(one[key], digits) + _its_interval(one, key) for key, name, digits in PREDICTION))
        for name, one in parts.items()
    ]
    return table(
        ("part", *(name for _, name, _ in PREDICTION)), rows, ["lead" if name == "test" else "" for name in parts]
    )


def codebooks_table(codebooks: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns perplexity, use and dead codes of each code of a token."""
    rows = [
        (
            position_name(k, len(codebooks)),
            number(one["perplexity"], 1),
            percent(one["usage"]),
            f"{one['dead_codes']:,}",
        )
        for k, one in enumerate(codebooks.values())
    ]
    return table(("on test days", "perplexity", "codes used", "dead codes"), rows)


def audit_table(checks: Iterable[tuple[str, str]]) -> str:
    """Returns the checks of the audit and how they went."""
    tones = {"passed": "good", "failed": "bad"}
    rows = [
        (
            html.escape(name),
            f'<span class="{tones.get(word.split()[0], "")}">{html.escape(word)}</span>',
            CHECKS.get(name, ""),
        )
        for name, word in checks
    ]
    return table(("check", "result", "what must not move a state"), rows, texts=(2,))


def interval(bounds: Iterable[float] | None, form: Any) -> str:
    """Returns an interval as a small line of its own; nothing where there is none."""
    if bounds is None:
        return ""
    low, high = (form(bound).removesuffix(" %") for bound in bounds)
    return f"<small>{low} to {high}</small>"


def _its_interval(one: Mapping[str, Any], key: str) -> str:
    return interval(one.get(f"{key}_ci"), lambda bound: number(bound, 3))


def _kinds(metrics: Mapping[str, Any]) -> list[str]:
    return ["lead" if name in metrics["comparisons"] else "" for name, _ in _possible(metrics)]
