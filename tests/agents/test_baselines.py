from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envs
from agents.baselines.base import ClassicalPolicy, best_of
from agents.baselines.hindsight import Hindsight
from agents.baselines.mean_variance import ForecastPortfolio, MeanVariance, MinimumVariance, RiskParity
from agents.baselines.simple import BuyAndHold, Cash, EqualWeight, LongShortQuantiles, Momentum, TopKDropN
from agents.history import History
from envs import Costs, LongOnly, Tape
from evaluation.rollout import rollout
from market.panel import Panel
from tests.agents.top_k import TopKAccount
from tests.envs.markets import messy_panel, panel_of, plain_panel, states_of

FEE = 2e-3
RULES = [
    Cash(),
    BuyAndHold(),
    EqualWeight(every=5),
    Momentum(lookback=10, skip=2, share=0.4, every=3),
    TopKDropN(k=3, n_drop=1),
    TopKDropN(k=3, n_drop=2, eta=0.5),
    LongShortQuantiles(n_quantiles=2),
    MinimumVariance(lookback=15, every=4),
    RiskParity(lookback=15, every=4),
    MeanVariance(lookback=15, every=4),
    ForecastPortfolio(cap=0.5, turnover=0.4, lookback=15, every=4),
]


def forecasts(panel, seed=0):
    """States whose forecasts are noise, with some names unknown on some days."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=panel.shape[:2]).astype(np.float32)
    std = rng.uniform(0.5, 2, size=mean.shape).astype(np.float32)
    mask = panel.listed & (rng.random(mean.shape) < 0.95)
    return replace(states_of(panel), forecast_mean=mean, forecast_std=std, mask=mask)


def played(rule, tape, panel, states=None, fee=0.0, **arguments):
    policy = ClassicalPolicy(rule, History.of(tape, panel, states))
    env = gymnasium.make(
        "FactorGym/Portfolio-v0",
        tape=tape,
        costs=Costs(fee_rate=fee),
        action=policy.action,
        observation="compact",
        **arguments,
    )
    return rollout(policy, env)


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 6), n=st.integers(1, 3), changes=st.booleans())
def test_top_k_drop_n_equals_a_loop_over_its_rules(fill, seed, k, n, changes):
    n = min(n, k)
    panel = messy_panel(40, 9, seed, halts=0.15, absent=0.05, changes=changes)
    states = forecasts(panel, seed)
    tape = Tape.from_panel(panel, fill=fill)
    backtest = played(TopKDropN(k=k, n_drop=n, risk_degree=0.9), tape, panel, states, FEE)
    account = TopKAccount(panel, fill, FEE, k, n, risk_degree=0.9)
    score = np.where(states.mask, states.forecast_mean, np.nan).astype(np.float64)
    for day in range(len(tape) - 1):
        account.trade(day, score[day])
        assert backtest.wealth[day + 1] == pytest.approx(account.wealth(day + 1), rel=1e-9)
        held = set(np.flatnonzero(backtest.weights[day, 1:] > 1e-9))
        assert held >= set(account.shares)


def test_top_k_drop_n_leaves_kept_names_alone():
    panel = plain_panel(60, 12, seed=4)
    states = replace(forecasts(panel), mask=panel.listed.copy())
    backtest = played(TopKDropN(k=5, n_drop=2), Tape.from_panel(panel), panel, states, FEE)
    assert ((backtest.weights[:, 1:] > 0).sum(axis=1) == 5).all()
    assert ((backtest.trades > 1e-12).sum(axis=1)[1:] <= 2).all()
    np.testing.assert_array_equal((backtest.trades > 1e-12).sum(axis=1)[1:], (backtest.trades < -1e-12).sum(axis=1)[1:])
    kept = (backtest.weights[1:, 1:] > 0) & (backtest.weights[:-1, 1:] > 0)
    np.testing.assert_array_equal(backtest.trades[1:][kept], 0)


def test_top_k_drop_n_by_hand():
    """qlib's own arithmetic: two held, k = 3, n = 1."""
    panel = plain_panel(5, 6)
    states = forecasts(panel)
    mean = np.array([[0.1, 0.9, 0.5, 0.4, 0.3, 0.2]] * 5, dtype=np.float32)
    std = np.array([[0.0, 2.0, 0, 0, 0, 0]] * 5, dtype=np.float32)
    states = replace(states, forecast_mean=mean, forecast_std=std, mask=panel.listed.copy())
    known = History.of(Tape.from_panel(panel), panel, states).at(2)
    account = np.array([0.2, 0.4, 0, 0.4, 0, 0, 0])  # names 0 and 2
    # candidates 1, 3; combined 1, 2, 3, 0; name 0 is the worst and goes; two are bought
    np.testing.assert_allclose(TopKDropN(3, 1).decide(known, account), [0.05, 0, 0.475, -1, 0.475, -1, -1])
    # with its uncertainty counted, name 1 is the worst of all
    np.testing.assert_allclose(TopKDropN(3, 1, eta=1).decide(known, account), [0.05, 0, -1, -1, 0.475, 0.475, -1])
    best = np.array([0.0, 0, 0.5, 0.5, 0, 0, 0])
    np.testing.assert_allclose(TopKDropN(2, 1).decide(known, best), [1, -1, -1, -1, -1, -1, -1])
    halted = known._replace(tradable=np.array([False, True, True, False, True, True]))
    np.testing.assert_allclose(TopKDropN(3, 1).decide(halted, account), [0.05, -1, 0.95, -1, -1, -1, -1])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_rule_sees_the_future(rule):
    panel = messy_panel(60, 6, seed=1, halts=0.1, absent=0.05, changes=False)
    states = forecasts(panel)
    tape = Tape.from_panel(panel, start="2020-01-21")
    past = History.of(tape, panel, states)
    rng = np.random.default_rng(5)
    for day in (0, 12, 24):
        later = slice(20 + day + 1, None)
        values, tradable = panel.values.copy(), panel.tradable.copy()
        values[later] *= rng.uniform(0.5, 2, values[later].shape)
        tradable[later] = rng.random(tradable[later].shape) < 0.5
        mean, std = states.forecast_mean.copy(), states.forecast_std.copy()
        mean[later], std[later] = rng.normal(size=mean[later].shape), 1
        other = Panel(panel.dates, panel.assets, panel.fields, values, panel.listed, tradable)
        future = History.of(tape, other, replace(states, forecast_mean=mean, forecast_std=std))
        for account in (np.eye(7)[0], np.full(7, 1 / 7)):
            one, two = (rule.decide(history.at(day), account) for history in (past, future))
            np.testing.assert_array_equal(one, two)
        assert len(past.at(day).returns) == 20 + day + 1
    changed = past.at(30), future.at(30)
    assert not np.array_equal(changed[0].returns, changed[1].returns, equal_nan=True)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_survives_a_messy_market(rule):
    panel = messy_panel(80, 6, seed=8, halts=0.2, absent=0.1, changes=True)
    tape = Tape.from_panel(panel, start="2020-01-06")
    backtest = played(rule, tape, panel, forecasts(panel), FEE)
    assert len(backtest) == len(tape) - 1
    assert backtest.name == rule.name
    np.testing.assert_allclose(backtest.weights.sum(axis=1), 1, atol=1e-12)


