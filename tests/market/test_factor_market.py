"""The planted factors are those of the closes, and no rotation of them would do as well."""

from dataclasses import replace

import numpy as np
import pytest

from market.panel import Panel
from market.sources import Source
from market.sources.factor_market import FactorMarket

SMALL = FactorMarket(stocks=24, days=4001, factors=4)


def test_closes_follow_the_planted_factors() -> None:
    panel, truth = Panel.from_frame(SMALL.read()), SMALL.truth()
    returns = panel["close"][1:] / panel["close"][:-1] - 1
    assert panel.assets == truth.assets
    np.testing.assert_array_equal(panel.dates[1:], truth.dates)
    found = np.corrcoef(returns.T, truth.factors.T)[:24, 24:]
    np.testing.assert_allclose(found, truth.loadings, atol=0.05)  # three standard errors of 4,000 days


def test_axes_are_identified() -> None:
    loadings = SMALL.truth().loadings
    gram = loadings.T @ loadings
    assert (np.diff(np.diag(gram)) < 0).all(), "each factor is weaker than the one before"
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0.0, atol=1e-12)
    factors = SMALL.truth().factors
    np.testing.assert_allclose(np.corrcoef(factors.T), np.eye(4), atol=0.06)
    np.testing.assert_allclose(factors.std(axis=0), 1.0, rtol=0.04)


def test_the_seed_decides_everything() -> None:
    assert isinstance(SMALL, Source)
    assert SMALL.read().equals(SMALL.read())
    assert not SMALL.read().equals(replace(SMALL, seed=1).read())
    np.testing.assert_array_equal(SMALL.truth().factors, SMALL.truth().factors)


def test_a_market_without_styles_has_one_factor() -> None:
    truth = FactorMarket(stocks=1, days=3, factors=1).truth()
    assert truth.loadings.shape == (1, 1)
    assert truth.loadings[0, 0] == pytest.approx(np.sqrt(0.5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stocks": 5, "factors": 4}, "4 factors of 5 stocks"),
        ({"factors": 0}, "0 factors"),
        ({"days": 2}, "days is 2"),
        ({"decay": 0.0}, "decay is 0.0"),
    ],
)
def test_what_cannot_be_a_market_is_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SMALL, **change)  # type: ignore[arg-type]
