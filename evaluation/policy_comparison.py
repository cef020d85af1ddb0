"""Who traded the same days, and what each of them was worth: the performance half of ``metrics.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from evaluation.backtest import Backtest
from evaluation.performance import annual_return, performance, relative_performance, sharpe_ratio, yearly_performance
from evaluation.significance import Measure, compare, over_seeds, significance, superior_predictive_ability
from market.arrays import FloatArray

COMPARED: Mapping[str, Measure] = {"sharpe": sharpe_ratio, "annual_return": annual_return}
REFERENCES = ("buy_and_hold", "equal_weight")
"""Classical policies that an agent is measured against."""


@dataclass(frozen=True, eq=False)
class PolicyComparison:
    """Policies on the same days of the same market, at the same costs.

    Attributes:
        agents: The seeds of each trained agent, by its name.
        policies: Classical policies.
        index: A published index over the same days, None where none is given. It pays no costs.
        index_return: Whether the index reinvests dividends (``total``) or leaves them out (``price``).
        rule: Name of the policy that trades on the same forecast by a fixed rule; None where there is none.
        dividends: ``[T, N]`` part of each asset's return that is dividends, on the days of the backtests; None where
            it is not known.
        bound: What hindsight would have earned; it cheats, so it takes part in no test.
        means: By agent, the account that holds the average of what its seeds ask for, booked once.
        by_cost: Backtests at other proportional costs, by basis points and then by name; agents by their seeds.
    """

    agents: Mapping[str, tuple[Backtest, ...]]
    policies: tuple[Backtest, ...]
    index: Backtest | None = None
    bound: Backtest | None = None
    by_cost: Mapping[float, Mapping[str, tuple[Backtest, ...]]] = field(default_factory=dict)
    index_return: Literal["price", "total"] | None = None
    rule: str | None = None
    dividends: FloatArray | None = None
    means: Mapping[str, Backtest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = next(iter(self.everyone.values()), None)
        if first is None or not self.agents:
            raise ValueError("comparison: nobody takes part; evaluate at least one agent or policy")
        for name, backtest in self.everyone.items():
            if not np.array_equal(backtest.dates, first.dates):
                raise ValueError(
                    f"comparison: '{name}' trades {backtest.dates[0]} ... {backtest.dates[-1]} ({len(backtest)} days), "
                    f"'{first.name}' {first.dates[0]} ... {first.dates[-1]} ({len(first)}); compare the same days"
                )

    @property
    def references(self) -> dict[str, Backtest]:
        """References of the agents: buy and hold, equal weight where it differs, the index, and the rule."""
        found = {one.name: one for one in self.policies if one.name in REFERENCES}
        found |= {self.index.name: self.index} if self.index is not None else {}
        return found | {one.name: one for one in self.policies if one.name == self.rule}

    @property
    def everyone(self) -> dict[str, Backtest]:
        """Every path by name, agents first (capital split equally over their seeds) and the bound last."""
        paths = {name: equal_capital(seeds, name) for name, seeds in self.agents.items()}
        paths |= {one.name: one for one in (*self.means.values(), *self.policies)}
        for extra in (self.index, self.bound):
            if extra is not None:
                paths[extra.name] = extra
        return paths


def equal_capital(backtests: Sequence[Backtest], name: str) -> Backtest:
    """Returns the account of someone who gives each of `backtests` an equal part of the money and lets them run.

    Its wealth is the mean of theirs, and so are costs, trades and profits; trades of the parts are not netted. Weights
    and turnover are means weighted by the wealth at the close before. One backtest is returned as it is, renamed.

    Raises:
        ValueError: There is none, or they differ in days or assets.
    """
    if not backtests:
        raise ValueError(f"'{name}': no seeds to join; train at least one")
    first = backtests[0]
    for one in backtests[1:]:
        if one.assets != first.assets or not np.array_equal(one.dates, first.dates):
            raise ValueError(f"'{name}': seeds trade other days or assets than each other; evaluate them together")
    if len(backtests) == 1:
        return first.renamed(name)
    wealth = np.stack([one.wealth for one in backtests])  # [S, 1 + T]
    total = wealth.mean(axis=0)
    share = wealth[:, :-1] / np.maximum(wealth[:, :-1].sum(axis=0), np.finfo(np.float64).tiny)
    share[:, wealth[:, :-1].sum(axis=0) <= 0] = 1 / len(backtests)
    weights = np.einsum("st,stn->tn", share, np.stack([one.weights for one in backtests]))
    returns = np.divide(total[1:], total[:-1], out=np.ones_like(total[1:]), where=total[:-1] > 0) - 1
    means = {
        part: np.mean([getattr(one, part) for one in backtests], axis=0) for part in ("costs", "trades", "profits")
    }
    return Backtest(
        name=name,
        assets=first.assets,
        dates=first.dates,
        returns=returns,
        weights=weights,
        turnover=(share * np.stack([one.turnover for one in backtests])).sum(axis=0),
        periods_per_year=first.periods_per_year,
        **means,
    )


def measured(comparison: PolicyComparison, trials: Sequence[float | None] = (), seed: int = 0) -> dict[str, Any]:
    """Returns everything that the backtests say, ready for ``metrics.json``.

    * ``performance``: by policy, all of `performance` and `significance`; against the index, where there is one,
      ``relative``. An agent's figures are those of the account that splits its money equally over the seeds; ``mean``
      and ``ci`` hold each measure's mean over seeds and its interval, ``seeds`` the measures of each.
    * ``comparisons``: by agent and reference, the paired difference of the Sharpe ratio and the annual return.
    * ``mean_of_seeds``: the same differences of the account that holds the average of what the seeds ask for.
    * ``superior_predictive_ability``: by reference, the p-values of the test over all other policies and agents.
    * ``cost_sensitivity``: by policy and basis points, Sharpe ratio and annual return.
    * ``per_year``: by policy, one entry a calendar year.

    Args:
        comparison: Who took part.
        trials: Annual Sharpe ratios of what else was tried (other configurations, seeds not compared), None for those
            that are not known. The agents' own seeds are always counted.
        seed: Seed of every bootstrap.
    """
    everyone, references = comparison.everyone, comparison.references

    def beyond_references(path: Backtest) -> dict[str, Any]:
        return {other: _compared(comparison, path, reference, seed) for other, reference in references.items()}

    own = (one for seeds in comparison.agents.values() for one in seeds)
    tried = [*(sharpe_ratio(one.returns, periods_per_year=one.periods_per_year) for one in own), *trials]
    fair = {name: path for name, path in everyone.items() if path is not comparison.bound}
    return {
        "performance": {name: _worth(comparison, name, path, tried, seed) for name, path in everyone.items()},
        "comparisons": {name: beyond_references(everyone[name]) for name in comparison.agents},
        "mean_of_seeds": {name: beyond_references(mean) for name, mean in comparison.means.items()},
        "rule": comparison.rule,
        "index_return": None if comparison.index is None else comparison.index_return or "price",
        "n_assets": len(next(iter(comparison.agents.values()))[0].assets),
        "superior_predictive_ability": {
            other: superior_predictive_ability(
                {name: path.returns for name, path in fair.items() if name not in (other, "cash")},
                benchmark.returns,
                seed=seed,
            )
            for other, benchmark in references.items()
        },
        "cost_sensitivity": _by_cost(comparison),
        "per_year": {name: _by_year(path) for name, path in everyone.items()},
    }


def _worth(
    comparison: PolicyComparison, name: str, path: Backtest, tried: Sequence[float | None], seed: int
) -> dict[str, Any]:
    own = comparison.agents.get(name)
    periods = path.periods_per_year
    worth = {**performance(path), **significance(path.returns, None if own is None else tried, seed, periods)}
    if path is comparison.bound:
        worth["cheats"] = True
    if comparison.index is not None and path is not comparison.index:
        worth["relative"] = relative_performance(path.returns, comparison.index.returns, periods_per_year=periods)
    if own is not None:
        each = [performance(one) for one in own]
        joined = {measure: over_seeds([one[measure] for one in each]) for measure in each[0]}
        worth |= {key: {measure: found[key] for measure, found in joined.items()} for key in ("mean", "ci")}
        worth |= {"n_seeds": len(own), "seeds": {one.name: found for one, found in zip(own, each, strict=True)}}
    return worth


def _compared(comparison: PolicyComparison, path: Backtest, reference: Backtest, seed: int) -> dict[str, Any]:
    periods = path.periods_per_year
    found = {
        name: compare(path.returns, reference.returns, measure, seed=seed, periods_per_year=periods)
        for name, measure in COMPARED.items()
    }
    if comparison.dividends is not None and comparison.index_return != "total" and reference is comparison.index:
        bare = path.returns - dividend_income(path, comparison.dividends)
        found["price_return"] = compare(bare, reference.returns, seed=seed, periods_per_year=periods)
    return {
        name: {"difference": one.difference, "ci": one.interval, "p_value": one.p_value} for name, one in found.items()
    }


def dividend_income(path: Backtest, dividends: FloatArray) -> FloatArray:
    """Returns the part of each day's return that is dividends of what was held at the close before, ``[T]``."""
    held = np.concatenate([np.zeros((1, len(path.assets))), path.weights[:-1, 1:]])
    income: FloatArray = (held * dividends).sum(axis=1)
    return income


def _by_cost(comparison: PolicyComparison) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for points, entries in sorted(comparison.by_cost.items()):
        for name, seeds in entries.items():
            path = equal_capital(seeds, name)
            worth = {measure: performance(path)[measure] for measure in ("sharpe", "annual_return")}
            table.setdefault(name, {})[f"{points:g}"] = worth
    return table


def _by_year(path: Backtest) -> list[dict[str, Any]]:
    frame = yearly_performance(path).reset_index()
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    return [{str(name): value for name, value in row.items()} for row in rows]