def test_cash_and_buy_and_hold():
    panel = plain_panel(40, 3)
    tape = Tape.from_panel(panel)
    np.testing.assert_array_equal(played(Cash(), tape, panel).returns, 0)
    held = played(BuyAndHold(), tape, panel, fee=FEE)
    growth = (panel["close"][-1] / panel["open"][1]).mean()
    assert held.wealth[-1] == pytest.approx(growth / (1 + FEE), rel=1e-12)
    assert held.n_trades == 3
    assert (held.turnover[1:] == 0).all()


def test_equal_weights_are_restored_when_they_are_due():
    panel = plain_panel(40, 3)
    tape = Tape.from_panel(panel)
    daily = played(EqualWeight(), tape, panel, fee=FEE)
    np.testing.assert_allclose(daily.weights, [[0, 1 / 3, 1 / 3, 1 / 3]] * 39, atol=1e-12)
    weekly = played(EqualWeight(every=5), tape, panel, fee=FEE)
    traded = weekly.turnover > 1e-12
    np.testing.assert_array_equal(np.flatnonzero(traded), np.arange(0, 39, 5))
    np.testing.assert_allclose(weekly.weights[::5], daily.weights[::5], atol=1e-12)


def test_momentum_by_hand():
    moves = np.array([[0.01, -0.01, 0.03, 0.02]] * 20)
    panel = panel_of(100 * np.cumprod(1 + moves, axis=0))
    history = History.of(Tape.from_panel(panel), panel)
    cash = np.eye(5)[0]
    rule = Momentum(lookback=5, skip=2, share=0.5, every=4)
    np.testing.assert_allclose(rule.decide(history.at(8), cash), [0, 0, 0, 0.5, 0.5])
    np.testing.assert_allclose(replace(rule, share=1.0).decide(history.at(8), cash), [0, 1 / 3, 0, 1 / 3, 1 / 3])
    np.testing.assert_array_equal(rule.decide(history.at(6), cash), cash)  # the first day has no return
    np.testing.assert_array_equal(rule.decide(history.at(9), np.eye(5)[1]), np.full(5, -1))
    loser = replace(rule, every=1).decide(History.of(Tape.from_panel(panel).only("A1"), panel).at(9), np.eye(2)[1])
    np.testing.assert_array_equal(loser, [1, 0])
    early = Momentum(lookback=10, skip=0, share=1.0, every=1)
    np.testing.assert_array_equal(early.decide(history.at(7), cash), cash)
    halted = history.at(8)._replace(tradable=np.array([True, True, False, True]))
    np.testing.assert_allclose(replace(rule, share=0.3).decide(halted, cash), [0, 0, 0, 0, 1])
    turned = moves.copy()
    turned[7:9] = -0.5  # the latest days are skipped
    skipped = History.of(Tape.from_panel(panel), panel_of(100 * np.cumprod(1 + turned, axis=0)))
    np.testing.assert_allclose(rule.decide(skipped.at(8), cash), [0, 0, 0, 0.5, 0.5])


