"""Weights as they stand, with assets that are left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import BatchMarket, Costs, SellHoldBuy, Tape, TargetWeights
from tests.envs.markets import panel_of, plain_panel

FEE = 3e-3


def stepped(tape, actions, **arguments):
    market = BatchMarket(
        tape, n_envs=1, action=TargetWeights(), costs=Costs(fee_rate=FEE), autoreset=False, **arguments
    )
    market.reset()
    return market, [market.step(action[None])[-1] for action in actions]


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), fill=st.sampled_from(["close", "next_open", "next_close"]))
def test_what_is_left_alone_is_not_traded_and_the_rest_has_its_shares(seed, share, fill):
    rng = np.random.default_rng(seed)
    tape = Tape.from_panel(plain_panel(12, 5, seed), fill=fill)
    actions = rng.uniform(0, 1, (11, 6))
    actions[rng.random(actions.shape) < 0.2] = 0
    alone = np.zeros(actions.shape, bool)
    alone[1:, 1:] = rng.random((10, 5)) < share
    actions[alone] = -rng.uniform(0, 1, alone.sum()) - 1e-9
    _, infos = stepped(tape, actions)
    for action, left, info in zip(actions, alone, infos, strict=True):
        weights, trades = info["weights"][0], info["trades"][0]
        np.testing.assert_array_equal(trades[left[1:]], 0)
        assert info["cost"][0] == pytest.approx(FEE * np.abs(trades).sum(), abs=1e-14)
        rest = 1 - weights[left].sum()
        shares = np.where(left, 0, np.maximum(action, 0))
        shares = shares / shares.sum() if shares.sum() > 0 else np.eye(6)[0]
        np.testing.assert_allclose(weights[~left], rest * shares[~left], atol=1e-12)
        assert weights.sum() == pytest.approx(1, abs=1e-12)


def test_leaving_everything_alone_books_nothing_at_all():
    tape = Tape.from_panel(plain_panel(8, 3))
    actions = np.full((7, 4), -1.0)
    actions[0] = [1, 1, 1, 1]
    _, infos = stepped(tape, actions)
    for info in infos[1:]:
        assert info["cost"][0] == info["turnover"][0] == 0
        np.testing.assert_array_equal(info["trades"], 0)


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
def test_a_neighbour_that_leaves_its_listing_moves_nothing_else(fill):
    """Its fee is paid from what it fetched: the others are not traded to make up for it."""
    listed = np.ones((8, 3), bool)
    listed[4:, 2] = False  # it keeps its prices, so it is sold
    panel = panel_of(plain_panel(8, 3)["close"], plain_panel(8, 3)["open"], listed=listed)
    actions = np.full((7, 4), -1.0)
    actions[0] = [0, 1, 1, 1]
    _, infos = stepped(Tape.from_panel(panel, fill=fill), actions)
    trades = np.array([info["trades"][0] for info in infos])
    assert (trades[1:, 2] < 0).sum() == 1
    np.testing.assert_array_equal(trades[1:, :2], 0)


def test_other_holds_leave_a_neighbour_alone_too():
    listed = np.ones((8, 1), bool)
    listed[4:] = False
    panel = panel_of(plain_panel(8, 1)["close"], listed=listed)
    tape = Tape.from_panel(panel)
    market = BatchMarket(tape, n_envs=1, action=SellHoldBuy(), costs=Costs(fee_rate=FEE), autoreset=False)
    market.reset()
    wealth = []
    for action in [2, 1, 1, 1, 1, 1, 1]:
        market.step(np.array([action]))
        wealth.append(market.wealth[0])
    close = panel["close"][:, 0]
    assert wealth[-1] == pytest.approx(close[4] / close[1] * (1 - FEE) / (1 + FEE), rel=1e-12)
    np.testing.assert_array_equal(market.account, [[1, 0]])


def test_shares_are_normalised_and_clipped():
    tape = Tape.from_panel(plain_panel(8, 2))
    _, infos = stepped(tape, np.array([[0.2, 0.2, 0.4], [0, 5.0, 1.0], [0, 0, 0]]))
    np.testing.assert_allclose(infos[0]["weights"], [[0.25, 0.25, 0.5]], atol=1e-15)
    np.testing.assert_allclose(infos[1]["weights"], [[0, 0.5, 0.5]], atol=1e-15)
    np.testing.assert_array_equal(infos[2]["weights"], [[1, 0, 0]])


def test_a_batch_equals_its_single_episodes_to_the_bit():
    tape = Tape.from_panel(plain_panel(20, 6))
    actions = np.random.default_rng(0).uniform(-0.5, 1, (19, 40, 7))
    batch = BatchMarket(tape, n_envs=40, action=TargetWeights(), costs=Costs(fee_rate=FEE), autoreset=False)
    batch.reset()
    for step in actions:
        batch.step(step)
    for k in (0, 17, 39):
        single, _ = stepped(tape, actions[:, k])
        assert single.wealth[0] == batch.wealth[k]
