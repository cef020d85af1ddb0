"""APG finds what can be known, finds nothing where nothing is, and behaves as an algorithm of stable-baselines3."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3.common.evaluation import evaluate_policy

from agents.algorithms.analytic_gradient import AnalyticPolicyGradient
from agents.algorithms.apg import APG
from agents.algorithms.gradient_policy import ScoreNetwork
from agents.algorithms.on_policy import PPO, SAC, RecurrentPPO
from agents.baselines.simple import TopKDropN
from agents.checkpoint import load_agent
from agents.networks.extractors import PolicyInput, StateTable
from agents.training.callbacks import TrainingConfig
from agents.training.cloning import clone, demonstrate
from agents.training.loop import Task, train_agent
from agents.training.reward_scaling import with_scaled_rewards
from agents.training.validation import trace_episode
from agents.vec_env import MarketVecEnv
from envs import BatchMarket, Costs, Episodes, Excess, LongOnly, LongShort, Position, Step, Tape, Templates, Tilt
from pipeline.control_markets import shuffle_states
from tests.agents.planted import noise_tape, planted

COSTS = Costs(fee_rate=5e-4)
PARTS = ((0, 249), (250, 339), (340, 459))  # train, valid, test
PANEL, STATES = planted(days=460, assets=5, seed=0)


def tapes() -> list[Tape]:
    dates = PANEL.dates.astype(str)
    return [Tape.from_panel(PANEL, STATES, "close", dates[first], dates[last]) for first, last in PARTS]


def built(agent, tape: Tape, action, costs: Costs = COSTS, portfolio: bool = True):
    market = BatchMarket(tape, 16, costs, action, Excess(), "compact", Episodes(12), one_asset=not portfolio)
    model = agent.build(with_scaled_rewards(market, 0.99), StateTable(tape), portfolio, 0, "cpu")
    return model, market


def excess_on_test(agent, parts: list[Tape], action, folder: Path, steps: int = 24_000) -> tuple[float, float]:
    """Mean daily excess growth over equal weight on the test days, and turnover, of the policy chosen on valid."""
    train, valid, test = parts
    task = Task(train, valid, action, Excess(), COSTS, 60, 16, True)
    train_agent(agent, task, TrainingConfig(steps, steps // 4, None), 0, folder, {})
    market = BatchMarket(test, 1, COSTS, action, Excess(), "compact", Episodes(), autoreset=False)
    path = trace_episode(load_agent(folder, agent, market), market)
    return path.objective(market.log_benchmark, 0.0), float(path.turnover.mean())


@pytest.mark.parametrize("action", [Step(), Tilt(), LongOnly(bound=1, scale=5)], ids=repr)
def test_a_planted_signal_is_found_after_costs(action, tmp_path: Path) -> None:
    excess, _ = excess_on_test(APG(learning_rate=2e-2, state_dropout=0.0), tapes(), action, tmp_path)
    assert excess > 2e-3  # a day


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    parts = [shuffle_states(tape, seed) for seed, tape in enumerate(tapes())]
    excess, turnover = excess_on_test(APG(learning_rate=2e-2, state_dropout=0.0), parts, Step(), tmp_path)
    assert excess < 5e-4
    assert turnover < 0.05


@pytest.mark.parametrize("action", [Tilt(), Step(), LongShort(1.5, 0.5), LongOnly(cap=0.4)], ids=repr)
def test_an_update_climbs_the_objective(action) -> None:
    model, _ = built(APG(segment_days=10, learning_rate=1e-2, state_dropout=0.0), tapes()[0], action)
    model.learn(160 * 60)
    first, last = [], []
    torch.manual_seed(1)
    for _ in range(10):
        last.append(float(model.booked()[0].excess.detach().mean()))
    fresh, _ = built(APG(segment_days=10, state_dropout=0.0), tapes()[0], action)
    torch.manual_seed(1)
    for _ in range(10):
        first.append(float(fresh.booked()[0].excess.detach().mean()))
    assert np.mean(last) > np.mean(first) + 1e-3


def test_a_single_stock_is_timed_with_a_continuous_position() -> None:
    tape = tapes()[0].only("A0")
    model, market = built(
        APG(learning_rate=1e-2, segment_days=10, state_dropout=0.0), tape, Position(low=-1), portfolio=False
    )
    model.learn(160 * 60)
    torch.manual_seed(1)
    assert float(model.booked()[0].excess.detach().mean()) > 1e-3
    assert market.action_space.shape == (1,)


def test_the_terminal_value_lengthens_the_view() -> None:
    model, _ = built(APG(segment_days=3, terminal_value=1.0), tapes()[0], Step())
    segment, loss = model.booked()
    assert loss.requires_grad
    blind, _ = built(APG(segment_days=3), tapes()[0], Step())
    blind.policy.load_state_dict(model.policy.state_dict())
    torch.manual_seed(0)
    with_value = model.booked()[0].excess.detach()
    torch.manual_seed(0)
    without = blind.booked()[0].excess.detach()
    torch.testing.assert_close(with_value[:-1], without[:-1])
    assert not torch.equal(with_value[-1], without[-1])
    model.learn(48 * 20)
    assert all(torch.isfinite(parameter).all() for parameter in model.policy.parameters())
    assert segment.turnover.shape == (3, 16)


def test_a_fresh_policy_that_steps_hardly_trades() -> None:
    model, market = built(APG(), tapes()[0], Step())
    observation, _ = market.reset(options={"weights": np.full(6, 1 / 6)})
    turnover = [market.step(model.predict(observation, deterministic=True)[0])[4]["turnover"].max() for _ in range(5)]
    assert max(turnover) < 0.02


def test_hidden_states_weigh_in_training_what_they_weigh_in_use() -> None:
    torch.manual_seed(0)
    is_state = torch.tensor([True] * 40 + [False])
    network = ScoreNetwork(41, 1, 4, 1, 0.5, is_state)
    torch.nn.init.ones_(network.linear.weight)
    torch.nn.init.zeros_(network.score.weight)
    days = 4000

    def scores() -> torch.Tensor:
        seen = PolicyInput(torch.ones(days, 2, 41), torch.zeros(days, 1), torch.ones(days, 2), torch.ones(1, 3), None)
        return network(seen).assets.detach()

    training, use = scores(), network.eval() and scores()
    assert use.unique().tolist() == [41.0]
    assert training.std() > 5
    assert training.mean() == pytest.approx(41.0, abs=0.5)


def test_what_is_held_may_be_learnt_of_faster() -> None:
    def moved(rate: float) -> tuple[float, float]:
        model, _ = built(APG(account_rate=rate), tapes()[0], Step())
        of_account, of_day = model.learner.lead.clone(), model.learner.network.linear.weight.clone()
        model.learn(16 * 20)
        changes = model.learner.lead - of_account, model.learner.network.linear.weight - of_day
        return float(changes[0].detach().abs().max()), float(changes[1].detach().abs().max())

    slow, fast = moved(1.0), moved(10.0)
    assert fast[0] == pytest.approx(10 * slow[0], rel=0.05)
    assert fast[1] == slow[1]
    with pytest.raises(ValueError, match=r"account_rate is 0\.0"):
        APG(account_rate=0.0)


def test_segments_begin_where_the_policy_led_its_accounts() -> None:
    """Ten days of the environment, from the same first positions, end at the positions that segments begin with."""
    model, _ = built(APG(segment_days=8, state_dropout=0.0), tapes()[0], Step())
    starts = np.array([10, 40, 41, 100] * 4)
    torch.manual_seed(5)
    found = model._warmed_up(starts)
    torch.manual_seed(5)
    days, place = np.unique(starts - 10, return_inverse=True)
    first = model._positions(starts - 10, model._scores(days), torch.from_numpy(place)).numpy()
    one = BatchMarket(tapes()[0], 1, COSTS, Step(), Excess(), "compact", Episodes(), autoreset=False)
    cash = 0
    for k in range(8):
        observation, _ = one.reset(options={"day": int(starts[k]) - 10, "days": 12, "weights": first[k]})
        for _ in range(10):
            observation = one.step(model.predict(observation, deterministic=True)[0])[0]
        if found[k, 0] == 1:
            cash += 1  # as evaluations begin
        else:
            np.testing.assert_allclose(found[k].numpy(), one.account[0], atol=1e-6)
    assert cash < 4
    short = model._warmed_up(np.zeros(16, np.int64))  # no day before the first
    assert short.sum(1).numpy() == pytest.approx(1)


def test_stable_baselines_evaluates_saves_and_loads_it(tmp_path: Path) -> None:
    model, market = built(APG(segment_days=8), noise_tape(), Step())
    model.learn(16 * 8 * 2)
    env = MarketVecEnv(market)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=16)
    assert np.isfinite(mean)
    model.save(tmp_path / "model")
    again = AnalyticPolicyGradient.load(tmp_path / "model", env=with_scaled_rewards(market, 0.99))
    observation, _ = market.reset(seed=0)
    np.testing.assert_array_equal(model.predict(observation)[0], again.predict(observation)[0])
    again.learn(16 * 8)
    assert again.num_timesteps == 16 * 8


def test_what_has_no_gradient_or_no_days_is_refused() -> None:
    with pytest.raises(ValueError, match="APG: it acts in boxes"):
        built(APG(), noise_tape(), Templates())
    with pytest.raises(ValueError, match="segment_days is 80, but the tape holds 59 steps; shorten it"):
        built(APG(segment_days=80), noise_tape(), Step())
    with pytest.raises(ValueError, match="APG: segment_days is 0"):
        APG(segment_days=0)


@pytest.mark.parametrize("agent", [APG(), PPO(n_steps=8, batch_size=16), SAC()], ids=lambda agent: type(agent).__name__)
def test_an_agent_begins_at_the_rule_it_is_shown(agent) -> None:
    """After cloning, its weights are nearer to the rule's than equal weights are, along its own path."""
    tape = forecasting_tape()
    rule = TopKDropN(k=2, n_drop=1, risk_degree=1.0)
    shown = demonstrate(rule, tape, PANEL, forecasts(), COSTS)
    action = Step(LongOnly(cash=False, bound=1, scale=8))
    model, market = built(agent, tape, action)
    clone(model, market, shown, 120)
    own = BatchMarket(tape, 1, COSTS, action, Excess(), "compact", Episodes(), autoreset=False)
    path = trace_episode(model, own)
    apart = np.abs(path.weights - shown.weights)[5:].sum(1).mean() / 2
    equal = np.abs(np.r_[0.0, np.full(5, 0.2)] - shown.weights)[5:].sum(1).mean() / 2
    assert apart < 0.75 * equal


