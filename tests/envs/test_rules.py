import json
from dataclasses import replace

import pytest

from envs import Costs, MarketRules
from envs.rules import RECORDED, recorded_rules
from evaluation.terms import costs_in_words, terms

LIMITED = MarketRules("next_close", Costs(fee_rate=1e-3, sell_fee_rate=2e-3), 0.1, -0.3, 252.0)


def test_rules_survive_a_header() -> None:
    assert recorded_rules(json.loads(json.dumps({RECORDED: LIMITED.to_json()}))) == LIMITED
    assert recorded_rules({"other": 1}) is None
    with pytest.raises(ValueError, match="are no market rules"):
        recorded_rules({RECORDED: {"costs": {"fee": 1}}})


def test_a_stage_keeps_what_it_is_not_told() -> None:
    assert LIMITED.override() == LIMITED
    assert LIMITED.override(price_limit=0.0).price_limit is None
    assert LIMITED.override(price_limit=0.2).price_limit == 0.2
    assert LIMITED.override(delisting_return=0.0).delisting_return == 0.0
    assert LIMITED.override(Costs()).costs == Costs()


def test_departures_name_what_differs() -> None:
    assert LIMITED.departures(LIMITED) == ()
    assert LIMITED.departures(replace(LIMITED, fill=None, periods_per_year=None)) == (), "nothing said is no difference"
    other = replace(LIMITED, price_limit=None, costs=replace(LIMITED.costs, borrow_rate=1e-4))
    assert LIMITED.departures(other) == ("price_limit", "costs.borrow_rate")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price_limit": 10.0}, "price_limit is 10.0, expected a fraction"),
        ({"delisting_return": -2.0}, "delisting_return is -2.0, expected at least -1"),
        ({"fill": "open"}, "fill is 'open'"),
        ({"periods_per_year": 0.0}, "periods_per_year is 0.0"),
    ],
)
def test_impossible_rules_are_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        MarketRules(**changes)


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        (Costs(), ["no fee", "cash earns nothing"]),
        (Costs(fee_rate=1e-3), ["10 basis points of each purchase and of each sale"]),
        (Costs(fee_rate=1e-3, sell_fee_rate=0.05), ["10 basis points of each purchase and 5 % of each sale"]),
        (Costs(fee_rate=1e-3, half_spread=5e-4), ["15 basis points", "half the spread, 5 basis points"]),
        (Costs(borrow_rate=3e-4), ["short positions pay 3 basis points a bar"]),
        (Costs(cash_rate=1e-4), ["cash earns 1 basis points a bar"]),
        (Costs(cash_rate=-1e-4), ["cash pays 1 basis points a bar"]),
        (Costs(impact=1.0, capital=2e6), ["market impact of 1", "an account of 2,000,000"]),
        (Costs(margin=0.25), ["25 % of the gross position"]),
    ],
)
def test_every_cost_is_said(costs, said) -> None:
    text = "; ".join(costs_in_words(costs))
    for words in said:
        assert words in text


def test_every_rule_is_said() -> None:
    text = dict(terms(LIMITED))
    assert text["fill"] == "at the next close"
    assert text["price limit"].startswith("10 % a day")
    assert text["a position whose listing ends"] == "paid out at its last price less 30 %"
    assert text["bars a year"] == "252, a bar is a day"
    assert dict(terms(MarketRules()))["price limit"] == "none"
