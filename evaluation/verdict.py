"""Verdicts: plain words about the evidence that follow from the numbers by stated rules.

The rules
---------
1. An agent *beats* a reference (buy and hold, equal weight, the index) where the 95 % interval of the paired
   difference of Sharpe ratios lies above zero and, with more than one seed, the interval of the seeds' mean Sharpe
   ratio lies above the reference's. It *loses* where the first interval lies below zero; all else is *undecided*.
2. ``supported``: it beats every reference, its deflated Sharpe ratio is at least 0.95, and the test for superior
   predictive ability over everything that was compared has a p-value of at most 0.05 against every reference.
   ``suggestive``: it beats every reference, but a correction for the number of things tried does not agree.
   ``contradicted``: it loses against a reference and beats none. ``not established``: all else.
3. A forecast *has skill* where the 95 % interval of its mean daily rank coefficient on the test days lies above zero,
   and its stability is not suspicious.

Nothing else enters: not the look of a curve, not the size of a return.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.formats import display_name, number, percent, with_interval

CONFIDENT = 0.95
SIGNIFICANT = 0.05
MEANING = {
    "supported": "The evidence supports the claim that it is better than holding the market.",
    "suggestive": "It did better than its references, but not by enough once everything tried is counted.",
    "not established": "The evidence does not establish that it is better than simply holding the market.",
    "contradicted": "The evidence speaks against it: simply holding the market was better.",
}


@dataclass(frozen=True)
class Verdict:
    """Verdict on one agent.

    Attributes:
        word: ``supported``, ``suggestive``, ``not established`` or ``contradicted``.
        summary: What that means.
        sentences: What else follows from the numbers, most important first.
    """

    word: str
    summary: str
    sentences: tuple[str, ...]


def reach_verdict(metrics: Mapping[str, Any], agent: str) -> Verdict:
    """Returns what the content of ``metrics.json`` says of `agent`; see the rules above.

    Args:
        metrics: What `evaluation.policy_comparison.measured` returned, and where known ``test`` (prediction measures),
            ``audit``, ``fit_end``, ``always_listed`` and ``looks``.
        agent: Name under ``comparisons``.
    """
    own = metrics["performance"][agent]
    against = {name: outcome(metrics, agent, name) for name in metrics["comparisons"][agent]}
    word = _word(metrics, own, against)
    sentences = [_growth(metrics, agent, own), *(_against(metrics, agent, name) for name in against)]
    sentences += [_seeds(own), _trials(metrics, own, against), _years(metrics, agent), _costs(metrics, agent)]
    return Verdict(word, MEANING[word], tuple(sentence for sentence in sentences if sentence))


def limits(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what can be said of the forecast, the audit and the reach of the evidence, whichever agent is meant."""
    sentences = [_forecast(metrics.get("test")), _audit(metrics), _reach(metrics), _survivors(metrics), _looks(metrics)]
    return tuple(sentence for sentence in sentences if sentence)


def outcome(metrics: Mapping[str, Any], agent: str, reference: str) -> str:
    """Returns ``beats``, ``loses`` or ``undecided`` by rule 1."""
    interval = metrics["comparisons"][agent][reference]["sharpe"]["ci"]
    if interval is None:
        return "undecided"
    if interval[1] < 0:
        return "loses"
    own, theirs = metrics["performance"][agent], metrics["performance"][reference]["sharpe"]
    spread = own["ci"]["sharpe"]
    steady = own["n_seeds"] == 1 or (spread is not None and theirs is not None and spread[0] > theirs)
    return "beats" if interval[0] > 0 and steady else "undecided"


def _word(metrics: Mapping[str, Any], own: Mapping[str, Any], against: Mapping[str, str]) -> str:
    outcomes = set(against.values())
    if outcomes == {"beats"}:
        return "supported" if not _doubts(metrics, own, against) else "suggestive"
    return "contradicted" if "loses" in outcomes and "beats" not in outcomes else "not established"