def test_a_rule_is_no_start_for_choices_or_memories() -> None:
    tape = forecasting_tape()
    shown = demonstrate(TopKDropN(k=2, n_drop=1), tape, PANEL, forecasts(), COSTS)
    market = BatchMarket(tape, 4, COSTS, Templates(), Excess(), "compact", Episodes(12))
    model = PPO(n_steps=8).build(with_scaled_rewards(market, 0.99), StateTable(tape), True, 0, "cpu")
    with pytest.raises(ValueError, match="start_from: Templates has no gradient"):
        clone(model, market, shown, 1)
    model, market = built(RecurrentPPO(n_steps=8, lstm_hidden_size=8), tape, LongOnly(bound=1, scale=5))
    with pytest.raises(ValueError, match="start_from: a recurrent policy"):
        clone(model, market, shown, 1)


def test_a_demonstration_is_what_the_rule_earns() -> None:
    tape = forecasting_tape()
    shown = demonstrate(TopKDropN(k=2, n_drop=1), tape, PANEL, forecasts(), Costs())
    assert shown.returns[-1] == 0
    assert shown.accounts[0].tolist() == [1, 0, 0, 0, 0, 0]
    moves = (1 + tape.before) * (1 + tape.after) - 1  # filled at the close: all of the return is earned after the trade
    assert shown.returns[:-1] == pytest.approx((shown.weights[:, 1:] * moves[:-1]).sum(1), abs=1e-12)


def forecasts():
    from dataclasses import replace

    return replace(STATES, forecast_mean=np.ascontiguousarray(STATES.asset[:, :, 0]) * np.float32(0.01))


def forecasting_tape() -> Tape:
    dates = PANEL.dates.astype(str)
    return Tape.from_panel(PANEL, forecasts(), "close", dates[0], dates[200], observe="forecast")
