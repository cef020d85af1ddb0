"""Actions that start from what is held: doing nothing is exact, limits hold, and trading days are kept."""

import gymnasium
import numpy as np
import pandas as pd
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from envs import (
    BatchMarket,
    Costs,
    Episodes,
    Excess,
    LongOnly,
    LongShort,
    Position,
    SellHoldBuy,
    Step,
    Tape,
    TargetWeights,
    Tilt,
)
from envs.rebalancing import trading_days
from tests.envs.markets import messy_panel, panel_of, plain_panel

TAPE = Tape.from_panel(plain_panel(days=12, assets=3), fill="next_open")
HELD = (0.1, 0.2, 0.3, 0.4)
NUMBERS = st.floats(-3, 3, width=32)


def first_step(action, raw, costs=Costs(), tape=TAPE, held=HELD):  # noqa: B008 - frozen
    market = BatchMarket(tape, 1, costs, action, episodes=Episodes(weights=held), autoreset=False)
    market.reset()
    return market.step(np.asarray(raw)[None])[4]


def at_the_fill(tape=TAPE, held=HELD) -> np.ndarray:
    weights = np.array(held)
    weights[1:] *= 1 + tape.before[0]
    return weights / weights.sum()


@pytest.mark.parametrize("action", [Tilt(), Tilt(cash=False), Tilt(kappa=0.5), Step(), Step(LongShort())], ids=repr)
def test_an_action_of_zeros_trades_nothing_at_all(action):
    info = first_step(action, np.zeros(action.space(3).shape), Costs(fee_rate=0.01))
    assert info["turnover"][0] == 0.0
    assert info["cost"][0] == 0.0
    assert info["weights"][0] == pytest.approx(at_the_fill(), abs=1e-15)


@pytest.mark.parametrize("action", [Tilt(), Step(), Step(LongShort(1.5))], ids=repr)
def test_zeros_hold_through_halts_and_delistings_like_an_order_to_hold(action):
    panel = messy_panel(days=12, assets=4, seed=7, halts=0.3, absent=0.1, changes=True)
    tape = Tape.from_panel(panel, delisting_return=-0.3)
    held = Episodes(weights=(0.2,) * 5)
    wealth = []
    for one, raw in ((action, np.zeros(action.space(4).shape)), (TargetWeights(), np.full(5, -1.0))):
        market = BatchMarket(tape, 1, Costs(fee_rate=1e-3), one, episodes=held, autoreset=False)
        market.reset()
        wealth.append([market.step(raw[None])[4]["wealth"][0] for _ in range(11)])
    assert wealth[0] == pytest.approx(wealth[1], rel=1e-12)


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, 4, elements=NUMBERS), st.sampled_from([0.3, 0.8, 1.0]))
def test_tilted_weights_multiply_what_is_held(raw, kappa):
    action = Tilt(kappa=kappa, opening=0.01, scale=2.0)
    power = np.exp(2.0 * np.clip(raw.astype(np.float64), -1, 1))
    shares = at_the_fill() ** kappa * power + 0.01 * np.maximum(power - 1, 0)
    expected = at_the_fill() if not raw.any() else shares / shares.sum()
    assert first_step(action, raw)["weights"][0] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, 5, elements=NUMBERS), st.sampled_from([0.25, 1.0]))
def test_a_step_goes_a_fraction_of_the_way(raw, largest):
    fraction = largest * np.clip(np.float64(raw[0]), 0, 1)
    target = first_step(LongOnly(bound=1, scale=5), raw[1:])["weights"][0]
    expected = at_the_fill() + fraction * (target - at_the_fill())
    assert first_step(Step(largest=largest), raw)["weights"][0] == pytest.approx(expected, abs=1e-12)


def test_an_asset_that_is_not_held_can_be_bought_and_one_can_take_nearly_all():
    market = BatchMarket(TAPE, 1, action=Tilt(), autoreset=False)
    market.reset()
    for _ in range(3):
        info = market.step(np.array([[-1.0, -1.0, 1.0, -1.0]]))[4]
    assert info["weights"][0][2] > 0.99


def test_caps_hold_for_what_a_step_or_a_tilt_buys():
    assert first_step(Tilt(cap=0.5), [0, 1.0, -1, -1])["weights"][0][1] <= 0.5 + 1e-12
    target = Step(LongOnly(bound=1, scale=5, cap=0.5))
    assert first_step(target, [1.0, 0, 1.0, -1, -1])["weights"][0][1] <= 0.5 + 1e-12