def _doubts(metrics: Mapping[str, Any], own: Mapping[str, Any], against: Mapping[str, str]) -> list[str]:
    """Returns the corrections for the number of things tried that do not agree with a success."""
    doubts = []
    deflated = own["deflated_sharpe"]
    if deflated is None or deflated < CONFIDENT:
        doubts.append(f"the deflated Sharpe ratio is {number(deflated)}, below {CONFIDENT}")
    for name in against:
        test = metrics["superior_predictive_ability"][name]
        p_value = None if test is None else test["consistent"]
        if p_value is None or p_value > SIGNIFICANT:
            doubts.append(
                f"the best of all policies against {display_name(name)} could be luck (p = {number(p_value)})"
            )
    return doubts


def _growth(metrics: Mapping[str, Any], agent: str, own: Mapping[str, Any]) -> str:
    others = [
        f"{display_name(name)} ended at {metrics['performance'][name]['final_wealth']:.2f}"
        for name in metrics["comparisons"][agent]
    ]
    sharpe, loss = with_interval(own["sharpe"], own["sharpe_ci"]), percent(-own["max_drawdown"], 0)
    return (
        f"Over {own['n_days']:,} trading days, after costs, {display_name(agent)} turned 1.00 into "
        f"{own['final_wealth']:.2f} "
        f"({percent(own['annual_return'])} a year, Sharpe ratio {sharpe}, deepest loss {loss})"
        + (f"; {', '.join(others)}." if others else ".")
    )


def _against(metrics: Mapping[str, Any], agent: str, name: str) -> str:
    found = metrics["comparisons"][agent][name]["sharpe"]
    if found["ci"] is None:
        return (
            f"There is no interval for the difference from {display_name(name)}: too few days, or nothing to compare."
        )
    measured = f"difference of Sharpe ratios {with_interval(found['difference'], found['ci'])}"
    decided = outcome(metrics, agent, name)
    if decided == "beats":
        return f"It did better than {display_name(name)} for the risk taken: {measured}, which excludes zero."
    if decided == "loses":
        return f"It did worse than {display_name(name)} for the risk taken: {measured}, which excludes zero."
    if found["ci"][0] > 0:
        return f"It did better than {display_name(name)} ({measured}), but its seeds disagree too much to rely on that."
    return f"It cannot be told apart from {display_name(name)}: {measured}, which includes zero."


def _seeds(own: Mapping[str, Any]) -> str:
    if own["n_seeds"] == 1:
        return "It was trained once, so nothing is known of how much of the result is the luck of that training."
    lowest, highest = (
        pick(one["sharpe"] if one["sharpe"] is not None else 0.0 for one in own["seeds"].values())
        for pick in (min, max)
    )
    spread = with_interval(own["mean"]["sharpe"], own["ci"]["sharpe"])
    reach = f"from {number(lowest)} to {number(highest)}"
    return f"Trained {own['n_seeds']} times, it had Sharpe ratios {reach}, mean {spread}."


def _trials(metrics: Mapping[str, Any], own: Mapping[str, Any], against: Mapping[str, str]) -> str:
    tried = f"{own['n_trials']} training run{'s' if own['n_trials'] != 1 else ''}"
    if set(against.values()) != {"beats"}:
        return (
            f"That its Sharpe ratio is above what the best of {tried} without skill would show has probability "
            f"{number(own['deflated_sharpe'])}."
        )
    doubts = _doubts(metrics, own, against)
    if not doubts:
        return f"This survives a correction for the {tried} and for every policy it was compared with."
    return f"Counting the {tried} and every policy compared: {'; '.join(doubts)}."


def _years(metrics: Mapping[str, Any], agent: str) -> str:
    own = {row["year"]: row["return"] for row in metrics["per_year"][agent]}
    counts = []
    for name in metrics["comparisons"][agent]:
        theirs = {row["year"]: row["return"] for row in metrics["per_year"][name]}
        better = sum(own[year] > theirs[year] for year in own)
        counts.append(f"than {display_name(name)} in {better} of {len(own)}")
    return f"By calendar year it earned more {', '.join(counts)}." if counts and len(own) > 1 else ""


