"""Classical optimisers from skfolio, fitted on trailing returns alone and refitted every few days.

Fitted are the assets that trade today, were listed over the whole look-back and moved in it; the others get no weight.
With fewer than two such assets, before a whole look-back has passed, or where the solver finds no solution (skfolio's
own ``fallback``), what trades today is held in equal weights. Weights drift between fits.

Covariances are those of the sample. With as many assets as days that one is singular, and is shrunk instead (Ledoit and
Wolf, 2004, A well-conditioned estimator for large-dimensional covariance matrices).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from cvxpy.atoms.norm1 import norm1
from skfolio.moments import BaseMu, EmpiricalCovariance, LedoitWolf
from skfolio.optimization import BaseOptimization, EqualWeighted, MeanRisk, ObjectiveFunction, RiskBudgeting
from skfolio.prior import BasePrior, EmpiricalPrior

from agents.baselines.base import LongOnlyRule, due, equal_weights, leave_all
from agents.history import Past
from market.arrays import FloatArray, IntArray

SOLVER_TOLERANCE = 1e-5
"""A smaller weight is what the solver left over, not a position."""


@dataclass(frozen=True)
class _OptimisedPolicy(LongOnlyRule):
    """An optimiser behind `Rule`.

    Attributes:
        lookback: Days of returns that it is fitted on.
        every: Days between fits, counted from the tape's first.
    """

    lookback: int = 252
    every: int = 21

    def __post_init__(self) -> None:
        if self.lookback < 2 or self.every < 1:
            raise ValueError(f"{type(self).__name__}: lookback is {self.lookback} and every {self.every} days, too few")

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns fitted weights on the days of a fit."""
        if not due(known, account, self.every):
            return leave_all(len(known.tradable))
        window = known.returns[-self.lookback :]
        # Nothing is known of the first day's return, so no asset is fitted before a whole look-back has passed.
        fitted = known.tradable & np.isfinite(window).all(axis=0) & (np.ptp(window, axis=0) > 0)
        if fitted.sum() < 2:
            return equal_weights(known.tradable)
        weights = np.zeros(1 + len(fitted))
        seen = window[:, fitted]
        weights[1:][fitted] = self.optimiser(moments(*seen.shape)).fit(seen).weights_
        weights[weights < SOLVER_TOLERANCE] = 0.0
        return weights

    def optimiser(self, prior: BasePrior) -> BaseOptimization:
        """Returns the optimiser to fit, which estimates moments by `prior`."""
        return EqualWeighted()


def moments(n_days: int, n_assets: int) -> BasePrior:
    """Returns the estimator of means and covariances for so many days and assets."""
    return EmpiricalPrior(covariance_estimator=EmpiricalCovariance() if n_assets < n_days else LedoitWolf())


@dataclass(frozen=True)
class MinimumVariance(_OptimisedPolicy):
    """The long-only portfolio of least sample variance. Reference: Markowitz (1952), Portfolio Selection."""

    name: str = "minimum_variance"

    def optimiser(self, prior: BasePrior) -> BaseOptimization:
        """Returns skfolio's minimiser of the variance."""
        return MeanRisk(prior_estimator=prior, fallback=EqualWeighted())


@dataclass(frozen=True)
class RiskParity(_OptimisedPolicy):
    """Every asset contributes equally to the variance. Reference: Maillard, Roncalli and Teiletche (2010)."""

    name: str = "risk_parity"

    def optimiser(self, prior: BasePrior) -> BaseOptimization:
        """Returns skfolio's equal risk budgets."""
        return RiskBudgeting(prior_estimator=prior, fallback=EqualWeighted())


@dataclass(frozen=True)
class MeanVariance(_OptimisedPolicy):
    """The long-only portfolio of greatest ``mean - risk_aversion * variance`` of past daily returns.

    Attributes:
        risk_aversion: Price of a unit of variance.
    """

    risk_aversion: float = 5.0
    name: str = "mean_variance"

    def optimiser(self, prior: BasePrior) -> BaseOptimization:
        """Returns skfolio's maximiser of the utility."""
        objective = ObjectiveFunction.MAXIMIZE_UTILITY
        return MeanRisk(
            objective_function=objective,
            risk_aversion=self.risk_aversion,
            prior_estimator=prior,
            fallback=EqualWeighted(),
        )