def test_a_short_position_is_left_step_by_step():
    tape = Tape.from_panel(plain_panel(days=5, assets=1), fill="close")
    info = first_step(Step(Position(low=-1)), [0.5, 1.0], tape=tape, held=(2.0, -1.0))
    assert info["weights"][0] == pytest.approx([1.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("action", [Tilt(), Tilt(cash=False), Step(), Step(LongShort(1.5))], ids=repr)
def test_both_checkers_pass_without_a_warning(action):
    options = {"costs": Costs(1e-3), "action": action, "reward": Excess(), "observation": "flat"}
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=TAPE, **options)
    check_env(env.unwrapped, skip_render_check=True)
    sb3_check_env(env.unwrapped)


@pytest.mark.parametrize("action", [Tilt(), Step(), Tilt(kappa=0.7)], ids=repr)
def test_a_batch_equals_single_episodes_to_the_bit(action):
    tape = Tape.from_panel(messy_panel(days=20, assets=4, seed=3, halts=0.2, absent=0.1, changes=True))
    raw = np.random.default_rng(0).normal(0, 1, (8, 3, *action.space(4).shape)).astype(np.float32)
    batch = BatchMarket(tape, 3, Costs(1e-3), action, episodes=Episodes(8), seed=5, autoreset=False)
    batch.reset()
    for k in range(3):
        one = BatchMarket(tape, 1, Costs(1e-3), action, episodes=Episodes(8), seed=5 + k, autoreset=False)
        one.reset()
        other = BatchMarket(tape, 3, Costs(1e-3), action, episodes=Episodes(8), seed=5, autoreset=False)
        other.reset()
        for row in raw:
            np.testing.assert_array_equal(one.step(row[k : k + 1])[4]["wealth"][0], other.step(row)[4]["wealth"][k])


def test_relative_actions_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match=r"Tilt: kappa is 2\.0"):
        Tilt(kappa=2.0)
    with pytest.raises(ValueError, match="Step: largest is 0"):
        Step(largest=0.0)
    with pytest.raises(ValueError, match="Step: its target is Tilt, itself relative"):
        Step(Tilt())
    with pytest.raises(ValueError, match=r"Step: .* acts in Discrete"):
        Step(SellHoldBuy()).space(1)


@pytest.mark.parametrize("rebalance", [1, 3, "W", "M"])
def test_between_trading_days_the_account_drifts(rebalance):
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, (50, 2)), axis=0))
    tape = Tape.from_panel(panel_of(close), fill="close")
    market = BatchMarket(tape, 1, Costs(1e-3), LongOnly(), autoreset=False, rebalance=rebalance)
    market.reset()
    traded = [market.step(np.zeros((1, 3)))[4]["turnover"][0] > 0 for _ in range(49)]
    days = tape.dates[:49].tolist()
    expected = {
        1: [True] * 49,
        3: [k % 3 == 0 for k in range(49)],
        "W": [k == 0 or days[k].isocalendar()[1] != days[k - 1].isocalendar()[1] for k in range(49)],
        "M": [k == 0 or days[k].month != days[k - 1].month for k in range(49)],
    }[rebalance]
    assert traded == expected


def test_an_episode_may_always_trade_on_its_first_day():
    market = BatchMarket(TAPE, 1, action=LongOnly(), episodes=Episodes(4), autoreset=False, rebalance="M")
    market.reset(options={"day": 5})
    assert market.step(np.zeros((1, 4)))[4]["turnover"][0] > 0
    assert market.step(np.ones((1, 4)))[4]["turnover"][0] == 0


@pytest.mark.parametrize("wrong", [0, -2, "D", True, 1.5])
def test_a_rebalancing_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a number of days, 'W' for weekly or 'M' for monthly"):
        trading_days(TAPE.dates, wrong)


@pytest.mark.parametrize(("off", "first"), [([5, 6], 0), ([4, 5], 6), ([3, 4], 5)])
def test_weeks_begin_after_the_weekend_of_the_market(off, first):
    dates = pd.date_range("2020-01-01", periods=90)
    dates = dates[~dates.day_of_week.isin(off)]
    due = trading_days(dates.to_numpy().astype("datetime64[D]"), "W")
    assert due[0]
    assert set(dates[due][1:].day_of_week) == {first}


def test_excess_is_measured_against_the_benchmark_it_names():
    rule = np.linspace(-0.01, 0.01, len(TAPE))
    tape = TAPE.with_benchmark("rule", rule)
    for name, series in (("rule", rule), ("equal_weight", TAPE.benchmark)):
        market = BatchMarket(tape, 1, action=LongOnly(), reward=Excess(name, risk_aversion=3.0), autoreset=False)
        market.reset()
        wealth = 1.0
        for day in range(3):
            _, reward, _, _, info = market.step(np.array([[-5.0, 5, 0, 0]]))
            excess = np.log(info["wealth"][0] / wealth) - np.log1p(series[day])
            assert reward[0] == pytest.approx(excess - 1.5 * excess**2, abs=1e-12)
            wealth = info["wealth"][0]
    with pytest.raises(ValueError, match=r"no benchmark .index., only equal_weight; add it with tape\.with_benchmark"):
        BatchMarket(TAPE, 1, reward=Excess("index"))
    with pytest.raises(ValueError, match="expected 12 finite returns above -1"):
        TAPE.with_benchmark("rule", rule[:-1])
