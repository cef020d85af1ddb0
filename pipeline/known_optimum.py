"""How near an agent came to the best that can be known, on simulated markets whose truth is known.

Oracles know each day's expected return of every asset. They go some of the way towards equal parts of the few assets
with the highest, and leave small differences alone; what the best of them earned on the test days, after the same
costs, is the known optimum. No agent could have chosen that oracle beforehand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from configs.classes import public_name
from configs.values import CLASS, from_data
from envs import BatchMarket, Costs, Episodes, Tape
from envs.stated import StatedWeights
from evaluation.backtest import Backtest
from evaluation.policy_comparison import PolicyComparison
from market.arrays import FloatArray
from market.panel import Panel
from market.prices.labels import Label
from market.sources.synthetic import Synthetic

FRACTIONS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Shares of the way that oracles go in a day."""

BANDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Differences of a weight that oracles leave alone."""

NAMES = (1, 2, 4, 8, 16)
"""Numbers of assets that oracles hold."""


class OraclePaths(NamedTuple):
    """Weights, growth and costs of F times B oracles over T - 1 days.

    Attributes:
        weights: ``[T - 1, F, B, 1 + N]`` right after each trade, cash first.
        log_growth: ``[T - 1, F, B]`` of wealth, after costs.
        log_cost: ``[T - 1, F, B]`` part of it that trades took, at most 0.
    """

    weights: FloatArray
    log_growth: FloatArray
    log_cost: FloatArray


def trade_towards(tape: Tape, targets: FloatArray, costs: Costs) -> OraclePaths:
    """Returns what going each of `FRACTIONS` of the way to `targets` ``[T, 1 + N]`` comes to, for each of `BANDS`.

    An asset nearer to its target than the band is left at what it has; cash takes the rest.
    """
    fraction, band = (one.reshape(-1, 1) for one in np.meshgrid(FRACTIONS, BANDS, indexing="ij"))
    market = BatchMarket(tape, len(band), costs, StatedWeights(), episodes=Episodes(), autoreset=False)
    market.reset()
    held, growth, paid = [], [], []
    for day in range(len(tape) - 1):
        account, before = market.account, market.wealth.copy()
        gap = targets[day] - account
        wanted = np.maximum(account + np.where(np.abs(gap) > band, fraction * gap, 0.0), 0.0)
        wanted[:, 0] = np.maximum(1.0 - wanted[:, 1:].sum(axis=1), 0.0)
        info = market.step(wanted / wanted.sum(axis=1, keepdims=True))[4]
        held.append(info["weights"])
        growth.append(np.log(info["wealth"] / before))
        paid.append(np.log1p(-info["cost"] / before))
    grid = (len(held), len(FRACTIONS), len(BANDS))
    return OraclePaths(np.stack(held).reshape(*grid, -1), *(np.stack(one).reshape(grid) for one in (growth, paid)))


@dataclass(frozen=True)
class KnownOptimum:
    """The best of the oracles on the test days.

    Attributes:
        growth: Its log growth a year beyond equal weight.
        names: Number of assets that it holds.
        fraction: Share of the way that it goes in a day.
        band: Difference of a weight that it leaves alone.
        shares: By agent, its own log growth beyond equal weight over that of the oracle.
    """

    growth: float
    names: int
    fraction: float
    band: float
    shares: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns the ``known_optimum`` of ``metrics.json``."""
        return {name: getattr(self, name) for name in ("growth", "names", "fraction", "band")} | {
            "shares": dict(self.shares)
        }


def simulated_market(panel: Panel) -> Synthetic | None:
    """Returns the source of a panel whose truth is known; None for every other."""
    config = panel.source.get("config")
    source = config.get("source") if isinstance(config, Mapping) else None
    if not isinstance(source, Mapping) or source.get(CLASS) != public_name(Synthetic):
        return None
    found: Synthetic = from_data(source, Synthetic)
    return found


def known_optimum(source: Synthetic, tape: Tape, costs: Costs, comparison: PolicyComparison) -> KnownOptimum | None:
    """Returns how near the agents of a comparison came to the best oracle; None where even that earned nothing.

    Args:
        source: What the panel was made of.
        tape: The test days; on fewer assets than were simulated they are matched by name.
        costs: Of the account, as for the agents.
        comparison: With equal weight among its policies.
    """
    expected = expected_returns(source, tape)
    base = _log_growth(next(one for one in comparison.policies if one.name == "equal_weight"))
    best: tuple[float, int, float, float] | None = None
    for names in (one for one in NAMES if one < tape.n_assets):
        growth = trade_towards(tape, _equal_parts(expected, names), costs).log_growth.mean(axis=0)
        f, b = np.unravel_index(growth.argmax(), growth.shape)
        entry = (float(growth[f, b]), names, FRACTIONS[f], BANDS[b])
        best = entry if best is None or entry[0] > best[0] else best
    if best is None or best[0] <= base:
        return None
    ahead = best[0] - base
    everyone = {
        name: comparison.everyone[name]
        for name in (*comparison.agents, *(one.name for one in comparison.means.values()))
    }
    shares = {name: (_log_growth(path) - base) / ahead for name, path in everyone.items()}
    return KnownOptimum(tape.periods_per_year * ahead, *best[1:], shares)


def expected_returns(source: Synthetic, tape: Tape) -> FloatArray:
    """Returns the expected return ``[T, N]`` of the next day's holding; minus infinity where an asset is not listed."""
    truth = source.generate()
    panel = truth.panel
    rows = np.searchsorted(panel.dates, tape.dates)
    columns = [panel.assets.index(name) for name in tape.assets]
    oracle = truth.oracle(Label(tape.fill, 1))[rows][:, columns]
    found: FloatArray = np.where(np.isfinite(oracle) & tape.listed, oracle, -np.inf)
    return found


def _equal_parts(expected: FloatArray, names: int) -> FloatArray:
    """Returns weights ``[T, 1 + N]`` of equal parts of the assets with the highest expected returns."""
    chosen = np.argsort(-expected, axis=1, kind="stable")[:, :names]
    targets = np.zeros((len(expected), 1 + expected.shape[1]))
    np.put_along_axis(targets, 1 + chosen, 1.0 / names, axis=1)
    return targets


def _log_growth(path: Backtest) -> float:
    return float(np.log1p(path.returns).mean())
