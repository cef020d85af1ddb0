"""The mean of seeds holds the average of what its seeds ask for, and is booked once."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from agents.committee import Committee
from envs import BatchMarket, Costs, LongOnly, LongShort, Step, Tape, TargetWeights
from evaluation.rollout import rollout
from tests.envs.markets import plain_panel

PANEL = plain_panel(days=30, assets=3)
TAPE = Tape.from_panel(PANEL, fill="next_close")
ACTIONS = {"long": TargetWeights(), "short": LongShort(1.5), "step": Step(LongOnly(bound=1, scale=5))}


def planned(action, seed: int):
    generator = np.random.default_rng(seed)
    width = action.space(3).shape[0]
    raw = generator.dirichlet(np.ones(4), 29) if width == 4 else generator.uniform(-1, 1, (29, width))
    return SimpleNamespace(
        name=f"seed_{seed}", predict=lambda seen, *_, **__: (raw[int(np.asarray(seen["day"]).reshape(-1)[0])], None)
    )


def booked(policy, action, costs: Costs, rebalance=1, tape: Tape = TAPE):
    options = {"tape": tape, "costs": costs, "action": action, "observation": "compact", "rebalance": rebalance}
    return rollout(policy, gymnasium.make("FactorGym/Portfolio-v0", **options))


def committee(action, costs: Costs, seeds, rebalance=1, tape: Tape = TAPE) -> Committee:
    market = BatchMarket(tape, 1, costs, action, observation="compact", rebalance=rebalance)
    return Committee([planned(action, seed) for seed in seeds], market)


@pytest.mark.parametrize("action", [ACTIONS["long"], ACTIONS["short"]], ids=["long", "short"])
def test_the_mean_of_seeds_holds_the_average_and_trades_less(action) -> None:
    costs = Costs(fee_rate=1e-3)
    parts = [booked(planned(action, seed), action, costs) for seed in range(3)]
    joint = committee(action, costs, range(3))
    whole = booked(joint, joint.action, costs)
    assert whole.name == "committee of 3 seeds"
    assert whole.weights == pytest.approx(np.mean([one.weights for one in parts], axis=0), abs=1e-9)
    assert whole.costs.sum() < np.mean([one.costs.sum() for one in parts])  # what cancels is not traded


def test_without_costs_the_mean_earns_the_mean_return_of_each_day() -> None:
    action, tape = TargetWeights(), Tape.from_panel(PANEL, fill="close")
    parts = [booked(planned(action, seed), action, Costs(), tape=tape) for seed in range(3)]
    joint = committee(action, Costs(), range(3), tape=tape)
    whole = booked(joint, joint.action, Costs(), tape=tape)
    assert whole.returns == pytest.approx(np.mean([one.returns for one in parts], axis=0), abs=1e-12)


@pytest.mark.parametrize("rebalance", [1, 5, "W"])
@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_committee_of_one_books_what_its_member_books_on_the_days_that_may_trade(action, rebalance) -> None:
    costs = Costs(fee_rate=1e-3)
    alone = booked(planned(action, 0), action, costs, rebalance)
    joint = committee(action, costs, [0], rebalance)
    together = booked(joint, joint.action, costs)
    assert together.returns == pytest.approx(alone.returns, abs=1e-7)
    assert together.weights == pytest.approx(alone.weights, abs=1e-6)
