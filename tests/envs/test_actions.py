"""What actions mean, and what happens to those that mean nothing."""

import math

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs import BatchMarket, Costs, LongOnly, LongShort, Position, SellHoldBuy, Tape, TargetLevels, Templates
from envs.actions.kernels import exponentials
from tests.envs.markets import plain_panel

TAPE = Tape.from_panel(plain_panel(days=8, assets=3), fill="close")


def weights_of(action, raw, tape=TAPE) -> np.ndarray:
    """The weights right after a trade without costs."""
    market = BatchMarket(tape, action=action)
    market.reset()
    return market.step(np.asarray(raw)[None])[4]["weights"][0]


@settings(max_examples=200)
@given(arrays(np.float64, st.integers(1, 3000), elements=st.floats(-300, 300)))
def test_the_vectorised_exponential_is_exact_to_an_ulp_or_two(x):
    powers = np.empty_like(x)
    exponentials(x, 300.0, 1.0, powers)
    assert np.all(np.abs(powers / np.exp(x) - 1) < 1e-15)


@settings(max_examples=100)
@given(arrays(np.float32, 4, elements=st.floats(-30, 30, width=32)))
def test_long_only_weights_are_the_softmax_of_clipped_logits(raw):
    logits = np.exp(np.clip(raw.astype(np.float64), -20, 20))
    assert weights_of(LongOnly(), raw) == pytest.approx(logits / logits.sum(), abs=1e-14)


@settings(max_examples=100)
@given(arrays(np.float32, 4, elements=st.floats(-10, 10, width=32)), st.sampled_from([0.2, 0.4, 0.9]))
def test_capped_weights_keep_to_the_cap_and_to_their_order(raw, cap):
    weights, free = weights_of(LongOnly(cap=cap), raw), weights_of(LongOnly(), raw)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[1:].max() <= cap + 1e-12
    assert np.all(weights >= 0)
    below = weights[1:] < cap - 1e-9
    if below.any() and free[0] > 1e-9:
        assert weights[1:][below] / weights[0] == pytest.approx(free[1:][below] / free[0], rel=1e-6)


@settings(max_examples=100)
@given(
    arrays(np.float32, 3, elements=st.floats(-2, 2, width=32)),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([None, 0.0, 0.3]),
    st.sampled_from([None, 0.4]),
)
def test_long_short_weights_keep_their_limits_and_their_signs(raw, gross, net, cap):
    weights = weights_of(LongShort(gross, net, cap), raw)
    assert weights.sum() == pytest.approx(1.0)
    assert np.abs(weights[1:]).sum() <= gross + 1e-12
    assert abs(weights[1:].sum()) <= (gross if net is None else net) + 1e-12
    assert np.abs(weights[1:]).max() <= (gross if cap is None else cap) + 1e-12
    assert np.all(weights[1:] * raw >= 0)


def test_one_asset_can_take_the_whole_gross_limit():
    assert weights_of(LongShort(gross=2.0), [0, -1.0, 0]) == pytest.approx([3.0, 0.0, -2.0, 0.0])


def test_templates_hold_or_choose():
    assert weights_of(Templates(), 0) == pytest.approx([1, 0, 0, 0])
    assert weights_of(Templates(), 1) == pytest.approx([1, 0, 0, 0])
    assert weights_of(Templates(), 2) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert weights_of(Templates(), 5) == pytest.approx([0, 0, 0, 1])
    assert weights_of(Templates(((0.4, 0.6, 0, 0),)), 1) == pytest.approx([0.4, 0.6, 0, 0])


def test_templates_that_sum_to_nearly_one_make_no_money():
    market = BatchMarket(TAPE, action=Templates(((0.5, 0.5 + 9e-10, 0, 0),)))
    market.reset()
    info = market.step([1])[4]
    assert info["cost"][0] == pytest.approx(0.0, abs=1e-15)
    assert info["weights"][0].sum() == pytest.approx(1.0, abs=1e-15)


