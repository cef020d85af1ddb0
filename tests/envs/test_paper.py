"""A paper account: decisions day by day on a growing panel are the backtest's, and no day is lost or repeated."""

import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from agents.committee import Committee
from envs import BatchMarket, Costs, LongOnly, LongShort, SellHoldBuy, Tape, Templates, Tilt
from envs.paper import CASH, PaperAccount
from envs.stated import LEFT_ALONE, StatedWeights
from evaluation.rollout import rollout
from market.panel import Panel
from market.preparation.tomorrow import next_day, states_with_tomorrow, with_tomorrow
from tests.envs.markets import messy_panel, plain_panel, states_of

COSTS = Costs(fee_rate=1e-3, sell_fee_rate=2e-3)
FILLS = ("close", "next_open", "next_close")


class Scorer:
    """Decides by a fixed projection of what the day shows and of the account: any difference in either shows."""

    def __init__(self, tape: Tape, seed: int, action) -> None:
        rng = np.random.default_rng(seed)
        self.tape, self.action = tape, action
        self.weights = rng.normal(size=tape.asset.shape[2])
        self.space = action.space(tape.n_assets)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        day, account = int(observation["day"][0]), observation["account"]
        score = self.tape.asset[day] @ self.weights + 3 * account[1:]
        if not isinstance(self.space, gymnasium.spaces.Box):
            return np.int64(int(abs(score[0]) * 1000) % self.space.n), state
        logits = np.concatenate([[account[0]], score]) if self.space.shape[0] > len(score) else score
        return np.clip(logits, self.space.low, self.space.high).astype(np.float32), state


def committee(tape: Tape, action, seeds=(0, 1)) -> Committee:
    market = BatchMarket(tape, 1, COSTS, action, observation="compact")
    return Committee([Scorer(tape, seed, action) for seed in seeds], market)


def tape_until(panel: Panel, states, day: int, fill: str, tomorrow: bool) -> Tape:
    known = panel[: day + 1]
    grids = ("asset", "market", "forecast_mean", "forecast_std", "mask", "dates", "fit_end", "fold")
    seen = replace(states, **{name: getattr(states, name)[: day + 1] for name in grids})
    if tomorrow:
        known, seen = with_tomorrow(known), states_with_tomorrow(seen)
    return Tape.from_panel(known, seen, fill, start=str(panel.dates[20]))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(
    "action",
    [LongOnly(), LongOnly(cap=0.3), LongShort(gross=1.5), Tilt(kappa=0.9)],
    ids=["long only", "capped", "long short", "relative"],
)
def test_decisions_day_by_day_on_a_growing_panel_are_what_one_backtest_books(fill, action) -> None:
    panel = plain_panel(days=60, assets=5)
    states = states_of(panel, fill=fill)
    whole = tape_until(panel, states, 59, fill, tomorrow=False)
    policy = committee(whole, action)
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=whole, costs=COSTS, action=policy.action, observation="compact")
    backtest = rollout(policy, env)
    paper = PaperAccount("run", 1e5, str(panel.dates[20]))
    for day in range(20, 60):
        tape = tape_until(panel, states, day, fill, tomorrow=True)
        paper = paper.advanced(tape, committee(tape, action), COSTS)
        assert paper.day == str(panel.dates[day])
        assert paper.decision is not None
    assert [one.date for one in paper.history] == backtest.dates.astype(str).tolist()
    for day, row in zip(paper.history, backtest.weights, strict=True):
        assert [day.weights.get(name, 0.0) for name in (CASH, *whole.assets)] == row.tolist()  # to the bit
    assert [one.turnover for one in paper.history] == backtest.turnover.tolist()
    assert paper.wealth == pytest.approx(backtest.wealth[-1], rel=1e-12)


