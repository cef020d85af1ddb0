"""Statements: sentences that are read from one row of one table, and say which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.formats import bar_name, display_name, listed, number, percent, with_interval
from evaluation.outcomes import SAME, outcome, sign
from evaluation.performance import DAYS_PER_YEAR, PAUSE, pause_limit

Metrics = Mapping[str, Any]

RETURNS, DIFFERENCES, SEEDS = "returns, risk and trading", "against its references", "seeds"
YEARS, COSTS, FORECAST, DATA = "calendar years", "costs", "forecast", "data"
"""Tables of the page."""
FIRST = 3
"""Policies that a sentence names of those that did better, the best first; the rest is counted."""
WHOLE = 0.9
"""Share of the account in assets from where it counts as invested."""
NAMED = 12
"""Other runs that a sentence names; the rest is counted."""
PRICES_ALONE = {
    "beats": "did better than",
    "loses": "did worse than",
    "equals": "had practically the Sharpe ratio of",
    "undecided": "cannot be distinguished from",
}


@dataclass(frozen=True)
class Statement:
    """One sentence.

    Attributes:
        text: The sentence.
        table: Table that it was read from.
        row: Row of that table.
    """

    text: str
    table: str
    row: str


def account(metrics: Metrics, agent: str) -> str:
    """Returns the name of the account that an agent's figures are of: its money is split where it has several seeds."""
    count = metrics["performance"][agent]["n_seeds"]
    return display_name(agent) + (f" ({split_over(count)})" if count > 1 else "")


def split_over(count: int) -> str:
    """Returns what the account is called that gives each of `count` seeds an equal part of the money."""
    return f"money split over {count} seeds"


def growth(metrics: Metrics, agent: str) -> Statement:
    """Returns what the agent and its references made of the money."""
    own = metrics["performance"][agent]
    others = [
        f"{display_name(name)} ended at {one['final_wealth']:.2f} ({percent(one['annual_return'])} a year)"
        for name, one in metrics["performance"].items()
        if name in metrics["comparisons"][agent]
    ]
    sharpe, loss = with_interval(own["sharpe"], own["sharpe_ci"]), percent(-own["max_drawdown"])
    text = (
        f"Over {own['n_days']:,} trading days, after costs, {account(metrics, agent)} turned 1.00 into "
        f"{own['final_wealth']:.2f} "
        f"({percent(own['annual_return'])} a year, Sharpe ratio {sharpe}, deepest loss {loss})"
        + (f"; {', '.join(others)}." if others else ".")
    )
    return Statement(text, RETURNS, display_name(agent))


def rivals(metrics: Metrics, agent: str) -> Statement | None:
    """Returns which other policies of the table did better than the agent; None where its Sharpe ratio is undefined."""
    own = metrics["performance"][agent]
    others = {name: one for name, one in metrics["performance"].items() if _is_rival(metrics, name, one)}
    if own["sharpe"] is None or not others:
        return None
    parts = [
        _ahead(others, own, "sharpe", "a higher Sharpe ratio", number),
        _ahead(others, own, "annual_return", "a higher return a year", percent),
        _ahead(others, own, "max_drawdown", "a smaller deepest loss", lambda loss: percent(-loss)),
    ]
    text = f"Of the {len(others)} other policies in its table that are not the agent, {'; '.join(parts)}."
    if len(others) == 1:
        text = f"Of the one other policy in its table that is not the agent: {'; '.join(parts)}."
    return Statement(text, RETURNS, display_name(agent))


def _is_rival(metrics: Metrics, name: str, one: Mapping[str, Any]) -> bool:
    """Whether a policy was neither trained, nor knows the future, nor is cash."""
    trained = any(name == agent or name.startswith(f"{agent}: ") for agent in metrics["comparisons"])
    return not trained and not one.get("cheats") and one["sharpe"] is not None


def _ahead(others: Metrics, own: Mapping[str, Any], key: str, words: str, form: Callable[[float], str]) -> str:
    ahead = {name: one[key] for name, one in others.items() if one[key] > own[key]}
    ranked = sorted(ahead, key=lambda name: -ahead[name])
    shown = ", ".join(f"{display_name(name)} {form(ahead[name])}" for name in ranked[:FIRST])
    shown += f", and {len(ranked) - FIRST} more" if len(ranked) > FIRST else ""
    return f"{len(ahead) or 'none'} had {words} than its {form(own[key])}" + (f" ({shown})" if shown else "")


