"""The torch twin books what the environments book, and its gradient is that of finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.differentiable.actions import has_gradient, holds, target_weights
from agents.differentiable.market import DifferentiableMarket
from envs import (
    BatchMarket,
    Costs,
    LongOnly,
    LongShort,
    Position,
    SectorLimit,
    Step,
    Tape,
    TargetWeights,
    Templates,
    Tilt,
)
from envs.actions.relative import RelativeAction
from envs.execution import AVAILABLE
from tests.envs.markets import messy_panel, plain_panel
from tests.envs.test_ledger import MARKETS, RULES

COSTS = st.builds(
    Costs,
    fee_rate=st.sampled_from([0.0, 1e-3, 0.02]),
    sell_fee_rate=st.sampled_from([None, 0.0, 2e-3, 0.05]),
    half_spread=st.sampled_from([0.0, 5e-4]),
    impact=st.sampled_from([0.0, 0.0, 0.5]),
    borrow_rate=st.sampled_from([0.0, 1e-3]),
    cash_rate=st.sampled_from([0.0, 2e-4]),
    margin=st.sampled_from([0.0, 0.3]),
)
SECTORS = ("a", "b", "a", "c")
ACTIONS = (
    LongOnly(),
    LongOnly(cash=False, bound=1, scale=5),
    LongOnly(cap=0.4),
    Tilt(),
    Tilt(cash=False, kappa=0.8, opening=1e-2),
    Tilt(cap=0.5),
    LongShort(gross=1.5, net=0.5),
    LongShort(gross=2.0, cap=0.6),
    Step(),
    Step(LongShort(gross=1.5), largest=0.5),
    TargetWeights(),
    SectorLimit(SECTORS, 0.35),
    SectorLimit(SECTORS, 0.5, 0.2, LongOnly(cash=False, bound=1, scale=5)),
    SectorLimit(SECTORS, 0.4, 0.3, LongShort(gross=1.5, net=0.2)),
    Step(SectorLimit(SECTORS, 0.3)),
)
SINGLE = (Position(), Position(low=-1), Step(Position(low=-1, high=1.5)), Tilt(), LongOnly())


def fitted(action, n_assets: int):
    """The action with as many sectors as there are assets."""
    if isinstance(action, Step):
        return replace(action, target=fitted(action.target, n_assets))
    if isinstance(action, SectorLimit):
        return replace(action, sectors=tuple(SECTORS[k % len(SECTORS)] for k in range(n_assets)))
    return action


def raw_actions(action, tape: Tape, n_envs: int, seed: int) -> np.ndarray:
    space = action.space(tape.n_assets)
    generator = np.random.default_rng(seed)
    raw = generator.normal(0, 1, (len(tape) - 1, n_envs, *space.shape))
    raw[generator.random(raw.shape) < 0.1] = 0.0
    return raw


def asked(twin: DifferentiableMarket, action, rows, raw, held) -> tuple[torch.Tensor, np.ndarray]:
    """The targets by the twin's own functions where it has them, else by the action's own."""
    tape = twin.market.tape
    hold = np.zeros(len(rows), bool)
    if has_gradient(action):
        available, numbers = torch.from_numpy((tape.status[rows] & AVAILABLE) > 0), torch.from_numpy(raw)
        return target_weights(action, numbers, held.weights, available), holds(action, numbers)
    targets = np.zeros((len(rows), 1 + tape.n_assets))
    action.to_weights(raw, tape.status, rows, targets, hold)
    return torch.from_numpy(targets), hold


def assert_same_money(tape: Tape, costs: Costs, action, seed: int, n_envs: int = 3) -> None:
    market = BatchMarket(tape, n_envs, costs, action, autoreset=False)
    market.reset(seed=0)
    twin = DifferentiableMarket(market)
    account, wealth = torch.from_numpy(market.account), torch.ones(n_envs, dtype=torch.float64)
    running = np.ones(n_envs, bool)
    for raw in raw_actions(action, tape, n_envs, seed):
        rows = market.clock.day.copy()
        held = twin.drift(rows, account)
        targets, hold = asked(twin, action, rows, raw, held)
        found = twin.trade(rows, held, targets, wealth, hold)
        before = wealth
        account, wealth = found.account, wealth * found.growth
        _, _, terminated, truncated, info = market.step(raw)
        assert wealth.numpy()[running] == pytest.approx(info["wealth"][running], rel=1e-9)
        assert account.numpy()[running] == pytest.approx(market.account[running], abs=1e-9)
        assert found.weights.numpy()[running] == pytest.approx(info["weights"][running], abs=1e-9)
        assert found.turnover.numpy()[running] == pytest.approx(info["turnover"][running], abs=1e-9)
        assert (found.cost * before).numpy()[running] == pytest.approx(info["cost"][running], abs=1e-11)
        assert (found.ruined.numpy() == terminated)[running].all()
        if (terminated | truncated).any():  # the batch stops at the first ruin; the fuzz has many others
            break


@settings(max_examples=120, deadline=None)
@given(panel=MARKETS, costs=COSTS, rules=RULES, seed=st.integers(0, 10_000), action=st.sampled_from(ACTIONS))
def test_the_twin_books_the_money_of_the_environment(panel, costs, rules, seed, action):
    if isinstance(action, LongOnly | Tilt) and len(panel.assets) == 1 and not action.cash:
        action = replace(action, cash=True)
    tape = Tape.from_panel(panel, **rules)
    assume(costs.impact == 0 or tape.impact_scale is not None)
    assert_same_money(tape, costs, fitted(action, tape.n_assets), seed)


@settings(max_examples=60, deadline=None)
@given(panel=MARKETS, costs=COSTS, rules=RULES, seed=st.integers(0, 10_000), action=st.sampled_from(SINGLE))
def test_the_twin_books_a_single_stock(panel, costs, rules, seed, action):
    tape = Tape.from_panel(panel, **rules).only("A0")
    assume(costs.impact == 0 or tape.impact_scale is not None)
    assert_same_money(tape, costs, action, seed)


GRADIENT_COSTS = (
    Costs(fee_rate=2e-3, sell_fee_rate=5e-3, half_spread=1e-3),
    Costs(fee_rate=1e-3, impact=0.5, borrow_rate=1e-3, cash_rate=1e-4),
)


@pytest.mark.parametrize("costs", GRADIENT_COSTS, ids=["proportional", "impact"])
@pytest.mark.parametrize(
    "action",
    [
        LongOnly(),
        LongOnly(cap=0.35),
        Tilt(),
        Tilt(kappa=0.7),
        LongShort(1.5, 0.5),
        Step(),
        Step(LongShort(1.5)),
        SectorLimit(SECTORS, 0.4, 0.35),
        SectorLimit(SECTORS, 0.3, base=LongShort(1.5, 0.5)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
def test_the_gradient_is_that_of_finite_differences(fill, action, costs):
    """Of wealth after five days with a halt, a price limit and a delisting, by every number of every action."""
    panel = messy_panel(days=7, assets=4, seed=12, halts=0.25, absent=0.1, changes=True)
    tape = Tape.from_panel(panel, fill=fill, delisting_return=-0.3)
    generator = np.random.default_rng(3)
    space = action.space(4)
    raw = generator.uniform(-0.8, 0.8, (5, 1, *space.shape))
    if isinstance(action, Step):
        raw[..., 0] = np.abs(raw[..., 0]) * 0.9 + 0.05
    found = gradient_of_twin(tape, costs, action, raw)
    expected = np.zeros_like(raw)
    for place in np.ndindex(raw.shape):
        moved = []
        for sign in (1, -1):
            other = raw.copy()
            other[place] += sign * 1e-6
            moved.append(log_wealth(tape, costs, action, other))
        expected[place] = (moved[0] - moved[1]) / 2e-6
    assert np.abs(expected).max() > 1e-4
    assert found == pytest.approx(expected, abs=2e-7, rel=2e-5)


def log_wealth(tape: Tape, costs: Costs, action, raw: np.ndarray) -> float:
    market = BatchMarket(tape, 1, costs, action, autoreset=False)
    market.reset()
    for one in raw:
        market.step(one)
    return float(np.log(market.wealth[0]))


def gradient_of_twin(tape: Tape, costs: Costs, action, raw: np.ndarray) -> np.ndarray:
    market = BatchMarket(tape, 1, costs, action, autoreset=False)
    market.reset()
    twin = DifferentiableMarket(market)
    numbers = torch.tensor(raw, requires_grad=True)
    account, wealth = torch.from_numpy(market.account), torch.ones(1, dtype=torch.float64)
    for day, one in enumerate(numbers):
        rows = np.array([day])
        held = twin.drift(rows, account)
        available = torch.from_numpy((tape.status[rows] & AVAILABLE) > 0)
        found = twin.trade(rows, held, target_weights(action, one, held.weights, available), wealth)
        account, wealth = found.account, wealth * found.growth
    wealth.log().sum().backward()
    return numbers.grad.numpy()


def test_an_action_without_a_gradient_is_refused():
    assert not has_gradient(Templates())
    with pytest.raises(ValueError, match="Templates: it has no gradient; use LongOnly"):
        target_weights(Templates(), torch.zeros(1, 1), torch.zeros(1, 4), torch.ones(1, 3, dtype=torch.bool))


def test_relative_actions_are_told_from_others():
    assert isinstance(Tilt(), RelativeAction)
    assert isinstance(Step(), RelativeAction)
    assert not isinstance(LongOnly(), RelativeAction)
    assert len(plain_panel(days=5)) == 5