@pytest.mark.parametrize("fill", FILLS)
def test_halts_and_delistings_are_booked_as_the_backtest_does(fill) -> None:
    panel = messy_panel(70, 6, 3, halts=0.1, absent=0.05, changes=True)
    states = states_of(panel, fill=fill)
    whole = tape_until(panel, states, 69, fill, tomorrow=False)
    policy = committee(whole, LongOnly())
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=whole, costs=COSTS, action=policy.action, observation="compact")
    backtest = rollout(policy, env)
    paper = PaperAccount("run", 1e5, str(panel.dates[20]))
    for day in range(20, 70):
        tape = tape_until(panel, states, day, fill, tomorrow=True)
        paper = paper.advanced(tape, committee(tape, LongOnly()), COSTS)
    for day, row in zip(paper.history, backtest.weights, strict=True):
        assert [day.weights.get(name, 0.0) for name in (CASH, *whole.assets)] == row.tolist()


@pytest.mark.parametrize("action", [SellHoldBuy(), Templates()], ids=["single stock", "templates"])
def test_a_committee_of_one_books_what_its_member_books(action) -> None:
    panel = plain_panel(days=60, assets=4)
    tape = tape_until(panel, states_of(panel), 59, "next_open", tomorrow=False)
    tape = tape.only("A1") if isinstance(action, SellHoldBuy) else tape
    member = Scorer(tape, 0, action)
    one = committee(tape, action, seeds=(0,))
    paths = []
    for policy in (member, one):
        env = gymnasium.make(
            "FactorGym/Portfolio-v0", tape=tape, costs=COSTS, action=policy.action, observation="compact"
        )
        paths.append(rollout(policy, env, "path"))
    np.testing.assert_array_equal(paths[0].weights, paths[1].weights)
    np.testing.assert_array_equal(paths[0].returns, paths[1].returns)


def test_a_committee_holds_the_mean_of_what_its_members_ask_for() -> None:
    panel = plain_panel(days=60, assets=4)
    tape = tape_until(panel, states_of(panel), 59, "next_open", tomorrow=False)
    shown = {"day": np.array([5]), "account": np.array([0.2, 0.2, 0.2, 0.2, 0.2], np.float32)}
    alone = [committee(tape, LongOnly(), seeds=(seed,)).predict(shown)[0] for seed in (0, 1, 2)]
    together = committee(tape, LongOnly(), seeds=(0, 1, 2)).predict(shown)[0]
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-15)
    assert together.sum() == pytest.approx(1, abs=1e-15)


def test_what_some_members_leave_alone_counts_as_what_is_held() -> None:
    panel = plain_panel(days=60, assets=2)
    tape = tape_until(panel, states_of(panel), 59, "next_open", tomorrow=False)

    class Says(Scorer):
        def __init__(self, row):
            self.row = np.array(row)

        def predict(self, observation, *rest, **more):
            return self.row, None

    market = BatchMarket(tape, 1, COSTS, StatedWeights(), observation="compact")
    shown = {"day": np.array([5]), "account": np.array([0.4, 0.4, 0.2])}
    one, other = Says([0.5, LEFT_ALONE, 0.5]), Says([0.0, 0.8, 0.2])
    found, _ = Committee([one, other], market).predict(shown)
    np.testing.assert_allclose(found, [0.15, 0.6, 0.25])  # the first wants .3 cash, .4 left alone, .3
    both, _ = Committee([one, one], market).predict(shown)
    assert both[1] == LEFT_ALONE


@pytest.mark.parametrize("action", [LongOnly(), Tilt(kappa=0.9)], ids=["absolute", "relative"])
def test_advancing_twice_on_one_day_changes_nothing_and_missed_days_are_made_up_for(action, tmp_path) -> None:
    panel = plain_panel(days=60, assets=5)
    states = states_of(panel)
    daily = missed = PaperAccount("run", 1e5, str(panel.dates[20]))
    for day in range(20, 50):
        tape = tape_until(panel, states, day, "next_open", tomorrow=True)
        policy = committee(tape, action)
        daily = daily.advanced(tape, policy, COSTS)
        assert daily.advanced(tape, policy, COSTS) == daily
        if day % 7 == 0 or day == 49:
            missed = missed.advanced(tape, policy, COSTS)
    assert missed == daily
    daily.save(tmp_path / "account.json")
    assert PaperAccount.load(tmp_path / "account.json") == daily
    assert daily.money == pytest.approx(1e5 * daily.wealth)