def known_optimum(metrics: Metrics, agent: str) -> Statement | None:
    """Returns how near the agent came to the best that can be known; None where the market is no simulated one."""
    known = metrics.get("known_optimum")
    if known is None or agent not in known["shares"]:
        return None
    text = (
        "This market is simulated, so the best is known: of policies that know every expected return and differ in how "
        f"far and how often they trade, the best had a log growth of {number(known['growth'])} a year beyond equal "
        f"weight, after costs; {display_name(agent)} reached {percent(known['shares'][agent], 0)} of that."
    )
    return Statement(text, "metrics.json", "known_optimum")


def pause(metrics: Metrics, agent: str) -> Statement | None:
    """Returns for how long an agent that trades stopped to; None where it never did for a month."""
    own = metrics["performance"][agent]
    days, bar = own.get("longest_pause_days") or 0, bar_name(own.get("periods_per_year", DAYS_PER_YEAR))
    if days < own.get("periods_per_year", DAYS_PER_YEAR) / 12 or not own.get("turnover", 0.0) > 10 * PAUSE:
        return None
    text = (
        f"It stopped trading for up to {int(days):,} of {own['n_days']:,} {bar}s in a row, on each of which it traded "
        f"less than {percent(pause_limit(own['turnover']), 2)} of the account (on average {percent(own['turnover'])}); "
        "see what it held."
    )
    return Statement(text, "metrics.json", "longest_pause_days")


def against(metrics: Metrics, agent: str, name: str) -> Statement:
    """Returns what the paired difference from a reference says, and nothing of any other reference."""
    found, row = metrics["comparisons"][agent][name]["sharpe"], f"against {display_name(name)}"
    if found["ci"] is None:
        text = (
            f"There is no interval for the difference from {display_name(name)}: too few days, or nothing to compare."
        )
        return Statement(text, DIFFERENCES, row)
    measured = f"difference of Sharpe ratios {with_interval(found['difference'], found['ci'])}"
    decided = outcome(metrics, agent, name)
    if decided == "beats":
        text = f"It did better than {display_name(name)} for the risk taken: {measured}, which excludes zero."
    elif decided == "loses":
        text = f"It did worse than {display_name(name)} for the risk taken: {measured}, which excludes zero."
    elif decided == "equals":
        text = (
            f"Its Sharpe ratio was practically that of {display_name(name)}: {measured}, all of it within "
            f"±{SAME:.2f}, which counts as equal here{_partly_held(metrics, agent)}."
        )
    elif found["ci"][0] > 0:
        text = f"It did better than {display_name(name)} ({measured}), but {_unsteady(metrics, agent, name)}."
    else:
        text = (
            f"It cannot be distinguished from {display_name(name)} for the risk taken: {measured}, which includes zero."
        )
    return Statement(text, DIFFERENCES, row)


def _partly_held(metrics: Metrics, agent: str) -> str:
    """A note on the Sharpe ratio of an account partly in cash; nothing where it is invested."""
    exposure = metrics["performance"][agent].get("exposure")
    if exposure is None or exposure > WHOLE:
        return ""
    return (
        f"; it was invested at {percent(exposure, 0)} on average, and half of a portfolio beside half in cash has half "
        "of its risk and of its return, and the same Sharpe ratio"
    )


def against_prices(metrics: Metrics, agent: str, name: str) -> Statement | None:
    """Returns how the agent without its dividends compares with a price index; None where there is no such row."""
    found = metrics["comparisons"][agent][name].get("price_return")
    if found is None or found["ci"] is None:
        return None
    stands = PRICES_ALONE[sign(found["ci"])]
    text = (
        f"Without the dividends of what it held, which the price index leaves out too, it {stands} "
        f"{display_name(name)}: difference of Sharpe ratios {with_interval(found['difference'], found['ci'])}."
    )
    return Statement(text, DIFFERENCES, f"against {display_name(name)}, prices alone")


def seeds(metrics: Metrics, agent: str) -> Statement:
    """Returns how far the trainings of an agent lie apart."""
    own = metrics["performance"][agent]
    if own["n_seeds"] == 1:
        text = "It was trained once, so nothing is known of how much of the result is the luck of that training."
        return Statement(text, RETURNS, display_name(agent))
    known = [one["sharpe"] for one in own["seeds"].values() if one["sharpe"] is not None]
    if len(known) < own["n_seeds"]:
        idle = own["n_seeds"] - len(known)
        text = f"Trained {own['n_seeds']} times, it never traded in {idle}, which have no Sharpe ratio."
        return Statement(text, SEEDS, display_name(agent))
    row = mean_over(own["n_seeds"])
    mean = with_interval(own["mean"]["sharpe"], own["ci"]["sharpe"])
    reach = f"from {number(min(known))} to {number(max(known))}"
    text = (
        f"Trained {own['n_seeds']} times, its seeds had Sharpe ratios {reach}, {row} {mean}, the luck of training alone"
    )
    losses = [-one["max_drawdown"] for one in own["seeds"].values()]
    text += f"; their deepest losses went from {percent(min(losses))} to {percent(max(losses))}."
    return Statement(text, SEEDS, row)


