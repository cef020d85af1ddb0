"""What somebody types who meets the environments for the first time: the answer names the remedy."""

import re

import gymnasium
import numpy as np
import pandas as pd
import pytest

from envs import BatchMarket, LogGrowth, LongOnly, LongShort, SellHoldBuy, Tape
from tests.envs.markets import panel_of, plain_panel
from tests.envs.test_vector_modes import WeightsOnly

PANEL = plain_panel(days=30, assets=3)
TAPE = Tape.from_panel(PANEL)
PORTFOLIO, SINGLE = "FactorGym/Portfolio-v0", "FactorGym/SingleStock-v0"
FRAME = pd.DataFrame({"date": ["2020-01-02"], "symbol": ["A"], "close": [1.0]})


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"tape": FRAME}, "tape is a DataFrame; build one: Tape.from_panel(Panel.from_frame(frame))"),
        ({"tape": PANEL}, "tape is a Panel; build one: Tape.from_panel(panel)"),
        ({"tape": 3}, "tape is 3, expected a Tape; build one: Tape.from_panel(panel)"),
        ({"costs": 0.001}, "costs is 0.001, expected terms such as Costs(fee_rate=0.001)"),
        ({"action": "LongOnly"}, "action is 'LongOnly', expected an action of envs such as LongOnly(), or an object"),
        ({"action": LongShort}, "action is the class LongShort, expected an object: LongShort()"),
        ({"reward": LogGrowth}, "reward is the class LogGrowth, expected an object: LogGrowth()"),
        ({"observation": WeightsOnly}, "observation is the class WeightsOnly, expected an object: WeightsOnly()"),
    ],
)
def test_an_argument_of_another_kind_is_answered_with_the_right_one(arguments, answer) -> None:
    for name, extra in ((PORTFOLIO, {}), (SINGLE, {"asset": "A0"})):
        arguments = {"tape": TAPE} | extra | arguments
        with pytest.raises(ValueError, match=re.escape(answer)):
            gymnasium.make(name, **arguments)
        with pytest.raises(ValueError, match=re.escape(answer)):
            gymnasium.make_vec(name, 2, **arguments)


def test_a_function_that_asks_a_step_for_more_than_it_has_is_told_what_it_has() -> None:
    env = gymnasium.make(PORTFOLIO, tape=TAPE, reward=lambda step: step.profit)
    env.reset()
    with pytest.raises(AttributeError, match="no 'profit'; it has log_growth, growth, log_benchmark, wealth, turnover"):
        env.step(np.zeros(4))


@pytest.mark.parametrize("length", ["2020-01-10", 2.5, 0, True])
def test_a_length_that_is_no_number_of_days_is_refused(length) -> None:
    env = gymnasium.make(PORTFOLIO, tape=TAPE)
    for options in ({"days": length}, {"day": 3, "days": length}):
        with pytest.raises(ValueError, match=r"options: days is .*, expected a whole number of at least 1"):
            env.reset(options=options)


def test_a_length_without_a_day_is_that_of_an_episode_from_a_random_day() -> None:
    env = gymnasium.make(PORTFOLIO, tape=TAPE, observation="compact")
    starts = set()
    for seed in range(20):
        starts.add(int(env.reset(seed=seed, options={"days": 4})[0]["day"][0]))
        steps = [env.step(np.zeros(4))[3] for _ in range(4)]
        assert steps == [False, False, False, True]
    assert len(starts) > 5
    with pytest.raises(ValueError, match="days is 30, but the tape's 30 days hold episodes of 1 to 29"):
        env.reset(options={"days": 30})


@pytest.mark.parametrize("market", [BatchMarket(TAPE, 2), gymnasium.make(PORTFOLIO, tape=TAPE).unwrapped])
def test_what_is_printed_says_what_it_is(market) -> None:
    assert "3 assets, 30 days" in repr(market)
    assert "LongOnly" in repr(market)
    assert len(repr(market)) < 300


def test_masks_do_not_know_tomorrow() -> None:
    """A halt or a limit of the day of the fill is not known after the close before; at the fill `close` it is."""
    close = np.array([[10.0], [10.0], [10.0], [10.0], [10.0], [10.0]])
    tradable = np.ones(close.shape, bool)
    tradable[[2, 4]] = False
    halted, free = panel_of(close, tradable=tradable), panel_of(close)
    for fill in ("next_open", "next_close"):
        shown = [masks_of(Tape.from_panel(panel, fill=fill)) for panel in (halted, free)]
        assert shown[0][0] == shown[1][0] == [False, True, True]
        assert shown[0][1:] == shown[1][1:] == [[True, True, False]] * 4
    assert masks_of(Tape.from_panel(halted, fill="close"))[1:] == [
        [True, True, False], [False, True, False], [True, True, False], [False, True, False],
    ]  # fmt: skip


def test_masks_do_not_know_the_limit_of_tomorrow() -> None:
    close = np.array([[10.0], [10.0], [9.0], [8.1], [8.1]])
    tape = Tape.from_panel(panel_of(close), fill="next_close", price_limit=0.1)
    assert masks_of(tape)[1:] == [[True, True, False]] * 3


