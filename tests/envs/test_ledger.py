"""The environments' money equals an account that counts shares, whatever happens to the market."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import BatchMarket, Costs, LongOnly, LongShort, Position, SellHoldBuy, Tape
from tests.envs.ledger import Ledger
from tests.envs.markets import messy_panel

FILLS = ("close", "next_open", "next_close")

COSTS = st.builds(
    Costs,
    fee_rate=st.sampled_from([0.0, 1e-3, 0.02]),
    sell_fee_rate=st.sampled_from([None, 0.0, 2e-3, 0.05]),
    half_spread=st.sampled_from([0.0, 5e-4]),
    borrow_rate=st.sampled_from([0.0, 1e-3]),
    cash_rate=st.sampled_from([0.0, 2e-4]),
)

MARKETS = st.builds(
    messy_panel,
    days=st.integers(2, 12),
    assets=st.integers(1, 5),
    seed=st.integers(0, 10_000),
    halts=st.sampled_from([0.0, 0.2, 0.5]),
    absent=st.sampled_from([0.0, 0.1]),
    changes=st.booleans(),
)

RULES = st.fixed_dictionaries(
    {
        "fill": st.sampled_from(FILLS),
        "delisting_return": st.sampled_from([0.0, -0.3]),
        "price_limit": st.sampled_from([None, None, 0.03]),
    }
)


def softmax(logits: list[float]) -> list[float]:
    powers = [math.exp(x) for x in logits]
    return [power / sum(powers) for power in powers]


def long_short_weights(action: list[float], gross: float, net: float) -> list[float]:
    weights = [gross * a for a in action]
    size = sum(abs(w) for w in weights)
    if size > gross:
        weights = [w * gross / size for w in weights]
    longs, shorts = sum(w for w in weights if w > 0), -sum(w for w in weights if w < 0)
    if longs - shorts > net:
        weights = [w * (shorts + net) / longs if w > 0 else w for w in weights]
    elif shorts - longs > net:
        weights = [w * (longs + net) / shorts if w < 0 else w for w in weights]
    return [1 - sum(weights), *weights]


def assert_same_account(market: BatchMarket, ledger: Ledger, actions: list, wanted: list) -> None:
    """Steps both through all days and compares everything that is reported."""
    market.reset(seed=0)
    total = 0.0
    for day, (action, weights) in enumerate(zip(actions, wanted, strict=True)):
        _, reward, terminated, truncated, info = market.step(np.asarray(action)[None])
        total += reward[0]
        wealth = ledger.day(day, weights)
        assert info["wealth"][0] == pytest.approx(wealth, rel=1e-9)
        assert info["weights"][0] == pytest.approx(ledger.weights, abs=1e-9)
        assert info["turnover"][0] == pytest.approx(ledger.turnover, abs=1e-9)
        assert info["cost"][0] == pytest.approx(ledger.cost, abs=1e-11)
        assert total == pytest.approx(math.log(wealth), abs=1e-9)
        assert not terminated[0]
        assert truncated[0] == (day == len(actions) - 1)


@settings(max_examples=150)
@given(panel=MARKETS, costs=COSTS, rules=RULES, seed=st.integers(0, 10_000))
def test_long_only_account_equals_the_ledger(panel, costs, rules, seed):
    generator = np.random.default_rng(seed)
    actions = generator.normal(0, 3, (len(panel) - 1, 1 + len(panel.assets))).astype(np.float32)
    market = BatchMarket(Tape.from_panel(panel, **rules), costs=costs, autoreset=False)
    ledger = Ledger(panel, costs=costs, **rules)
    assert_same_account(market, ledger, list(actions), [softmax(row.tolist()) for row in actions])


@settings(max_examples=150)
@given(panel=MARKETS, costs=COSTS, rules=RULES, seed=st.integers(0, 10_000), net=st.sampled_from([0.0, 0.5, 1.5]))
def test_long_short_account_equals_the_ledger(panel, costs, rules, seed, net):
    generator = np.random.default_rng(seed)
    actions = generator.uniform(-1, 1, (len(panel) - 1, len(panel.assets))).astype(np.float32)
    action = LongShort(gross=1.5, net=net)
    market = BatchMarket(Tape.from_panel(panel, **rules), costs=costs, action=action, autoreset=False)
    ledger = Ledger(panel, costs=costs, long_only=False, **rules)
    assert_same_account(market, ledger, list(actions), [long_short_weights(a.tolist(), 1.5, net) for a in actions])


@settings(max_examples=60)
@given(panel=MARKETS, costs=COSTS, rules=RULES, seed=st.integers(0, 10_000))
def test_single_stock_account_equals_the_ledger(panel, costs, rules, seed):
    one = panel.select(["A0"])
    actions = np.random.default_rng(seed).integers(0, 3, len(one) - 1)
    wanted = [([1.0, 0.0], None, [0.0, 1.0])[action] for action in actions]
    tape = Tape.from_panel(panel, **rules).only("A0")
    market = BatchMarket(tape, costs=costs, action=SellHoldBuy(), autoreset=False)
    assert_same_account(market, Ledger(one, costs=costs, **rules), list(actions), wanted)


@settings(max_examples=60)
@given(panel=MARKETS, costs=COSTS, rules=RULES, seed=st.integers(0, 10_000))
def test_short_position_in_one_stock_equals_the_ledger(panel, costs, rules, seed):
    one = panel.select(["A0"])
    actions = np.random.default_rng(seed).uniform(-1, 1, (len(one) - 1, 1)).astype(np.float32)
    wanted = [[1.0 - float(a), float(a)] for a in actions[:, 0]]
    market = BatchMarket(Tape.from_panel(one, **rules), costs=costs, action=Position(low=-1), autoreset=False)
    assert_same_account(market, Ledger(one, costs=costs, long_only=False, **rules), list(actions), wanted)


@pytest.mark.parametrize("fill", FILLS)
def test_capped_weights_equal_the_ledger(fill):
    panel = messy_panel(days=12, assets=4, seed=3, halts=0.0, absent=0.0, changes=False)
    actions = np.random.default_rng(0).normal(0, 3, (11, 5)).astype(np.float32)
    market = BatchMarket(
        Tape.from_panel(panel, fill=fill), costs=Costs(1e-3), action=LongOnly(cap=0.3), autoreset=False
    )
    assert_same_account(
        market, Ledger(panel, fill, Costs(1e-3)), list(actions), [capped(softmax(a.tolist()), 0.3) for a in actions]
    )


def capped(weights: list[float], cap: float) -> list[float]:
    """Finds by bisection the factor at which the weights, cut at the cap, sum to one."""
    low, high = 1.0, 1e12

    def cut(factor: float) -> list[float]:
        return [weights[0] * factor, *(min(cap, w * factor) for w in weights[1:])]

    for _ in range(300):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if sum(cut(middle)) < 1 else (low, middle)
    return cut(low)
