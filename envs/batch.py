"""BatchMarket: B episodes at once, and the only step that moves money."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from envs.account_types import CostTerms, DayResult, MarketArrays
from envs.accounting import book_day
from envs.actions.kernels import fill_weights
from envs.actions.portfolio import Action, LongOnly, MaskedAction, checked_actions
from envs.actions.relative import RelativeAction
from envs.arguments import (
    check_targets,
    checked_action,
    checked_costs,
    checked_tape,
    clear_targets,
    is_own,
)
from envs.built import Built
from envs.costs import Costs
from envs.episodes import EpisodeCursor, Episodes, check_options
from envs.execution import known_status
from envs.observations import Observation, ObservationBuilder, OwnView, View
from envs.rebalancing import Rebalance, trading_days
from envs.rewards import LogGrowth, Reward, StepResult, as_reward, checked_rewards
from envs.tape import Tape
from market.arrays import AnyArray, BoolArray, FloatArray, IntArray

Info = dict[str, Any]


class BatchMarket(Built):
    """Trades B episodes of one tape in compiled loops; the Gymnasium environments are faces of it.

    Episode ``k`` of a batch does, to the bit, what a batch of one with seed ``seed + k`` does. An account starts with a
    wealth of 1. With `autoreset` a finished episode starts anew within the step that finished it: the observation
    returned is the new episode's first, and ``info["final_obs"]`` holds the last ones of ``info["final_rows"]``.

    ``info`` describes the step taken, one entry for each episode: ``weights [B, 1+N]`` right after the trade,
    ``trades [B, N]`` in wealth units (bought positive), ``turnover [B]``, ``cost [B]`` of the trade in wealth units,
    ``wealth [B]``, ``gross_return [B]`` before the cost of the trade, ``date [B]`` of the new close.

    Args:
        tape: What to replay.
        n_envs: B.
        costs: What trading and holding cost.
        action: What the actions mean.
        reward: What a step is worth: a reward, or a function of a `StepResult`.
        observation: ``full``, ``flat``, ``compact``, or an object with ``space(tape)`` and
            ``observe(tape, day, account)``.
        episodes: Start, length and initial position; by default the whole tape from all cash.
        seed: Seed of episode 0; episode k uses ``seed + k``.
        autoreset: Whether finished episodes start anew by themselves.
        one_asset: Whether observations are those of the single-stock environment.
        rebalance: Days that may trade: every so many, or the first of each week (``W``) or month (``M``). An episode's
            first day may always trade; on the others the action is checked and then not carried out.

    Raises:
        ValueError: Arguments do not fit each other or the tape.
    """

    def __init__(
        self,
        tape: Tape,
        n_envs: int = 1,
        costs: Costs = Costs(),  # noqa: B008 - frozen
        action: Action = LongOnly(),  # noqa: B008
        reward: Reward | Callable[[StepResult], FloatArray] = LogGrowth(),  # noqa: B008
        observation: View | OwnView = "full",
        episodes: Episodes = Episodes(),  # noqa: B008
        seed: int | None = None,
        *,
        autoreset: bool = True,
        one_asset: bool = False,
        rebalance: Rebalance = 1,
    ) -> None:
        tape, costs, action = checked_tape(tape), checked_costs(costs), checked_action(action)
        if n_envs < 1:
            raise ValueError(f"n_envs is {n_envs}, expected at least 1")
        episodes.check(tape)
        self.tape, self.n_envs, self.costs = tape, n_envs, costs
        self.action, self.episodes, self.autoreset = action, episodes, autoreset
        self._relative = action if isinstance(action, RelativeAction) else None  # a protocol is slow to ask each step
        self.reward = as_reward(reward)
        self.action_space = action.space(tape.n_assets)
        self._observations = ObservationBuilder(tape, observation, one_asset)
        self.observation_space = self._observations.space
        self.clock = EpisodeCursor(tape, episodes, n_envs, seed)
        self.wealth: FloatArray = np.ones(n_envs)
        self.legs, self.terms = _legs(tape, costs), _terms(tape, costs, action)
        self.rebalance = rebalance
        self.due = trading_days(tape.dates, rebalance)
        self._first = episodes.initial_weights(tape, episodes.weights)
        self._account = np.tile(self._first, (n_envs, 1))
        self._targets = np.zeros((n_envs, 1 + tape.n_assets))
        self._hold = np.zeros(n_envs, np.bool_)
        self._memory = self.reward.memory(self.wealth)
        self._finished = np.ones(n_envs, np.bool_)
        named = getattr(reward, "benchmark", None)
        self.log_benchmark = np.log1p(tape.benchmark if named is None else tape.benchmark_named(named))
        self._own_action, self._own_reward = is_own(action), is_own(self.reward)
        self._built = True

    def __repr__(self) -> str:
        """Names what is traded, by how many episodes, and what actions, rewards and observations are."""
        parts = f"{self.action!r}, {self.reward!r}, observation {self._observations.view!r}"
        return f"{type(self).__name__}({self.n_envs} episodes of {self.tape!r}, {parts})"

    @property
    def account(self) -> FloatArray:
        """``[B, 1 + N]`` weights at the close, cash first, as a copy."""
        return self._account.copy()

    @property
    def finished(self) -> BoolArray:
        """``[B]``, true where an episode has ended, on its last day or in ruin, and has not begun anew; a copy."""
        return self._finished.copy()

    def reset(
        self, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Starts all episodes anew.

        Args:
            seed: New seed of episode 0 (k uses ``seed + k``), or one for each; None goes on with the generators.
            options: ``day``, the first decision day by row or by date; ``days``, the length, from a random day where
                none is given; ``weights``, the initial position.

        Raises:
            ValueError: An option is unknown or does not fit the tape.
        """
        check_options(options)
        weights = (options or {}).get("weights")
        first = self._first if weights is None else self.episodes.initial_weights(self.tape, weights)
        if seed is not None:
            self.clock.seed(seed)
        rows = np.arange(self.n_envs)
        self._restart(rows, first, options)
        return self.observe(), self.standing(rows)

    def observe(self) -> Observation:
        """Returns what is shown now, as the last `reset` or `step` did, or after `restore`."""
        return self._observations.observe(self.clock.day, self._account.astype(np.float32))

    def step(self, actions: AnyArray | Sequence[Any]) -> tuple[Observation, FloatArray, BoolArray, BoolArray, Info]:
        """Books one day and returns observations, rewards, terminated, truncated and info, a row for each episode.

        Raises:
            ValueError: Actions have the wrong shape, are not finite, or do not exist; no account has been touched.
            ResetNeeded: An episode is over and `autoreset` is off, or `reset` was never called.
        """
        checked = checked_actions(actions, self.action_space, self.n_envs)
        if self._finished.any():
            raise ResetNeeded("the episode is over or has not begun; call reset() before step()")
        day, clock = self.clock.day, self.clock
        self._ask(checked)
        book = DayResult.empty(self.n_envs, self.tape.n_assets)
        book_day(day, self._account, self.wealth, self._targets, self._hold, self.legs, self.terms, book)
        outcome = StepResult(
            log_growth=book.log_growth,
            growth=book.growth,
            log_benchmark=self.log_benchmark[day],
            wealth=self.wealth,
            turnover=book.turnover,
        )
        reward = self.reward(outcome, self._memory)
        if self._own_reward:
            reward = checked_rewards(reward, self.n_envs, type(self.reward).__name__)
        day += 1
        terminated, truncated = book.ruined, (day >= clock.end) & ~book.ruined
        info = self._info(book)
        over = terminated | truncated
        if over.any():
            self._finish(over, book, info)
        return self._observations.observe(day, book.account), reward, terminated, truncated, info

    def begin(self, rows: IntArray, options: Mapping[str, Any] | None = None) -> None:
        """Starts the episodes of some rows anew and leaves the others where they are; options are those of `reset`."""
        check_options(options)
        weights = (options or {}).get("weights")
        self._restart(
            rows, self._first if weights is None else self.episodes.initial_weights(self.tape, weights), options
        )

    def rest(self, actions: AnyArray, rows: IntArray) -> tuple[FloatArray, BoolArray, BoolArray, Info]:
        """Books one day in all episodes but those of `rows`, which stay as they are and earn nothing.

        Returns rewards, terminated, truncated and info; `observe` then shows every episode. Errors are those of `step`.
        """
        arrays = (self._account, self.wealth, self._memory, self.clock.day, self.clock.start, self.clock.end)
        kept = [array[rows].copy() for array in arrays]
        _, reward, terminated, truncated, info = self.step(actions)
        for array, before in zip(arrays, kept, strict=True):
            array[rows] = before
        self._finished[rows] = False
        standing = self.standing(rows)
        for name, values in info.items():
            values[rows] = standing[name]
        reward[rows], terminated[rows], truncated[rows] = 0.0, False, False
        return reward, terminated, truncated, info

    def action_masks(self) -> BoolArray:
        """Returns ``[B, A]``, true where a choice of a discrete action can do something now, as MaskablePPO asks.

        Only what is known after the close counts: a halt or a limit of tomorrow masks nothing the evening before.

        Raises:
            ValueError: Actions are not discrete.
        """
        if not isinstance(self.action_space, spaces.Discrete):
            raise ValueError(f"action_masks: {type(self.action).__name__} is not discrete; masks are of choices")
        if isinstance(self.action, MaskedAction):
            known = known_status(self.tape.status, self.tape.fill)
            return self.action.possible(known, self.clock.day, self._account)
        return np.ones((self.n_envs, int(self.action_space.n)), np.bool_)

    def snapshot(self) -> tuple[dict[str, AnyArray], list[dict[str, Any]]]:
        """Returns everything the next step depends on: arrays, and the state of each episode's generator as JSON."""
        arrays: dict[str, AnyArray] = {
            "account": self._account,
            "wealth": self.wealth,
            "memory": self._memory,
            "finished": self._finished,
            "day": self.clock.day,
            "start": self.clock.start,
            "end": self.clock.end,
        }
        copies = {name: array.copy() for name, array in arrays.items()}
        return copies, [dict(generator.bit_generator.state) for generator in self.clock.generators]

    def restore(self, arrays: Mapping[str, AnyArray], generators: Sequence[Mapping[str, Any]]) -> None:
        """Puts back what `snapshot` returned; the steps that follow are the same to the bit.

        Raises:
            ValueError: The snapshot is of another number of episodes or assets.
        """
        shape = arrays["account"].shape
        if shape != self._account.shape or len(generators) != self.n_envs:
            raise ValueError(f"market: the snapshot is of accounts {shape}, expected {self._account.shape}")
        self._account[:], self.wealth[:] = arrays["account"], arrays["wealth"]
        self._memory[:], self._finished[:] = arrays["memory"], arrays["finished"]
        self.clock.day[:], self.clock.start[:], self.clock.end[:] = arrays["day"], arrays["start"], arrays["end"]
        for generator, state in zip(self.clock.generators, generators, strict=True):
            generator.bit_generator.state = dict(state)

    def standing(self, rows: IntArray) -> Info:
        """Returns the info of episodes that have just begun: the position held and nothing traded."""
        nothing = np.zeros(len(rows))
        return {
            "weights": self._account[rows],
            "trades": np.zeros((len(rows), self.tape.n_assets)),
            "turnover": nothing,
            "cost": nothing.copy(),
            "wealth": self.wealth[rows],
            "gross_return": nothing.copy(),
            "date": self.tape.dates[self.clock.day[rows]],
        }

    def to_weights(
        self, actions: AnyArray, day: IntArray, account: FloatArray, targets: FloatArray, hold: BoolArray
    ) -> None:
        """Writes what checked actions ask for, of accounts ``[B, 1 + N]`` at the close of `day`; nothing is traded.

        Args:
            actions: Checked actions, a row for each account.
            day: ``[B]`` rows of the tape.
            account: Weights at the close, cash first.
            targets: Receives the target weights ``[B, 1 + N]``.
            hold: Receives where assets are left alone: those whose target is NaN, or all where none is.

        Raises:
            ValueError: An action from outside `envs` wrote targets that do not sum to 1.
        """
        if self._own_action:
            clear_targets(targets, hold)
        status = self.tape.status
        if self._relative is None:
            self.action.to_weights(actions, status, day, targets, hold)
        else:
            held, terms = np.empty_like(targets), self.terms
            fill_weights(day, account, self.tape.before, status, terms.cash_before, terms.borrow_before, held)
            self._relative.adjust_weights(actions, held, status, day, targets, hold)
        if self._own_action:
            check_targets(type(self.action).__name__, targets, hold)

    def _ask(self, actions: AnyArray) -> None:
        """Writes the targets of checked actions; on a day that may not trade everything is held."""
        day = self.clock.day
        if self.rebalance != 1:
            self._hold[:] = False  # what an earlier day that may not trade has left there
        self.to_weights(actions, day, self._account, self._targets, self._hold)
        if self.rebalance != 1:
            resting = ~(self.due[day] | (day == self.clock.start))
            self._hold[resting] = True
            self._targets[resting] = 0.0

    def _info(self, book: DayResult) -> Info:
        return {
            "weights": book.weights,
            "trades": book.trades,
            "turnover": book.turnover,
            "cost": book.cost,
            "wealth": self.wealth.copy(),
            "gross_return": book.growth / book.mu - 1.0,
            "date": self.tape.dates[self.clock.day],
        }

    def _finish(self, over: BoolArray, book: DayResult, info: Info) -> None:
        if not self.autoreset:
            self._finished |= over
            return
        rows = np.flatnonzero(over)
        info["final_rows"] = rows
        info["final_obs"] = self._observations.observe(self.clock.day[rows], book.account[rows])
        self._restart(rows, self._first)
        book.account[rows] = self._account[rows]

    def _restart(self, rows: IntArray, first: FloatArray, options: Mapping[str, Any] | None = None) -> None:
        self.clock.restart(rows, options)
        held = first[1:] * self.tape.listed[self.clock.day[rows]]  # what is not listed is held as cash
        self._account[rows, 1:] = held
        self._account[rows, 0] = 1.0 - held.sum(axis=1)
        self.wealth[rows] = 1.0
        self._memory[rows] = self.reward.memory(self.wealth[rows])
        self._finished[rows] = False


def _legs(tape: Tape, costs: Costs) -> MarketArrays:
    scale = np.zeros((0, 0))
    if costs.impact > 0:
        if tape.impact_scale is None:
            raise ValueError("costs: impact needs volumes, which the tape's panel lacks; add them or set impact=0")
        scale = np.asarray(tape.impact_scale)
    return MarketArrays(tape.before, tape.after, tape.status, tape.free, scale)


def _terms(tape: Tape, costs: Costs, action: Action) -> CostTerms:
    """Interest and borrowing are paid once a day, on the leg that ends the trading day, by whoever holds it."""
    holds_before = tape.fill == "next_close"
    return CostTerms(
        buy=costs.buy_rate,
        sell=costs.sell_rate,
        impact=costs.impact * math.sqrt(costs.capital),
        borrow_before=costs.borrow_rate if holds_before else 0.0,
        borrow_after=0.0 if holds_before else costs.borrow_rate,
        cash_before=costs.cash_rate if holds_before else 0.0,
        cash_after=0.0 if holds_before else costs.cash_rate,
        margin=costs.margin,
        max_stretch=action.max_stretch,
    )
