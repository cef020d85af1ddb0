"""Statements that the evidence supports or refuses, in plain words that follow from the numbers by stated rules.

The rules
---------
1. An agent *beats* a reference (buy and hold, equal weight, the index, the rule on the same forecast) where the 95 %
   interval of the paired difference of Sharpe ratios lies above zero and, with more than one seed, the interval of the
   seeds' mean Sharpe ratio lies above the reference's. It *loses* where the first interval lies below zero. It *equals*
   the reference where all of that interval lies within `evaluation.outcomes.SAME` of zero. All else is *undecided*.
2. The word is about the references that only hold: buy and hold, equal weight, the index.
   ``supported``: it beats every one of them, it was trained more than once, the 95 % interval of its own Sharpe ratio
   lies above zero, its deflated Sharpe ratio is at least 0.95, and the test for superior predictive ability over
   everything that was compared has a p-value of at most 0.05 against every one.
   ``suggestive``: it beats every one, but one of these conditions does not hold, and the summary says which.
   ``contradicted``: it loses against one and beats none. ``not established``: all else.
3. ``suspect`` comes before all of these: its Sharpe ratio, or that of a policy that only holds, exceeds
   `evaluation.plausibility.sharpe_bound`, or its forecast is steadier than chance allows.
4. A forecast *has skill* where the 95 % interval of its mean daily RankIC on the test days lies above zero,
   and its stability is not suspicious.

Nothing else enters: not the look of a curve, not the size of a return. Every statement names the table and the row that
it was read from, and is generated from that row alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation import statements
from evaluation.formats import display_name, listed, number, p_value, with_interval
from evaluation.outcomes import CONFIDENT, SIGNIFICANT, outcome
from evaluation.plausibility import suspicions
from evaluation.statements import Statement

__all__ = ["Statement", "Verdict", "limits", "outcome", "reach_verdict"]


@dataclass(frozen=True)
class Verdict:
    """Statements about one agent.

    Attributes:
        word: ``suspect``, ``supported``, ``suggestive``, ``not established`` or ``contradicted``.
        summary: What that means, reference by reference.
        statements: What else follows from the numbers, most important first, each with the row it was read from.
        rows: Rows of the table "against its references" that word and summary were read from.
    """

    word: str
    summary: str
    statements: tuple[Statement, ...]
    rows: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The statements without their rows."""
        return tuple(one.text for one in self.statements)


def reach_verdict(metrics: Mapping[str, Any], agent: str) -> Verdict:
    """Returns what the content of ``metrics.json`` says of `agent`; see the rules above.

    Args:
        metrics: What `evaluation.policy_comparison.measured` returned, and where known ``test`` (prediction measures),
            ``audit``, ``fit_end``, ``listing`` and ``looks``.
        agent: Name under ``comparisons``.
    """
    against = {name: outcome(metrics, agent, name) for name in metrics["comparisons"][agent]}
    held = {name: found for name, found in against.items() if name != metrics.get("rule")}
    doubts = _doubts(metrics, agent, held)
    reasons = suspicions(metrics, agent)
    word = "suspect" if reasons else _word(held, doubts)
    summary = _suspect_summary(reasons) if reasons else _summary(word, held, doubts, metrics["performance"][agent])
    found = [
        statements.growth(metrics, agent),
        statements.rivals(metrics, agent),
        statements.known_optimum(metrics, agent),
        statements.pause(metrics, agent),
        *(statements.against(metrics, agent, name) for name in against),
        *(statements.against_prices(metrics, agent, name) for name in against),
        statements.seeds(metrics, agent),
        _trials(metrics, agent, word),
        statements.years(metrics, agent),
        statements.costs(metrics, agent),
    ]
    rows = () if reasons else tuple(f"against {display_name(name)}" for name in held)
    return Verdict(word, summary, tuple(one for one in found if one is not None), rows)


