"""Classical optimisers from skfolio, fitted on trailing returns alone and refitted every few days.

Fitted are the assets that trade today, were listed over the whole look-back and moved in it; the others get no weight.
With fewer than two such assets, before a whole look-back has passed, or where the solver finds no solution (skfolio's
own ``fallback``), what trades today is held in equal weights. Weights drift between fits.

Covariances are those of the sample. With as many assets as days that one is singular, and is shrunk instead (Ledoit and
Wolf, 2004, A well-conditioned estimator for large-dimensional covariance matrices).
"""

from dataclasses import dataclass

import numpy as np
from skfolio.moments import EmpiricalCovariance, LedoitWolf
from skfolio.optimization import BaseOptimization, EqualWeighted, MeanRisk, ObjectiveFunction, RiskBudgeting
from skfolio.prior import BasePrior, EmpiricalPrior

from agents.baselines.base import LongOnlyRule, due, equal_weights, leave_all
from agents.history import Past
from market.arrays import FloatArray

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
