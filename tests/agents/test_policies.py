"""Policies see the same in both kinds of observation, and do not count or order the assets of a portfolio."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.algorithms.on_policy import DQN, PPO, SAC, RecurrentPPO
from agents.networks.extractors import FlatLookup, StateLookup, StateTable
from agents.vec_env import MarketVecEnv
from envs import BatchMarket, Episodes, LongOnly, LongShort, SellHoldBuy, Tape
from envs.actions.portfolio import Action
from tests.agents.planted import NAMES, SMALL, action_for, noise_tape
from tests.envs.markets import messy_panel, plain_panel, states_of

EQUIVARIANT = [agent for agent in SMALL if not isinstance(agent, DQN | RecurrentPPO)]


def messy_tape(assets: int = 5) -> Tape:
    panel = messy_panel(days=40, assets=assets, seed=1, halts=0.2, absent=0.1, changes=True)
    return Tape.from_panel(panel, states_of(panel), lookback=2)


def market_of(tape: Tape, view: str, action: Action, portfolio: bool = True) -> BatchMarket:
    return BatchMarket(tape, 6, action=action, observation=view, episodes=Episodes(9), seed=0, one_asset=not portfolio)


def policy_for(agent, market: BatchMarket, portfolio: bool = True):
    torch.manual_seed(0)
    compact = "day" in market.observation_space.spaces
    table = StateTable(market.tape) if compact else None
    policy = agent.policy(market.observation_space, market.action_space, table, portfolio)
    for parameter in policy.parameters():  # heads that start small would hide differences
        torch.nn.init.normal_(parameter, std=0.3)
    return policy


@pytest.mark.parametrize("portfolio", [True, False], ids=["portfolio", "single"])
@pytest.mark.parametrize("agent", SMALL, ids=NAMES)
def test_compact_and_full_observations_give_the_same_actions(agent, portfolio: bool) -> None:
    tape = messy_tape() if portfolio else messy_tape().only("A0")
    action = action_for(agent, portfolio)
    compact, full = (market_of(tape, view, action, portfolio) for view in ("compact", "full"))
    one, other = (policy_for(agent, market, portfolio) for market in (compact, full))
    other.load_state_dict(one.state_dict())
    seen, shown = compact.reset()[0], full.reset()[0]
    memory, recall, starts = None, None, np.ones(6, bool)
    distinct = set()
    for _ in range(12):
        ours, memory = one.predict(seen, memory, starts, deterministic=True)
        theirs, recall = other.predict(shown, recall, starts, deterministic=True)
        np.testing.assert_array_equal(ours, theirs)
        distinct.add(ours.tobytes())
        seen, shown = compact.step(ours)[0], full.step(theirs)[0]
        starts = np.zeros(6, bool)
    assert len(distinct) > 6 or isinstance(agent, DQN)


@pytest.mark.parametrize("meaning", [LongOnly(bound=1, scale=5), LongShort()], ids=["cash", "no cash"])
@pytest.mark.parametrize("agent", EQUIVARIANT, ids=lambda agent: type(agent).__name__)
def test_permuting_the_assets_permutes_the_action(agent, meaning) -> None:
    tape = messy_tape()
    order = [3, 1, 4, 0, 2]
    market = market_of(tape, "full", meaning)
    policy = policy_for(agent, market)
    seen = market.reset()[0]
    seen["account"] = np.random.default_rng(0).dirichlet(np.ones(6), 6).astype(np.float32)
    turned = {
        "assets": seen["assets"][:, order],
        "market": seen["market"],
        "mask": seen["mask"][:, order],
        "account": seen["account"][:, [0, *(1 + k for k in order)]],
    }
    action = policy.predict(seen, deterministic=True)[0]
    other = policy.predict(turned, deterministic=True)[0]
    first = action.shape[1] - 5  # 1 where cash is chosen too
    turn = [*range(first), *(first + k for k in order)]
    np.testing.assert_allclose(other, action[:, turn], atol=1e-5)
    assert np.ptp(action[:, first:], axis=1).min() > 1e-3
    tensors = [{name: torch.from_numpy(part) for name, part in one.items()} for one in (seen, turned)]
    if not (hasattr(policy, "critic") or hasattr(policy, "predict_values")):
        return  # a policy without a value
    if hasattr(policy, "critic"):
        values = [policy.critic(one, torch.from_numpy(act)) for one, act in zip(tensors, (action, other), strict=True)]
        values = [torch.cat(list(value), dim=0) for value in values]
    else:
        values = [policy.predict_values(one) for one in tensors]
    torch.testing.assert_close(*values, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("agent", EQUIVARIANT, ids=lambda agent: type(agent).__name__)
def test_weights_serve_another_number_of_assets(agent) -> None:
    few, many = (market_of(noise_tape(assets=n), "compact", LongOnly(bound=1, scale=5)) for n in (3, 7))
    policy, other = policy_for(agent, few), policy_for(agent, many)
    other.load_state_dict(policy.state_dict())
    assert other.predict(many.reset()[0], deterministic=True)[0].shape == (6, 8)


@pytest.mark.parametrize("agent", EQUIVARIANT, ids=lambda agent: type(agent).__name__)
def test_an_unlisted_asset_has_no_say(agent) -> None:
    market = market_of(noise_tape(assets=4), "full", LongOnly(bound=1, scale=5))
    policy = policy_for(agent, market)
    seen = market.reset()[0]
    seen["mask"] = seen["mask"].copy()
    seen["mask"][:, 2] = 0
    before = policy.predict(seen, deterministic=True)[0]
    seen["assets"] = seen["assets"].copy()
    seen["assets"][:, 2] += 5
    after = policy.predict(seen, deterministic=True)[0]
    np.testing.assert_array_equal(np.delete(before, 3, axis=1), np.delete(after, 3, axis=1))
    seen["assets"][:, 1] += 5
    assert not np.array_equal(np.delete(policy.predict(seen, deterministic=True)[0], 3, axis=1), np.delete(after, 3, 1))


def test_actions_that_an_agent_cannot_take_are_refused() -> None:
    market = market_of(noise_tape().only("A0"), "compact", SellHoldBuy(), portfolio=False)
    with pytest.raises(ValueError, match=r"SAC: it acts in boxes, but actions are Discrete\(3\); use LongOnly"):
        SAC().policy(market.observation_space, market.action_space, StateTable(market.tape), False)
    market = market_of(noise_tape(), "compact", LongOnly())
    with pytest.raises(ValueError, match="DQN: it chooses among a few actions"):
        DQN().policy(market.observation_space, market.action_space, StateTable(market.tape), True)


def test_observations_that_cannot_be_looked_up_are_refused() -> None:
    compact, flat = (market_of(noise_tape(), view, LongOnly()) for view in ("compact", "flat"))
    with pytest.raises(ValueError, match="give the policy the states of the days"):
        StateLookup(compact.observation_space)
    with pytest.raises(ValueError, match="one flat row"):
        PPO().policy(flat.observation_space, flat.action_space, None, True)


def test_the_table_is_shared_and_no_part_of_the_weights() -> None:
    market = market_of(noise_tape(), "compact", LongOnly(bound=1, scale=5))
    policy = policy_for(SAC(), market)
    assert policy.actor.features_extractor.table is policy.critic_target.features_extractor.table
    assert not any("table" in name for name in policy.state_dict())


def test_the_market_ends_where_it_ended_in_training_and_a_clock_is_not_seen() -> None:
    """The age of a single fit grows every day: a policy that had learnt of it would be led anywhere on later days."""
    market = market_of(noise_tape(), "compact", LongOnly(bound=1, scale=5))
    table = StateTable(market.tape)
    days = torch.arange(len(table.market), dtype=torch.float32)
    table.market = torch.stack([days, days % 7, -days], dim=1)
    table.unaligned = (table.unaligned[0], torch.zeros(3, dtype=torch.bool))
    lookup = StateLookup(market.observation_space, table)
    later = lookup.standardised(torch.tensor([[1e4, 3.0, -1e4], [1e4, 9.0, 5.0]]), "market")
    assert later[:, 0].tolist() == [0.0, 0.0], "what only grew"
    assert later[1, 1] == lookup.standardised(torch.tensor([[0.0, 6.0, 0.0]]), "market")[0, 1], (
        "the largest of training"
    )
    assert later[0, 2] == lookup.standardised(-days[-1:, None].expand(1, 3), "market")[0, 2], "the least of training"


@pytest.mark.parametrize("block", ["asset", "market"])
def test_states_that_change_their_meaning_from_fit_to_fit_are_not_seen(block: str) -> None:
    panel = plain_panel(40, 4, 1)
    folds = [{"explained": {"asset": 1.0, "market": 1.0}}, {"explained": {"asset": 0.9, "market": 0.8, block: 0.49}}]
    states = states_of(panel, folds=folds)
    assert states.unaligned == (block,)
    market = market_of(Tape.from_panel(panel, states, lookback=2), "compact", LongOnly())
    lookup = StateLookup(market.observation_space, StateTable(market.tape))
    seen = {
        "asset": [name for name in market.tape.channels if name.startswith("state_")],
        "market": [name for name in market.tape.market_channels if name.startswith("market_state_")],
    }
    names = {"asset": market.tape.channels, "market": market.tape.market_channels}
    for one, scale in (("asset", lookup.asset_scale), ("market", lookup.market_scale)):
        hidden = {name for name, by in zip(names[one] * 2, scale.tolist(), strict=True) if by == 0}
        assert hidden >= set(seen[one]) if one == block else not hidden & set(seen[one])


def test_flat_rows_hold_states_market_and_account() -> None:
    tape = messy_tape(assets=3)
    market = market_of(tape, "full", LongOnly())
    seen = market.reset()[0]
    tensors = {name: torch.from_numpy(part) for name, part in seen.items()}
    row = FlatLookup(market.observation_space)(tensors)
    parts = [seen["assets"].reshape(6, -1), seen["market"], seen["account"]]
    np.testing.assert_array_equal(row.numpy(), np.concatenate(parts, axis=1))


def test_the_deviations_of_cash_and_assets_are_their_own() -> None:
    market = market_of(noise_tape(), "full", LongOnly())
    policy = policy_for(replace(PPO(), log_std_init=-1.0), market)
    with torch.no_grad():
        policy.log_std.copy_(torch.tensor([0.5, -2.0]))
    seen = {name: torch.from_numpy(part) for name, part in market.reset()[0].items()}
    spread = policy.get_distribution(seen).distribution.stddev[0].log()
    torch.testing.assert_close(spread, torch.tensor([0.5, -2.0, -2.0, -2.0, -2.0]))


def test_few_environments_make_smaller_batches() -> None:
    market = BatchMarket(noise_tape(), 4, observation="compact", episodes=Episodes(9), seed=0)
    model = PPO().build(MarketVecEnv(market), StateTable(market.tape), True, 0)
    assert model.batch_size == 4 * PPO().n_steps