def test_long_short_quantiles_by_hand():
    panel = plain_panel(5, 7)
    mean = np.array([[1, 2, 3, 4, 5, 6, np.nan]] * 5, dtype=np.float32)
    states = replace(forecasts(panel), forecast_mean=mean, mask=panel.listed.copy())
    history = History.of(Tape.from_panel(panel), panel, states)
    rule = LongShortQuantiles(n_quantiles=3, gross=1.5)
    np.testing.assert_allclose(rule.decide(history.at(1), np.eye(8)[0]), np.array([-1, -1, 0, 0, 1, 1, 0]) / 4)
    np.testing.assert_array_equal(LongShortQuantiles(8).decide(history.at(1), np.eye(8)[0]), np.zeros(7))
    backtest = played(rule, Tape.from_panel(panel), panel, states)
    np.testing.assert_allclose(np.abs(backtest.weights[:, 1:]).sum(axis=1), 1.5, atol=1e-12)
    np.testing.assert_allclose(backtest.weights[:, 0], 1, atol=1e-12)


def optimised(rule, moves, tradable=None):
    panel = panel_of(100 * np.cumprod(1 + moves, axis=0), tradable=tradable)
    history = History.of(Tape.from_panel(panel), panel)
    return rule.decide(history.at(len(moves) - 1), np.eye(1 + moves.shape[1])[0])


def test_optimisers_agree_with_closed_forms():
    rng = np.random.default_rng(3)
    moves = np.array([0.004, 0.002]) * 0 + rng.normal(0.001, [0.01, 0.02], (200, 2)) + 0.004 * rng.normal(size=(200, 1))
    covariance = np.cov(moves[-150:], rowvar=False)
    inverse = np.linalg.inv(covariance).sum(axis=1)
    least = optimised(MinimumVariance(lookback=150), moves)
    np.testing.assert_allclose(least, [0, *(inverse / inverse.sum())], atol=1e-4)
    parity = optimised(RiskParity(lookback=150), moves)
    inverse_volatility = 1 / np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(parity, [0, *(inverse_volatility / inverse_volatility.sum())], atol=1e-3)
    share = np.linspace(0, 1, 10_001)
    grid = np.stack([share, 1 - share])
    mean = moves[-150:].mean(axis=0)
    utility = mean @ grid - 5 * np.einsum("ik,ij,jk->k", grid, covariance, grid)
    np.testing.assert_allclose(optimised(MeanVariance(lookback=150), moves)[1], share[utility.argmax()], atol=1e-3)


