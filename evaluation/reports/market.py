"""The facts that a section begins with: assets and days, agents, terms of trading, references."""

import re
from collections.abc import Mapping
from typing import Any

from envs.rules import MarketRules
from evaluation.backtest import Backtest
from evaluation.formats import display_name, percent
from evaluation.policy_comparison import PolicyComparison
from evaluation.terms import terms

NAMED = 20
"""Assets that are named; of more, the first ones."""
MEANINGS = {
    "buy_and_hold": "bought once in equal parts, never traded again",
    "equal_weight": "equal parts, restored every bar",
    "cash": "holds nothing",
    "momentum": "the 20 % of the assets that gained most in a past year, its last month left out, or cash",
    "minimum_variance": "the long-only weights of the least variance over the past year, fitted monthly",
    "risk_parity": "weights by which every asset adds the same risk, fitted monthly on the past year",
    "mean_variance": "the long-only weights of the best mean less variance over the past year, fitted monthly",
}
"""Classical policies in words; a year is 252 bars here, a month 21."""
ALGORITHMS = {
    "A2C": "advantage actor-critic, an algorithm of reinforcement learning",
    "APG": "analytic policy gradient: a network trained on the gradient of the account's booked wealth",
    "DQN": "deep Q-network, an algorithm of reinforcement learning",
    "PPO": "proximal policy optimisation, an algorithm of reinforcement learning",
    "RecurrentPPO": "proximal policy optimisation with a memory",
    "SAC": "soft actor-critic, an algorithm of reinforcement learning",
    "TD3": "twin delayed deterministic policy gradient, an algorithm of reinforcement learning",
    "TQC": "truncated quantile critics, an algorithm of reinforcement learning",
}
"""Algorithms of agents in words."""
QUIET = ("price limit", "a position whose listing ends")
"""Terms that are left to the facts of the run where they say nothing special."""


def market_facts(metrics: Mapping[str, Any], comparison: PolicyComparison) -> list[tuple[str, str]]:
    """Returns names and texts for a section's first table; what `metrics` does not hold is left out."""
    first = next(iter(comparison.everyone.values()))
    rows = [
        ("traded", _assets(first.assets)),
        ("test days", _days(metrics, first)),
        ("agents", ", ".join(_trained(metrics, name) for name in comparison.agents)),
        ("decisions", metrics.get("rebalance", "")),
        ("positions", _positions(comparison)),
    ]
    if "market_rules" in metrics:
        said = terms(MarketRules.from_json(metrics["market_rules"]))
        rows += [(name, text) for name, text in said if name not in QUIET or _special(text)]
    against = [_reference(comparison, name) for name in comparison.references]
    if comparison.index is None and "known_optimum" not in metrics:
        against.append("no published index")
    rows.append(("measured against", "; ".join(against)))
    return [(name, text) for name, text in rows if text]


def rule_words(name: str) -> str | None:
    """Returns what a rule on the forecast does, read from its name; None for every other policy."""
    found = re.fullmatch(r"top(\d+)_drop(\d+)(?:_eta(.+))?", name)
    if found is None:
        return None
    k, n_drop, eta = found.groups()
    less = f", less {eta} of its standard deviation," if eta else ""
    return f"holds the {k} assets of the highest forecast{less} and exchanges at most {n_drop} a bar"


def _assets(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"{names[0]} alone"
    shown = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"{len(names):,} assets: {shown}"


def _days(metrics: Mapping[str, Any], path: Backtest) -> str:
    first, last = metrics.get("test_days") or (path.dates[0], path.dates[-1])
    return f"{first} to {last}: {len(path):,} returns, all of them after the agents' training"


def _trained(metrics: Mapping[str, Any], name: str) -> str:
    count = metrics["performance"][name]["n_seeds"]
    seeds = "once (1 seed)" if count == 1 else f"{count} times ({count} seeds, each with an equal part of the money)"
    return f"{display_name(name)}, trained {seeds}"


def _positions(comparison: PolicyComparison) -> str:
    paths = [path for seeds in comparison.agents.values() for path in seeds]
    if any((path.weights[:, 1:] < -1e-9).any() for path in paths):
        return "long and short"
    paths = [path for path in paths if len(path.assets) > 1]
    largest = max((float(path.weights[:, 1:].max()) for path in paths), default=None)
    share = "" if largest is None else f"; the largest holding of a seed's account was {percent(largest, 0)} of it"
    return f"no agent sold short{share}"


def _special(text: str) -> bool:
    return text not in ("none", "paid out at its last price")


def _reference(comparison: PolicyComparison, name: str) -> str:
    if comparison.index is not None and name == comparison.index.name:
        return f"{display_name(name)}, a published index ({comparison.index_return or 'price'} return, no costs)"
    rule = rule_words(name)
    meaning = MEANINGS.get(name) or (f"the rule on the same forecast: {rule}" if rule else "")
    if len(comparison.everyone[name].assets) == 1:
        meaning = meaning.replace("in equal parts, ", "and ")
    return display_name(name) + (f" ({meaning})" if meaning else "")
