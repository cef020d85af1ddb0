"""Numbers as people read them."""

import pytest

from envs import Costs
from evaluation.formats import amount, number
from evaluation.terms import costs_in_words


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [(1_000_000.0, 2, "1,000,000.00"), (-52.544, 2, "−52.54"), (543_210.0, 0, "543,210"), (-0.004, 2, "0.00")],
)
def test_money_keeps_its_digits(value: float, digits: int, written: str) -> None:
    assert amount(value, digits) == written


def test_a_measure_that_is_too_large_to_mean_anything_is_short() -> None:
    assert number(1_000_000.0) == "1.0e+06"


def test_the_capital_of_an_impact_is_money() -> None:
    assert "for an account of 2,000,000" in " ".join(costs_in_words(Costs(impact=1.0, capital=2e6)))