def test_a_forecast_portfolio_stays_within_its_caps():
    panel = plain_panel(120, 8, seed=2)
    states = replace(forecasts(panel, 3), mask=panel.listed.copy())
    states = replace(states, forecast_mean=0.01 * states.forecast_mean)
    tape, sectors = Tape.from_panel(panel, fill="close", start="2020-02-20"), ("a", "a", "a", "b", "b", "c", "c", "c")
    rule = ForecastPortfolio(cap=0.3, turnover=0.2, sectors=sectors, sector_cap=0.5, risk_aversion=1, lookback=20)
    path = played(rule, tape, panel, states)
    traded = np.abs(path.trades).sum(axis=1) > 1e-9
    assert 5 < traded.sum() <= len(path) / rule.every + 1
    weights = path.weights[traded, 1:]
    assert weights.max() <= 0.3 + 1e-6
    by_sector = weights @ (np.array(sectors)[:, None] == np.array(["a", "b", "c"])).astype(float)
    assert by_sector.max() <= 0.5 + 1e-6
    changes = np.abs(path.trades).sum(axis=1)[traded] / path.wealth[:-1][traded]
    assert changes[0] > 0.2, "the first purchase is free of the cap"
    assert changes[1:].max() <= 0.2 + 1e-5  # decided at the close and filled there
    assert changes[1:].max() > 0.1
    free = played(ForecastPortfolio(cap=1.0, risk_aversion=1e-6, lookback=20, every=1), tape, panel, states)
    best = np.nanargmax(states.forecast_mean[np.searchsorted(panel.dates, free.dates) - 1], axis=1)
    assert (free.weights[np.arange(len(free)), 1 + best] > 0.99).mean() > 0.9
    with pytest.raises(ValueError, match="cap is 0, expected a weight above 0"):
        ForecastPortfolio(cap=0)
    with pytest.raises(ValueError, match="2 sectors for 8 assets"):
        played(ForecastPortfolio(sectors=("a", "b"), lookback=20), tape, panel, states)


def test_optimisers_fall_back_to_equal_weights():
    rng = np.random.default_rng(3)
    moves = rng.normal(0, 0.01, (30, 4))
    equal = [0, 0.25, 0.25, 0.25, 0.25]
    for rule in (MinimumVariance(lookback=31), RiskParity(lookback=31), MeanVariance(lookback=31)):
        np.testing.assert_array_equal(optimised(rule, moves), equal)
    flat = moves.copy()
    flat[:, 2] = 0.0  # never moved: no covariance to invert
    weights = optimised(RiskParity(lookback=20), flat)
    assert weights[3] == 0
    assert (weights[[1, 2, 4]] > 0.1).all()
    tradable = np.ones(moves.shape, bool)
    tradable[-1, :3] = False
    np.testing.assert_array_equal(optimised(MinimumVariance(lookback=20), moves, tradable), [0, 0, 0, 0, 1])


def test_one_asset_alone_is_not_optimised():
    moves = np.zeros((30, 3))
    moves[:, 1] = np.random.default_rng(0).normal(0, 0.01, 30)
    np.testing.assert_allclose(optimised(MinimumVariance(lookback=20), moves), [0, 1 / 3, 1 / 3, 1 / 3])


def test_more_assets_than_days_are_optimised_without_a_singular_covariance():
    spread = np.repeat([0.004, 0.02], 20)
    moves = np.random.default_rng(1).normal(0, spread, (40, 40))
    for rule in (MinimumVariance(lookback=21), RiskParity(lookback=21)):  # skfolio's warning would be an error here
        weights = optimised(rule, moves)
        assert weights.sum() == pytest.approx(1)
        assert weights[1:21].sum() > 0.55, "the calm assets carry less variance"


def test_what_a_solver_leaves_over_is_no_position():
    moves = np.random.default_rng(0).normal(0, [0.001, 0.05, 0.05, 0.05], (60, 4)) + np.array([[0.001, 0, 0, 0]])
    weights = optimised(MeanVariance(lookback=50, risk_aversion=50), moves)
    assert (weights[weights != 0] > 1e-5).all()
    assert (weights >= 0).all()
    assert (weights == 0).sum() >= 2


def test_equal_scores_rank_by_order():
    score = np.zeros(50)
    score[3] = np.nan
    np.testing.assert_array_equal(np.flatnonzero(best_of(score, 5)), [0, 1, 2, 4, 5])
    assert not best_of(score, -2).any()
    assert best_of(score, 99).sum() == 49


def test_returns_are_known_only_while_listed():
    listed = np.ones((10, 2), bool)
    listed[:4, 0] = listed[8:, 0] = False
    panel = panel_of(np.cumprod(np.full((10, 2), 1.01), axis=0), listed=listed)
    known = History.of(Tape.from_panel(panel), panel).at(9)
    np.testing.assert_array_equal(np.isfinite(known.returns[:, 0]), listed[:, 0])
    np.testing.assert_allclose(known.returns[1:, 1], 0.01)
    np.testing.assert_array_equal(known.tradable, [False, True])