def masks_of(tape: Tape) -> list[list[bool]]:
    env = gymnasium.make(SINGLE, tape=tape, action=SellHoldBuy()).unwrapped
    env.reset()
    masks = []
    for day in range(len(tape) - 1):
        masks.append(env.action_masks().tolist())
        env.step(2 if day == 0 else 1)
    return masks


def test_an_action_of_ones_own_without_a_method_is_refused() -> None:
    class Halfway:
        def space(self, n_assets):
            return LongOnly().space(n_assets)

    with pytest.raises(ValueError, match=r"with max_stretch, space\(n_assets\) and to_weights\("):
        gymnasium.make(PORTFOLIO, tape=TAPE, action=Halfway())


class OwnAction:
    """An action of somebody else's module that does what a test says."""

    max_stretch = 1.0

    def __init__(self, write) -> None:
        self.write = write

    def space(self, n_assets: int):
        return LongOnly().space(n_assets)

    def to_weights(self, actions, status, day, targets, hold):
        return self.write(targets, hold)


def _nothing(targets, hold):
    return np.full_like(targets, 0.25)


def _missing(targets, hold):
    targets[:] = [0.4, 0.6, 0.0, np.nan]


def _double(targets, hold):
    targets[:] = [0.0, 2.0, 0.0, 0.0]


def _stale(targets, hold):
    targets[0] = [0.0, 1.0, 0.0, 0.0]  # the other episodes keep what an earlier step has left


@pytest.mark.parametrize("write", [_nothing, _missing, _double, _stale])
@pytest.mark.parametrize("face", ["one", "many"])
def test_an_action_of_ones_own_must_write_weights_that_sum_to_one(write, face) -> None:
    if face == "one" and write is _stale:
        return
    action = OwnAction(write)
    env = gymnasium.make(PORTFOLIO, tape=TAPE, action=action) if face == "one" else BatchMarket(TAPE, 3, action=action)
    env.reset(seed=0)
    episode = 1 if write is _stale else 0
    with pytest.raises(
        ValueError, match=rf"action OwnAction: .*in episode {episode}.* write targets\[b\] that sum to 1"
    ):
        env.step(np.zeros((3, 4) if face == "many" else 4, np.float32))


def test_an_action_of_ones_own_may_leave_the_account_alone() -> None:
    def leave(targets, hold):
        hold[:] = True

    def keep_the_last(targets, hold):
        targets[:], hold[:] = [0.5, 0.5, 0.0, np.nan], True

    def buy(targets, hold):
        targets[:] = [0.0, 0.5, 0.0, 0.5]

    action = OwnAction(buy)
    market = BatchMarket(TAPE, 2, action=action)
    market.reset()
    market.step(np.zeros((2, 4)))
    for action.write in (leave, keep_the_last):
        before = market.account
        trades = market.step(np.zeros((2, 4)))[4]["trades"]
        assert not trades[:, 2].any()
        assert trades[:, :2].any() == (action.write is keep_the_last)
        assert before[:, 3].min() > 0.4
    action.write = buy
    weights = market.step(np.zeros((2, 4)))[4]["weights"]
    np.testing.assert_allclose(weights, [[0.0, 0.5, 0.0, 0.5]] * 2, atol=1e-12)


@pytest.mark.parametrize(("returned", "said"), [(None, "it returned None"), (np.nan, "not finite"), ([1.0], "shape")])
def test_a_reward_of_ones_own_must_return_a_number_an_episode(returned, said) -> None:
    class Own:
        def memory(self, wealth):
            return np.empty((len(wealth), 0))

        def __call__(self, outcome, memory):
            return returned if returned is None else returned * np.ones(1 if returned == [1.0] else 2)

    def function(step):
        return Own()(step, None)

    for reward, name in ((Own(), "Own"), (function, "function")):
        market = BatchMarket(TAPE, 2, reward=reward)
        market.reset()
        with pytest.raises(ValueError, match=f"reward '{name}': .*{said}.*one finite number for each"):
            market.step(np.zeros((2, 4)))


@pytest.mark.parametrize("name", ["tape", "costs", "action", "reward", "episodes", "rebalance"])
def test_what_a_market_was_built_with_cannot_be_set_later(name) -> None:
    """It was read when the market was built: setting it would change nothing and say nothing."""
    market = BatchMarket(TAPE, 2)
    with pytest.raises(AttributeError, match=f"BatchMarket: '{name}' is fixed once it is built; build another"):
        setattr(market, name, getattr(market, name))
    for env in (gymnasium.make(PORTFOLIO, tape=TAPE), gymnasium.make_vec(PORTFOLIO, 2, tape=TAPE)):
        kind = type(env.unwrapped).__name__
        with pytest.raises(AttributeError, match=f"{kind}: '{name}' is fixed once it is built; build another"):
            setattr(env.unwrapped, name, None)
