"""A comparison on the test days: trained runs, classical policies and an index trade, and are measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from configs.schema.evaluate import Evaluate
from envs import Costs
from evaluation.backtest import Backtest
from evaluation.policy_comparison import PolicyComparison, measured
from evaluation.reports.policy import Section
from evaluation.verdict import reach_verdict
from pipeline.reference_policies import (
    EvaluationMarket,
    classical_backtests,
    classical_rules,
    dividends_of,
    forecast_rule,
    hindsight_backtest,
    index_backtest,
    reference_rules,
)
from pipeline.results import Tracker, untracked
from pipeline.trial_count import TrialCount


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trained run that takes part.

    Attributes:
        name: Name in tables.
        seeds: Rolls every seed out on the test days at some costs: one backtest each, named after its folder.
        mean: Rolls out the account that holds the average of what they ask for; None where there is one seed.
    """

    name: str
    seeds: Callable[[Costs], tuple[Backtest, ...]]
    mean: Callable[[Costs], Backtest] | None = None


def run_comparison(
    market: EvaluationMarket, candidates: Sequence[Candidate], settings: Evaluate, track: Tracker = untracked
) -> PolicyComparison:
    """Returns the comparison of `candidates`, every classical policy that applies, and the index where one is given."""
    rivals, rule = classical_rules(market), forecast_rule(market)
    beside = (*reference_rules(market), *(() if rule is None else (rule,)))
    agents: dict[str, tuple[Backtest, ...]] = {}
    means: dict[str, Backtest] = {}
    policies: list[Backtest] = []
    by_cost: dict[float, dict[str, tuple[Backtest, ...]]] = {points: {} for points in settings.cost_points}

    def work() -> Iterator[None]:
        for one in candidates:
            agents[one.name] = one.seeds(market.costs)
            if one.mean is not None:
                mean = one.mean(market.costs)
                means[one.name] = mean.renamed(f"{one.name}: {mean.name}")
            yield
        for rule in rivals:
            policies.extend(classical_backtests(market, [rule]))
            yield
        for points, found in by_cost.items():
            there = market.at(points)
            for one in candidates:
                found[one.name] = one.seeds(there.costs)
                yield
            found |= {path.name: (path,) for path in classical_backtests(there, beside)}
            yield

    count = len(candidates) + len(rivals) + len(by_cost) * (len(candidates) + 1)
    for _ in track(work(), count, "trading the test days"):
        pass
    source = settings.index or (None if settings.index_asset is None else market.panel)
    index = None if source is None else index_backtest(source, settings.index_asset, market.tape)
    bound = hindsight_backtest(market) if settings.hindsight else None
    return PolicyComparison(
        agents,
        tuple(policies),
        index,
        bound,
        by_cost,
        None if index is None else settings.index_return,
        None if rule is None else rule.name,
        dividends_of(market),
        means,
    )


def measure_comparison(
    title: str, comparison: PolicyComparison, settings: Evaluate, description: dict[str, Any], tried: TrialCount
) -> Section:
    """Returns one market's part of the evidence.

    Args:
        title: Names the market.
        comparison: Who traded.
        settings: How to evaluate.
        description: Further entries of ``metrics.json``, such as the prediction measures.
        tried: Training runs beside the candidates.
    """
    metrics = measured(comparison, tried.sharpes, settings.seed) | description
    metrics["verdict"] = {name: _told(metrics, name) for name in comparison.agents}
    return Section(title, metrics, comparison)


def _told(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    found = reach_verdict(metrics, name)
    return {"word": found.word, "sentences": [found.summary, *found.sentences]}