def best_path(tape, buy_rate, sell_rate):
    """The most that all-in switching reaches, by trying every sequence."""
    states = {-1: 1.0}
    for day in range(len(tape) - 1):
        after = {}
        for holding, wealth in states.items():
            at_fill = wealth * (1 if holding < 0 else 1 + tape.before[day, holding])
            for target in range(-1, tape.n_assets):
                value = at_fill
                if target != holding:
                    value *= (1 - sell_rate if holding >= 0 else 1) / (1 + buy_rate if target >= 0 else 1)
                value *= 1 if target < 0 else 1 + tape.after[day, target]
                after[target] = max(after.get(target, 0.0), value)
        states = after
    return max(states.values())


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
@pytest.mark.parametrize("seed", range(3))
def test_hindsight_is_the_best_path(fill, seed):
    tape = Tape.from_panel(plain_panel(30, 4, seed), fill=fill)
    costs = Costs(fee_rate=1e-3, sell_fee_rate=2e-3, half_spread=5e-4)
    env = gymnasium.make(
        "FactorGym/Portfolio-v0", tape=tape, costs=costs, action=envs.TargetWeights(), observation="compact"
    )
    backtest = rollout(Hindsight(tape, costs), env)
    assert backtest.wealth[-1] == pytest.approx(best_path(tape, 1.5e-3, 2.5e-3), rel=1e-10)
    assert "cheats" in backtest.name