@dataclass(frozen=True)
class ForecastPortfolio(LongOnlyRule):
    """The long-only portfolio of greatest ``forecast - risk_aversion * variance`` within caps.

    The variance is that of past returns, the forecast the encoder's of the day. Assets without a forecast or without a
    whole look-back are not bought, and sold where they are held. What no cap leaves room for stays in cash. Where the
    solver finds nothing within the caps, everything is kept.

    Attributes:
        cap: Largest weight of an asset.
        turnover: Largest sum of the sizes of the changes of weights at a fit; None for no such cap. The first purchase
            is free of it.
        sectors: Sector of each asset, in the order of the tape; empty where there are none.
        sector_cap: Largest weight of the assets of a sector together.
        risk_aversion: Price of a unit of variance.
        lookback: Days of returns that the variance is taken from.
        every: Days between fits, counted from the tape's first.
    """

    cap: float = 0.1
    turnover: float | None = None
    sectors: tuple[str, ...] = ()
    sector_cap: float = 1.0
    risk_aversion: float = 5.0
    lookback: int = 252
    every: int = 5
    name: str = "forecast_portfolio"

    def __post_init__(self) -> None:
        for label, value in (("cap", self.cap), ("sector_cap", self.sector_cap)):
            if not 0 < value <= 1:
                raise ValueError(f"ForecastPortfolio: {label} is {value}, expected a weight above 0 and at most 1")
        if self.turnover is not None and not self.turnover > 0:
            raise ValueError(f"ForecastPortfolio: turnover is {self.turnover}, expected above 0, or None")
        if self.lookback < 2 or self.every < 1:
            raise ValueError(f"ForecastPortfolio: lookback is {self.lookback}, every {self.every} days, too few")

    def decide(self, known: Past, account: FloatArray) -> FloatArray:
        """Returns fitted weights on the days of a fit."""
        if not due(known, account, self.every):
            return leave_all(len(known.tradable))
        if self.sectors and len(self.sectors) != len(known.tradable):
            raise ValueError(
                f"ForecastPortfolio: {len(self.sectors)} sectors for {len(known.tradable)} assets; give one an asset"
            )
        window = known.returns[-self.lookback :]
        able = known.tradable & np.isfinite(window).all(axis=0) & (np.ptp(window, axis=0) > 0)
        able &= np.isfinite(known.forecast_mean)
        if len(window) < self.lookback or able.sum() < 2:  # nothing is estimated yet
            return leave_all(len(known.tradable))
        found = self._fitted(window[:, able], known.forecast_mean[able], account[1:][able], np.flatnonzero(able))
        if found is None:
            return leave_all(len(known.tradable))
        weights = np.zeros(1 + len(able))
        weights[1:][able] = np.where(found < SOLVER_TOLERANCE, 0.0, found)
        weights[0] = max(1.0 - weights[1:].sum(), 0.0)
        return weights

    def _fitted(
        self, returns: FloatArray, forecast: FloatArray, held: FloatArray, columns: IntArray
    ) -> FloatArray | None:
        """Returns weights ``[n]`` within the caps, None where there are none."""
        names = [f"asset{k}" for k in columns]
        bound = self.turnover if held.sum() > SOLVER_TOLERANCE else None
        groups = {name: [self.sectors[k]] for name, k in zip(names, columns, strict=True)} if self.sectors else None
        covariance = EmpiricalCovariance() if len(columns) < len(returns) else LedoitWolf()
        fit = MeanRisk(
            objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_aversion=self.risk_aversion,
            prior_estimator=EmpiricalPrior(mu_estimator=ForecastMean(forecast), covariance_estimator=covariance),
            budget=None,
            min_budget=0.0,
            max_budget=1.0,
            max_weights=self.cap,
            add_constraints=None if bound is None else lambda weights: [norm1(weights - held) <= bound],
            groups=groups,
            linear_constraints=[f"{one} <= {self.sector_cap}" for one in self._held_sectors(columns)] or None,
            raise_on_failure=False,
        ).fit(pd.DataFrame(returns, columns=names))
        weights: FloatArray | None = fit.weights_
        return weights

    def _held_sectors(self, columns: IntArray) -> list[str]:
        return sorted({self.sectors[k] for k in columns}) if self.sectors else []


class ForecastMean(BaseMu):  # type: ignore[misc]
    """An encoder's forecast in the place of an estimate of expected returns."""

    def __init__(self, forecast: FloatArray) -> None:
        self.forecast = forecast

    def fit(self, X: Any, y: None = None) -> "ForecastMean":
        """Takes the forecast ``[n]`` and looks at no return."""
        self.mu_, self.n_features_in_ = np.asarray(self.forecast, dtype=np.float64), np.shape(X)[1]
        return self