def test_the_decision_that_was_written_down_is_booked_whatever_would_be_decided_now() -> None:
    panel = plain_panel(days=60, assets=5)
    states = states_of(panel)
    tape = tape_until(panel, states, 30, "next_open", tomorrow=True)
    decided = PaperAccount("run", 1e5, str(panel.dates[30])).advanced(tape, committee(tape, LongOnly()), COSTS)
    later = tape_until(panel, states, 31, "next_open", tomorrow=True)
    booked = replace(decided, decision={CASH: 1.0}).advanced(later, committee(later, LongOnly()), COSTS)
    assert booked.history[0].weights == {CASH: 1.0}
    assert booked.history[0].turnover == 0


def test_accounts_that_do_not_fit_are_refused_in_one_line(tmp_path) -> None:
    panel = plain_panel(days=60, assets=3)
    tape = tape_until(panel, states_of(panel), 40, "next_open", tomorrow=True)
    policy = committee(tape, LongOnly())
    with pytest.raises(ValueError, match="it holds XX, which is none of the panel's 3 assets"):
        PaperAccount("run", 1e5, str(panel.dates[40]), weights={CASH: 0.5, "XX": 0.5}).advanced(tape, policy, COSTS)
    with pytest.raises(ValueError, match="it stands at 2020-02-20, but the last day known is"):
        PaperAccount("run", 1e5, "2020-02-20").advanced(tape, policy, COSTS)
    with pytest.raises(ValueError, match="capital is 0, expected money above 0"):
        PaperAccount("run", 0, "2020-02-20")
    (tmp_path / "a.json").write_text(json.dumps({"kind": "paper-account", "version": 1, "history": []}))
    with pytest.raises(ValueError, match=r"a.json: not a whole paper account \('run'\)"):
        PaperAccount.load(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ValueError, match=r"a.json: no paper account"):
        PaperAccount.load(tmp_path / "a.json")


def test_stated_weights_sum_to_one() -> None:
    panel = plain_panel(days=60, assets=3)
    tape = tape_until(panel, states_of(panel), 40, "next_open", tomorrow=True)
    market = BatchMarket(tape, 1, COSTS, StatedWeights())
    market.reset()
    with pytest.raises(ValueError, match=r"weights sum to 0.9, expected 1, cash included"):
        market.step(np.array([[0.2, 0.2, 0.2, 0.3]]))


def test_on_the_day_to_come_nothing_moves_and_who_is_halted_stays_so() -> None:
    panel = messy_panel(40, 5, 1, halts=0.3, absent=0.0, changes=True)
    longer = with_tomorrow(panel)
    assert len(longer) == 41
    for name in ("values", "listed", "tradable", "dates"):
        np.testing.assert_array_equal(getattr(longer, name)[:40], getattr(panel, name))
    for fill in FILLS:
        tape, before = (Tape.from_panel(one, fill=fill, price_limit=0.1) for one in (longer, panel))
        np.testing.assert_array_equal(tape.before[39], np.zeros(5))
        np.testing.assert_array_equal(tape.after[39], np.zeros(5))
        np.testing.assert_array_equal(tape.status[:39], before.status[:39])
        np.testing.assert_array_equal((tape.status[39] & 1) > 0, panel.listed[39] & panel.tradable[39])


def test_the_day_to_come_is_a_trading_day() -> None:
    weekdays = np.array(["2024-05-02", "2024-05-03"], "datetime64[D]")
    assert next_day(weekdays) == np.datetime64("2024-05-06")
    assert next_day(np.arange(np.datetime64("2024-04-01"), np.datetime64("2024-05-04"))) == np.datetime64("2024-05-04")