def mean_over(count: int) -> str:
    """Returns what the mean of a measure over the seeds of an agent is called; it is no account that one could hold."""
    return f"mean over {count} seeds"


def trials(metrics: Metrics) -> Statement | None:
    """Returns which training runs were counted in the corrections for luck; None where their list is not known."""
    known = metrics.get("trials")
    if known is None or "runs" not in known:
        return None
    shown = {display_name(name): metrics["performance"][name]["n_seeds"] for name in metrics["comparisons"]}
    hidden = {name: count for name, count in known["runs"].items() if count}
    total = sum(shown.values()) + sum(hidden.values())
    own = listed([f"{_seeds(count)} of {name}" for name, count in shown.items()])
    text = f"The corrections for luck count {total} training run{'s' if total > 1 else ''}: {own}, shown here"
    if hidden:
        others = [name if count == 1 else f"{name} ({count} trainings)" for name, count in list(hidden.items())[:NAMED]]
        others += [f"{len(hidden) - NAMED} more"] if len(hidden) > NAMED else []
        more = sum(hidden.values())
        text += (
            f", and {more} other{'s' if more > 1 else ''} that looked at these valid or test days: {', '.join(others)}"
        )
    return Statement(f"{text}.", DATA, "training runs")


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def years(metrics: Metrics, agent: str) -> Statement | None:
    """Returns in how many calendar years the agent earned more than each reference; None for a single year."""
    own = {row["year"]: row["return"] for row in metrics["per_year"][agent]}
    counts = []
    for name in metrics["comparisons"][agent]:
        theirs = {row["year"]: row["return"] for row in metrics["per_year"][name]}
        better = sum(own[year] > theirs[year] for year in own)
        counts.append(f"than {display_name(name)} in {better} of {len(own)}")
    if not counts or len(own) < 2:
        return None
    parts = [
        f"{row['year']} has {row['n_days']} days"
        for row in metrics["per_year"][agent]
        if is_part(row, metrics["performance"][agent])
    ]
    note = f" ({listed(parts)})" if parts else ""
    return Statement(f"By calendar year{note} it earned more {', '.join(counts)}.", YEARS, display_name(agent))