def test_single_stock_actions():
    tape = TAPE.only("A1")
    assert weights_of(SellHoldBuy(), 2, tape) == pytest.approx([0, 1])
    assert weights_of(SellHoldBuy(), 1, tape) == pytest.approx([1, 0])
    assert weights_of(TargetLevels((-1.0, 0.25)), 0, tape) == pytest.approx([2, -1])
    assert weights_of(TargetLevels((-1.0, 0.25)), 1, tape) == pytest.approx([0.75, 0.25])
    assert weights_of(Position(), [0.5], tape) == pytest.approx([0.25, 0.75])
    assert weights_of(Position(low=-1), [-0.5], tape) == pytest.approx([1.5, -0.5])
    assert weights_of(Position(), [7.0], tape) == pytest.approx([0, 1])


def test_holding_trades_nothing_at_all():
    market = BatchMarket(TAPE, costs=Costs(fee_rate=0.01), action=Templates())
    market.reset()
    market.step([2])
    for _ in range(4):
        info = market.step([0])[4]
        assert info["turnover"][0] == 0.0
        assert info["cost"][0] == 0.0
        assert not info["trades"].any()


BOXES = (LongOnly(), LongOnly(cash=False), LongShort())


@pytest.mark.parametrize("action", BOXES)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_and_the_account_is_untouched(action, wrong):
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=TAPE, action=action, costs=Costs(1e-3))
    env.reset(seed=0)
    good = np.full(env.action_space.shape, 0.5, np.float32)
    env.step(good)
    market = env.unwrapped.market
    before = market.account, market.wealth.copy(), market.clock.day.copy()
    bad = good.copy()
    bad[1] = wrong
    with pytest.raises(ValueError, match="actions hold NaN or infinity"):
        env.step(bad)
    after = market.account, market.wealth, market.clock.day
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    env.step(good)


def test_a_wrong_shape_is_refused():
    market = BatchMarket(TAPE, 2)
    market.reset()
    with pytest.raises(ValueError, match=r"actions have shape \(2, 3\), expected \(2, 4\)"):
        market.step(np.zeros((2, 3)))


@pytest.mark.parametrize(("wrong", "said"), [(3, "action 3 does not exist"), (-1, "action -1"), (1.0, "whole numbers")])
def test_a_discrete_action_that_does_not_exist_is_refused(wrong, said):
    market = BatchMarket(TAPE.only("A0"), action=SellHoldBuy())
    market.reset()
    before = market.account
    with pytest.raises(ValueError, match=said):
        market.step([wrong])
    assert np.array_equal(market.account, before)


def test_bounds_that_cannot_concentrate_are_refused():
    """The classic: a softmax over [-1, 1] holds equal weights for ever."""
    with pytest.raises(ValueError, match="reaches only 71%; raise scale"):
        BatchMarket(TAPE, action=LongOnly(bound=1.0))
    remedy = LongOnly(bound=1.0, scale=3.0)
    assert BatchMarket(TAPE, action=remedy).action_space.high.max() == 1.0


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: LongOnly(cap=1.5), "cap is 1.5"),
        (lambda: LongOnly(bound=100, scale=10), "at most 300"),
        (lambda: LongShort(gross=0), "gross is 0"),
        (lambda: LongShort(net=-1), "net is -1"),
        (lambda: LongShort(cap=0), "cap is 0"),
        (lambda: Templates(((0.5, 0.4),)), "row 0 of weights sums to 0.9"),
        (lambda: TargetLevels(()), "levels are"),
        (lambda: Position(low=1, high=0), "low 1 must be below high 0"),
        (lambda: BatchMarket(TAPE, action=Templates(((1.0, 0.0),))), "row 0 has 2 weights"),
        (lambda: BatchMarket(TAPE, action=SellHoldBuy()), "trades one asset but the tape has 3"),
    ],
)
def test_impossible_actions_are_refused(build, said):
    with pytest.raises(ValueError, match=said):
        build()