def limits(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what can be said of the forecast, the audit and the reach of the evidence, whichever agent is meant."""
    found = (
        statements.forecast(metrics),
        statements.audit(metrics),
        statements.trials(metrics),
        statements.reach(metrics),
        statements.index(metrics),
        statements.survivors(metrics),
        statements.departures(metrics),
        statements.looks(metrics),
    )
    return tuple(one.text for one in found if one is not None)


def _word(held: Mapping[str, str], doubts: list[str]) -> str:
    outcomes = set(held.values())
    if outcomes == {"beats"}:
        return "suggestive" if doubts else "supported"
    return "contradicted" if "loses" in outcomes and "beats" not in outcomes else "not established"


def _summary(word: str, held: Mapping[str, str], doubts: Sequence[str], own: Mapping[str, Any]) -> str:
    """The word in a sentence that names every reference, under what was found of it."""
    better, worse, same, open_ = (
        listed([display_name(name) for name, found in held.items() if found == kind])
        for kind in ("beats", "loses", "equals", "undecided")
    )
    if word == "supported":
        return (
            f"The evidence supports the claim that it is better than {better}, for the risk taken, with "
            f"{own['n_seeds']} seeds: the intervals over days and over seeds exclude zero, and everything tried is "
            "counted."
        )
    if word == "suggestive":
        return f"It did better than {better}, for the risk taken, but more is needed: {'; '.join(doubts)}."
    parts = [
        f"it did worse than {worse}" if worse else "",
        f"its Sharpe ratio was practically that of {same}" if same else "",
        f"it cannot be distinguished from {open_}" if open_ else "",
        f"it did better than {better}" if better else "",
    ]
    found = " and ".join(part for part in parts if part)
    if word == "contradicted":
        return f"The evidence speaks against it, for the risk taken: {found}."
    return (
        "The evidence does not establish that it is better than a policy that only holds, for the risk taken: "
        f"{found or 'nothing was held'}."
    )


def _suspect_summary(reasons: list[str]) -> str:
    return (
        f"This is too good to be believed: {'; '.join(reasons)}. Look for a leak or for wrong prices before all else."
    )


def _doubts(metrics: Mapping[str, Any], agent: str, held: Mapping[str, str]) -> list[str]:
    """Returns what a success lacks to be established: seeds, an interval, a correction for what was tried."""
    own = metrics["performance"][agent]
    deflated, interval = own["deflated_sharpe"], own["sharpe_ci"]
    doubts = []
    if own["n_seeds"] == 1:
        doubts.append("it was trained once (one seed), so its luck in training is unknown")
    if interval is None or interval[0] <= 0:
        doubts.append(
            f"its own Sharpe ratio of {with_interval(own['sharpe'], interval)} cannot be distinguished from zero"
        )
    if deflated is None or deflated < CONFIDENT:
        doubts.append(f"the deflated Sharpe ratio is {number(deflated)}, below {CONFIDENT}")
    for name in held:
        test = metrics["superior_predictive_ability"][name]
        found = None if test is None else test["consistent"]
        if found is None or found > SIGNIFICANT:
            doubts.append(f"the best of all policies against {display_name(name)} could be luck (p = {p_value(found)})")
    return doubts


def _trials(metrics: Mapping[str, Any], agent: str, word: str) -> Statement:
    own = metrics["performance"][agent]
    tried = f"{own['n_trials']} training run{'s' if own['n_trials'] != 1 else ''}"
    best = own.get("expected_best_sharpe")
    luck = "" if not best else f" (the best of them would be expected to show {number(best)} by luck)"
    if word == "supported":
        text = f"This survives a correction for the {tried} and for every policy it was compared with{luck}."
    else:
        text = (
            f"That its Sharpe ratio is above what the best of {tried} without skill would show has probability "
            f"{number(own['deflated_sharpe'])}, if days are independent{luck}."
        )
    return Statement(text, "returns, risk and trading", display_name(agent))


def in_sample_warning(metrics: Mapping[str, Any]) -> str:
    """Returns what to think of the agent's train days where it learnt on in-sample states, else nothing."""
    parts = [part for part, count in metrics.get("in_sample_days", {}).items() if count]
    if not parts:
        return ""
    return (
        f"The encoder had been fitted or chosen on the {listed(parts)} days on which the agent learnt and was chosen, "
        "so the agent learnt to trust a forecast that looked better there than it is: the agent's results on those "
        "days mean nothing and are not shown. The test days, which are shown, were forecast by an encoder that had not "
        "seen them. (The audit asks something else: whether a state depends on later days.)"
    )