def is_part(row: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    """Returns whether a calendar year of a policy measured as `one` was traded in part only."""
    return bool(row.get("n_days", np.inf) < 0.9 * one.get("periods_per_year", DAYS_PER_YEAR))


def costs(metrics: Metrics, agent: str) -> Statement | None:
    """Returns at which costs the agent's Sharpe ratio is above those of its references; None where unknown."""
    table = metrics["cost_sensitivity"]
    references = [name for name in metrics["comparisons"][agent] if name in table]
    if agent not in table or not references:
        return None
    found = [_by_costs(table, agent, name) for name in references]
    return Statement(f"Its Sharpe ratio is {listed(found)}.", COSTS, display_name(agent))


def _by_costs(table: Metrics, agent: str, name: str) -> str:
    """At which costs an agent is above a reference."""
    ahead = [
        points
        for points, one in table[agent].items()
        if (one["sharpe"] or 0.0) > (table[name][points]["sharpe"] or 0.0)
    ]
    tried, rival = list(table[agent]), display_name(name)
    if not ahead:
        return f"not above that of {rival} at any cost tried, even at {tried[0]} basis points"
    if len(ahead) == len(tried):
        return f"above that of {rival} at every cost tried, up to {tried[-1]} basis points"
    return f"above that of {rival} only at costs of {listed(ahead)} basis points"


def forecast(metrics: Metrics) -> Statement | None:
    """Returns whether the encoder's forecast has skill; None where there is none or no interval."""
    test = metrics.get("test")
    if not test or test.get("rank_ic") is None or test.get("rank_ic_ci") is None:
        return None
    measured = f"mean daily rank IC {with_interval(test['rank_ic'], test['rank_ic_ci'], 3)} on the test days"
    low, high = test["rank_ic_ci"]
    if test.get("suspicious"):
        text = (
            f"The encoder's forecast is too steady to be believed ({measured}); look for a leak before anything else."
        )
    elif low > 0:
        text = f"The encoder's forecast has skill: {measured}, which excludes zero."
    elif high < 0:
        text = f"The encoder's forecast points the wrong way: {measured}, which excludes zero."
    else:
        text = (
            f"The encoder's forecast shows no skill that can be distinguished from none: {measured}, which includes "
            "zero."
        )
    if metrics.get("n_assets") == 1 and test.get("n_assets", 1) > 1:
        text += f" It is measured over {test['n_assets']:.0f} assets, which says little of the timing of one."
    return Statement(text, FORECAST, "test")


def audit(metrics: Metrics) -> Statement | None:
    """Returns what the audit of the states has shown; None where they did not pass one or cannot be believed."""
    if metrics.get("audit") != "passed" or (metrics.get("test") or {}).get("suspicious"):
        return None
    refits = metrics.get("refits", 0)
    times = "once" if refits == 1 else f"{refits} times"
    fitted = (
        f"The encoder of the first test days was fitted on days until {metrics['fit_end']}; it was refitted {times} in "
        "test, each time before the days it then served."
        if refits
        else f"Their encoder learnt nothing after {metrics['fit_end']}."
    )
    text = (
        "The states passed the audit: rewriting the future, the labels and the other days of a batch changed none of "
        f"them. {fitted}"
    )
    return Statement(text, "audit of the states", "all checks")


def reach(metrics: Metrics) -> Statement | None:
    """Returns how large a difference must be to show in so many days; None without an interval."""
    widths = [
        (found["sharpe"]["ci"][1] - found["sharpe"]["ci"][0]) / 2
        for table in metrics["comparisons"].values()
        for found in table.values()
        if found["sharpe"]["ci"] is not None
    ]
    if not widths:
        return None
    first = next(iter(metrics["performance"].values()))
    span = first["n_days"] / first.get("periods_per_year", 252.0)
    least, most = number(min(widths)), number(max(widths))
    reach = least if least == most else f"{least} for policies that are much alike to {most} for others"
    text = (
        f"{first['n_days']:,} days ({span:.1f} years) of one market are one sample. A true difference of Sharpe ratios "
        f"must be about {reach} to be found in half of such samples; smaller advantages may exist and would mostly not "
        "be found."
    )
    return Statement(text, DIFFERENCES, "width of the intervals")


def index(metrics: Metrics) -> Statement | None:
    """Returns that a price index leaves out dividends; None for a total-return index or none at all."""
    if metrics.get("index_return") != "price":
        return None
    text = (
        "The index is a price index: it leaves out dividends, which policies on adjusted prices earn. That alone is "
        "one to three percent a year in their favour"
    )
    priced = any("price_return" in found for table in metrics["comparisons"].values() for found in table.values())
    text += (
        "; the row 'prices alone' takes them off." if priced else ", and quoted prices to take them off are missing."
    )
    return Statement(text, DIFFERENCES, "index")


def survivors(metrics: Metrics) -> Statement | None:
    """Returns what the listing of the assets says of survivors; None where assets leave as they do in real markets."""
    if "known_optimum" in metrics:  # a simulated market has no list that somebody drew up
        return None
    listing = metrics.get("listing") or {"assets": None, "late": 0, "left": 0 if metrics.get("always_listed") else 1}
    if listing["left"] > 0 or listing["assets"] == 1:
        return None
    count = "" if listing["assets"] is None else f"{listing['assets']:,} "
    joined = "and none joins later" if listing["late"] == 0 else f"though {listing['late']:,} join later"
    text = (
        f"None of the {count}assets of the data leaves before the last day {joined}, as in a list drawn up afterwards. "
        "Such survivors flatter all policies that hold them, the references included; comparisons suffer less than "
        "levels."
    )
    return Statement(text, DATA, "assets")


def departures(metrics: Metrics) -> Statement | None:
    """Returns where a run was traded on other terms than those that its panel or states had recorded."""
    found = metrics.get("departures")
    if not found:
        return None
    return Statement(f"Traded on other terms than recorded before: {'; '.join(found)}.", DATA, "terms changed since")


def looks(metrics: Metrics) -> Statement | None:
    """Returns how often the test days were looked at; None where it was not counted."""
    count = metrics.get("looks")
    if count is None:
        return None
    if count == 1:
        return Statement("These test days were evaluated for the first time.", DATA, "looks")
    text = f"These test days have been evaluated {count} times on this market; each look weakens them."
    return Statement(text, DATA, "looks")


def _unsteady(metrics: Metrics, agent: str, name: str) -> str:
    """Why the seeds do not carry a success: some did not beat the reference, or there are too few of them."""
    own, theirs = metrics["performance"][agent], metrics["performance"][name]["sharpe"]
    known = [one["sharpe"] for one in own["seeds"].values()]
    ahead = sum(one is not None and theirs is not None and one > theirs for one in known)
    mean = with_interval(own["mean"]["sharpe"], own["ci"]["sharpe"])
    if ahead < len(known):
        return f"its seeds disagree too much to rely on that: {ahead} of {len(known)} did, mean Sharpe ratio {mean}"
    return (
        f"{len(known)} trainings are too few to rely on that, although each did: mean Sharpe ratio {mean}, "
        f"{number(theirs)} for {display_name(name)}"
    )
