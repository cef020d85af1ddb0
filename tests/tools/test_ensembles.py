"""The mean of seeds holds the average of what they hold, and is booked once."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from envs import Costs, LongShort, Tape, TargetWeights
from evaluation.rollout import rollout
from tests.envs.markets import plain_panel
from tools.runs.ensembles import PlannedWeights, mean_of_seeds
from tools.runs.rollouts import Market

PANEL = plain_panel(days=30, assets=3)
TAPE = Tape.from_panel(PANEL, fill="close")


def market(costs: Costs) -> Market:
    return Market(TAPE, PANEL, None, costs)


def seeds(costs: Costs, action, n: int = 3):
    generator = np.random.default_rng(0)
    width = action.space(3).shape[0]
    for k in range(n):
        raw = (
            generator.uniform(-1, 1, (29, width))
            if isinstance(action, LongShort)
            else generator.dirichlet(np.ones(4), 29)
        )
        fixed = SimpleNamespace(predict=lambda seen, *_, raw=raw, **__: (raw[int(seen["day"][0])], None))
        env = gymnasium.make("FactorGym/Portfolio-v0", tape=TAPE, costs=costs, action=action, observation="compact")
        yield rollout(fixed, env, f"seed_{k}")


@pytest.mark.parametrize("action", [TargetWeights(), LongShort(1.5)], ids=["long", "short"])
def test_the_mean_of_seeds_holds_the_average(action):
    costs = Costs(fee_rate=1e-3)
    parts = list(seeds(costs, action))
    whole = mean_of_seeds(market(costs), "APG", parts)
    assert whole.name == "APG: mean of 3 seeds"
    assert whole.weights == pytest.approx(np.mean([one.weights for one in parts], axis=0), abs=1e-9)
    assert whole.costs.sum() < np.mean([one.costs.sum() for one in parts])  # what cancels is not traded


def test_without_costs_the_mean_earns_the_mean_return_of_each_day():
    parts = list(seeds(Costs(), TargetWeights()))
    whole = mean_of_seeds(market(Costs()), "APG", parts)
    assert whole.returns == pytest.approx(np.mean([one.returns for one in parts], axis=0), abs=1e-12)


def test_weights_below_zero_are_sold_short():
    planned = PlannedWeights("mean", np.array([[1.2, -0.2, 0.0, 0.0]]))
    action, _ = planned.predict({"day": np.array([0]), "account": np.zeros(4)})
    assert isinstance(planned.action, LongShort)
    assert action * planned.action.gross == pytest.approx([-0.2, 0, 0])