def best_of_all_sequences(tape, costs):
    """The most that any sequence of all cash and all in one asset reaches in the environment itself."""
    steps, choices = len(tape) - 1, 1 + tape.n_assets
    market = envs.BatchMarket(tape, n_envs=choices**steps, costs=costs, action=envs.TargetWeights(), autoreset=False)
    market.reset()
    for step in range(steps):
        market.step(np.eye(choices)[np.arange(choices**steps) // choices**step % choices])
    return market.wealth.max()


def with_hindsight(tape, costs):
    env = gymnasium.make(
        "FactorGym/Portfolio-v0", tape=tape, costs=costs, action=envs.TargetWeights(), observation="compact"
    )
    return rollout(Hindsight(tape, costs), env).wealth[-1]


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
@pytest.mark.parametrize("seed", range(9))
def test_hindsight_is_the_best_of_all_sequences_in_a_messy_market(fill, seed):
    panel = messy_panel(7, 3, seed, halts=0.2, absent=0.1, changes=True)
    tape = Tape.from_panel(panel, fill=fill, delisting_return=0.1 if seed % 2 else -0.3, price_limit=0.05)
    costs = Costs(fee_rate=5e-3, cash_rate=0.03 if seed % 3 else 1e-3)
    assert with_hindsight(tape, costs) == pytest.approx(best_of_all_sequences(tape, costs), rel=1e-10)


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
def test_hindsight_knows_that_an_asset_must_leave(fill):
    close = np.ones((9, 2)) * 1.15 ** np.arange(9)[:, None]
    close[:, 1] = [1, 1, 1, 1, 1, 1.4, 2, 3, 4]
    listed = np.ones((9, 2), bool)
    listed[5:, 1] = False  # its prices go on without us
    tape, costs = Tape.from_panel(panel_of(close, listed=listed), fill=fill), Costs(fee_rate=FEE)
    assert with_hindsight(tape, costs) == pytest.approx(best_of_all_sequences(tape, costs), rel=1e-10)


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
def test_hindsight_is_paid_for_a_delisting_once(fill):
    close = np.ones((10, 2)) * 1.15 ** np.minimum(np.arange(10), 5)[:, None]
    close[:, 1] = 1.0
    close[5:, 1] = np.nan
    listed = np.isfinite(close)
    tape = Tape.from_panel(panel_of(close, listed=listed), fill=fill, delisting_return=0.1)
    costs = Costs(fee_rate=FEE)
    days = 5 if fill == "close" else 4
    assert with_hindsight(tape, costs) == pytest.approx(1.15**days / (1 + FEE), rel=1e-12)


@pytest.mark.parametrize("fill", ["close", "next_open", "next_close"])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_long_only_beats_hindsight(fill, seed):
    panel = messy_panel(25, 4, seed, halts=0.2, absent=0.1, changes=True)
    tape = Tape.from_panel(panel, fill=fill, delisting_return=-0.3, price_limit=0.06)
    costs = Costs(fee_rate=1e-3, cash_rate=1e-4)
    arguments = {"tape": tape, "costs": costs, "observation": "compact"}
    bound = rollout(
        Hindsight(tape, costs), gymnasium.make("FactorGym/Portfolio-v0", action=envs.TargetWeights(), **arguments)
    ).wealth[-1]
    market = envs.BatchMarket(tape, n_envs=300, costs=costs, action=LongOnly(), autoreset=False)
    market.reset()
    rng = np.random.default_rng(seed)
    for _ in range(len(tape) - 1):
        market.step(rng.normal(0, 6, (300, 5)))
    assert bound >= market.wealth.max()
    for rule in (Cash(), BuyAndHold(), EqualWeight()):
        policy = ClassicalPolicy(rule, History.of(tape, panel))
        env = gymnasium.make("FactorGym/Portfolio-v0", action=rule.action, **arguments)
        assert rollout(policy, env).wealth[-1] <= bound * (1 + 1e-12)


def test_hindsight_refuses_impact():
    with pytest.raises(ValueError, match="costs have impact 1"):
        Hindsight(Tape.from_panel(plain_panel()), Costs(impact=1.0))


def test_a_batch_is_decided_row_by_row():
    panel = plain_panel(30, 4)
    tape = Tape.from_panel(panel)
    for policy in (
        ClassicalPolicy(TopKDropN(k=2, n_drop=1), History.of(tape, panel, forecasts(panel))),
        Hindsight(tape, Costs()),
    ):
        market = envs.BatchMarket(
            tape, n_envs=5, action=policy.action, observation="compact", episodes=envs.Episodes(7)
        )
        observation, _ = market.reset(seed=3)
        actions, memory = policy.predict(observation, state="memory")
        assert memory == "memory"
        for row, action in enumerate(actions):
            single = {name: values[row] for name, values in observation.items()}
            np.testing.assert_array_equal(policy.predict(single)[0], action)
        market.step(actions)


def test_observations_of_another_kind_are_refused():
    panel = plain_panel(30, 4)
    tape = Tape.from_panel(panel)
    policy = ClassicalPolicy(Cash(), History.of(tape, panel))
    with pytest.raises(ValueError, match="observation='compact'"):
        rollout(policy, gymnasium.make("FactorGym/Portfolio-v0", tape=tape))
    with pytest.raises(ValueError, match="account has 3 weights"):
        policy.predict({"day": np.array([0]), "account": np.zeros(3)})
    with pytest.raises(ValueError, match="day 30 is outside the 30 days"):
        policy.predict({"day": np.array([30]), "account": np.zeros(5)})
    with pytest.raises(ValueError, match="do not hold those of the tape"):
        History.of(tape, panel[5:])
    gap = panel_of(np.delete(panel["close"], 7, axis=0))
    with pytest.raises(ValueError, match="do not hold those of the tape"):
        History.of(tape, replace(gap, dates=np.delete(panel.dates, 7)))
    with pytest.raises(ValueError, match="states have no asset 'A3'"):
        History.of(tape, panel, forecasts(panel.select(["A0", "A1", "A2"])))


def test_forecasts_are_matched_by_date_and_asset():
    panel = plain_panel(30, 4)
    states = forecasts(panel)
    fewer = forecasts(panel[10:20].select(["A3", "A2", "A1", "A0"]))
    mask = np.ones(fewer.mask.shape, bool)
    mask[0, 3] = False
    history = History.of(Tape.from_panel(panel, start="2020-01-06"), panel, replace(fewer, mask=mask))
    assert np.isnan(history.at(4).forecast_mean).all()
    np.testing.assert_allclose(history.at(6).forecast_mean, fewer.forecast_mean[1, ::-1])
    np.testing.assert_allclose(history.at(6).forecast_std, fewer.forecast_std[1, ::-1])
    assert np.isnan(history.at(5).forecast_mean[0])
    assert np.isnan(History.of(Tape.from_panel(panel), panel).at(3).forecast_mean).all()
    assert states.dates.shape == (30,)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda: TopKDropN(k=3, n_drop=4), "n_drop is 4 and k 3"),
        (lambda: TopKDropN(k=3, n_drop=1, risk_degree=1.5), "risk_degree is 1.5"),
        (lambda: Momentum(share=0.0), "share 0.0"),
        (lambda: LongShortQuantiles(n_quantiles=1), "n_quantiles is 1"),
        (lambda: MinimumVariance(lookback=1), "lookback is 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        rule()