def _costs(metrics: Mapping[str, Any], agent: str) -> str:
    table = metrics["cost_sensitivity"]
    references = [name for name in metrics["comparisons"][agent] if name in table]
    if agent not in table or not references:
        return ""
    name = references[0]
    ahead = [
        points
        for points, one in table[agent].items()
        if (one["sharpe"] or 0.0) > (table[name][points]["sharpe"] or 0.0)
    ]
    costs = list(table[agent])
    if not ahead:
        rival = display_name(name)
        return f"Its Sharpe ratio is below that of {rival} at every cost tried, even at {costs[0]} basis points."
    if len(ahead) == len(costs):
        rival = display_name(name)
        return f"Its Sharpe ratio stays above that of {rival} at every cost tried, up to {costs[-1]} basis points."
    listed = " and ".join(filter(None, (", ".join(ahead[:-1]), ahead[-1])))
    return f"Its Sharpe ratio is above that of {display_name(name)} only at costs of {listed} basis points."


def _forecast(test: Mapping[str, Any] | None) -> str:
    if not test or test.get("rank_ic") is None or test.get("rank_ic_ci") is None:
        return ""
    measured = f"mean daily rank coefficient {with_interval(test['rank_ic'], test['rank_ic_ci'], 3)} on the test days"
    if test.get("suspicious"):
        return (
            f"The encoder's forecast is too steady to be believed ({measured}); look for a leak before anything else."
        )
    low, high = test["rank_ic_ci"]
    if low > 0:
        return f"The encoder's forecast has skill: {measured}, which excludes zero."
    if high < 0:
        return f"The encoder's forecast points the wrong way: {measured}, which excludes zero."
    return f"The encoder's forecast shows no skill that can be told from none: {measured}, which includes zero."


def _audit(metrics: Mapping[str, Any]) -> str:
    if metrics.get("audit") != "passed":
        return ""
    return (
        "The states passed the audit: rewriting the future, the labels and the other days of a batch changed none of "
        f"them. Their encoder learnt nothing after {metrics['fit_end']}"
        + (
            f"; it was refitted {_times(metrics['refits'])} on later days, each time before the days it then served."
            if metrics.get("refits")
            else "."
        )
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def in_sample_warning(metrics: Mapping[str, Any]) -> str:
    """Returns what to think of the agent's train days where it learnt on in-sample states, else nothing."""
    if not any(metrics.get("in_sample_days", {}).values()):
        return ""
    return "The agent learnt on states that had seen their own labels: its train results mean nothing."


def _reach(metrics: Mapping[str, Any]) -> str:
    widths = [
        (found["sharpe"]["ci"][1] - found["sharpe"]["ci"][0]) / 2
        for table in metrics["comparisons"].values()
        for found in table.values()
        if found["sharpe"]["ci"] is not None
    ]
    if not widths:
        return ""
    days = next(iter(metrics["performance"].values()))["n_days"]
    least, most = number(min(widths)), number(max(widths))
    reach = least if least == most else f"{least} to {most}, the less the more alike two policies are"
    return (
        f"{days:,} days ({days / 252:.1f} years) of one market are one sample: they only reveal differences of Sharpe "
        f"ratios larger than about {reach}. Smaller advantages may exist and would not show here."
    )


def _survivors(metrics: Mapping[str, Any]) -> str:
    if not metrics.get("always_listed"):
        return ""
    return (
        "Every asset is listed on every day of the data, as in a list drawn up afterwards. Such survivors flatter all "
        "policies that hold them, the references included; comparisons suffer less than levels."
    )


def _looks(metrics: Mapping[str, Any]) -> str:
    looks = metrics.get("looks", 1)
    return (
        f"These test days have been evaluated {looks} times for this run; each look weakens them." if looks > 1 else ""
    )
