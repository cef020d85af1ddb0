"""The algorithm of `agents.algorithms.apg.APG`: books short segments of many accounts, and climbs their gradient."""

from copy import deepcopy
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import Tensor

from agents.algorithms.gradient_policy import DayScores, GradientPolicy
from agents.differentiable.actions import has_gradient, holds, target_weights
from agents.differentiable.market import DifferentiableMarket
from agents.vec_env import MarketVecEnv
from envs import BatchMarket
from envs.execution import AVAILABLE
from market.arrays import AnyArray, IntArray

APPROACH = 20
"""Actions of one day, repeated, that carry an account towards the policy's own position of that day."""

CASH_SHARE = 0.1
"""Share of accounts that begin a segment all in cash, as every evaluation does."""


class Segment(NamedTuple):
    """Result of a segment of L days for B accounts, ``[L, B]``."""

    excess: Float[Tensor, "L B"]
    turnover: Float[Tensor, "L B"]


class AnalyticPolicyGradient(BaseAlgorithm):
    """The algorithm of `APG` behind stable-baselines3's interface; its environment is only read, never stepped.

    A time step is one day of one account, as for the other algorithms.

    Args:
        policy: `GradientPolicy`, with the states of the tape as its table.
        env: `VecNormalize` over a `MarketVecEnv`, or that itself.
        kwargs: Fields of `APG` under their own names, and arguments of stable-baselines3's `BaseAlgorithm`.
    """

    policy: GradientPolicy
    learner: GradientPolicy
    """The weights that are updated; those of `policy` are their moving average."""

    def __init__(
        self,
        policy: type[GradientPolicy],
        env: GymEnv | None,
        learning_rate: float = 3e-3,
        segment_days: int = 20,
        warmup_days: int = 10,
        accounts_per_path: int = 4,
        risk_aversion: float = 10.0,
        trade_penalty: float = 0.0,
        terminal_value: float = 0.0,
        gamma: float = 0.99,
        max_grad_norm: float = 1.0,
        averaging: float = 0.98,
        _init_setup_model: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            policy, env, learning_rate, support_multi_env=True, supported_action_spaces=(spaces.Box,), **kwargs
        )
        self.segment_days, self.accounts_per_path = segment_days, accounts_per_path
        self.warmup_days = warmup_days
        self.risk_aversion, self.trade_penalty = risk_aversion, trade_penalty
        self.terminal_value, self.gamma, self.max_grad_norm = terminal_value, gamma, max_grad_norm
        self.averaging, self._n_updates = averaging, 0
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        kind: Any = self.policy_class
        policy = kind(self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs)
        self.policy = policy.to(self.device)
        self.learner = deepcopy(self.policy)  # with an optimiser of its own
        self.money = None if self.env is None else DifferentiableMarket(market_of(self.env))
        if self.money is not None:
            self._check(self.money.market)

    def _check(self, market: BatchMarket) -> None:
        if not has_gradient(market.action):
            raise ValueError(
                f"APG: {type(market.action).__name__} has no gradient; use LongOnly, LongShort, Position, Tilt or Step"
            )
        if self.segment_days > len(market.tape) - 1:
            raise ValueError(
                f"APG: segment_days is {self.segment_days}, but the tape holds {len(market.tape) - 1} steps; shorten it"
            )
        if self.policy.features_extractor.table is None:
            raise ValueError("APG: it looks days up; make the environment with observation='compact' and give a table")

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "APG",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Updates the policy until `total_timesteps` account-days are booked or the callback stops it."""
        total_timesteps, hooks = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        hooks.on_training_start(locals(), globals())
        while self.num_timesteps < total_timesteps:
            hooks.on_rollout_start()
            self.train()
            self.num_timesteps += self.n_envs * self.segment_days
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            hooks.update_locals(locals())
            if not hooks.on_step():
                break
            hooks.on_rollout_end()
            if self._n_updates % (10 * log_interval) == 0:
                self.logger.dump(step=self.num_timesteps)
        hooks.on_training_end()
        return self

    def train(self) -> None:
        """Books one segment for every account and takes one step up the gradient."""
        if self._n_updates == 0:
            self.learner.load_state_dict(self.policy.state_dict())  # where cloning may have left it
        self.learner.set_training_mode(True)
        self._update_learning_rate(self.learner.optimizer)
        for group in self.learner.optimizer.param_groups:
            group["lr"] *= group["rate"]
        segment, value_loss = self.booked()
        excess = segment.excess
        objective = excess.mean() - 0.5 * self.risk_aversion * excess.var(correction=0)
        loss = -objective + self.trade_penalty * segment.turnover.mean() + value_loss
        self.learner.optimizer.zero_grad()
        scaled: Tensor = loss / excess.detach().std().clamp(min=1e-6)  # of the same size whatever the benchmark
        torch.autograd.backward(scaled)
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), self.max_grad_norm)
        self.learner.optimizer.step()
        self._n_updates += 1
        self._average()
        measures = {"objective": objective, "excess": excess.mean(), "turnover": segment.turnover.mean()}
        for name, measure in measures.items():
            self.logger.record(f"train/{name}", float(measure.detach()))
        self.logger.record("train/n_updates", self._n_updates)

    @torch.no_grad()
    def _average(self) -> None:
        """Moves the policy towards the learner: early on by more, so that where it began is soon forgotten."""
        decay = min(self.averaging, self._n_updates / (9 + self._n_updates))
        for own, latest in zip(self.policy.parameters(), self.learner.parameters(), strict=True):
            own.lerp_(latest, 1 - decay)

    def booked(self) -> tuple[Segment, Tensor]:
        """Returns what segments from random days and positions come to, and the loss of the terminal value."""
        paths = self._starts()  # [P]
        rows = paths[:, None] + np.arange(self.segment_days + 1)  # [P, L + 1]
        days, place = np.unique(rows, return_inverse=True)
        scores = self._scores(days)
        of_account = np.resize(np.arange(len(paths)), self.n_envs)  # each path's accounts
        place = torch.from_numpy(place.reshape(rows.shape)[of_account])  # [B, L + 1]
        starts = paths[of_account]
        account = self._warmed_up(starts)
        first, excess, turnover = account, [], []
        wealth = torch.ones(self.n_envs, dtype=torch.float64)
        for day in range(self.segment_days):
            account, growth, traded = self._day(starts + day, scores, place[:, day], account, wealth)
            wealth = wealth * growth.detach()
            excess.append(growth.log() - self._benchmark(starts + day))
            turnover.append(traded)
        segment = Segment(torch.stack(excess), torch.stack(turnover))
        if not self.terminal_value:
            return segment, torch.zeros(())
        return self._with_terminal_value(segment, scores, place, first, account)

    @torch.no_grad()
    def _warmed_up(self, starts: IntArray) -> Tensor:
        """Returns the accounts with which segments begin: where the policy itself led them, or all in cash.

        Accounts that begin at a position that the policy would not be in teach it to leave positions fast, and so to
        trade more than pays.
        """
        before = np.minimum(self.warmup_days, starts)  # few days at the beginning of the tape
        longest = int(before.max())
        rows = (starts - before)[:, None] + np.arange(longest + 1)  # [B, W + 1]; an account waits at its start
        rows = np.minimum(rows, starts[:, None])
        days, place = np.unique(rows, return_inverse=True)
        scores, places = self._scores(days), torch.from_numpy(place.reshape(rows.shape))
        account = self._positions(rows[:, 0], scores, places[:, 0])
        wealth = torch.ones(self.n_envs, dtype=torch.float64)
        for day in range(longest):
            moved, growth, _ = self._day(rows[:, day], scores, places[:, day], account, wealth)
            moves = torch.from_numpy(day < before)
            account = torch.where(moves[:, None], moved, account)
            wealth = torch.where(moves, wealth * growth, wealth)
        in_cash = torch.rand(self.n_envs) < CASH_SHARE
        account[in_cash] = 0.0
        account[in_cash, 0] = 1.0
        return account

    def _with_terminal_value(
        self, segment: Segment, scores: DayScores, place: Tensor, first: Tensor, last: Tensor
    ) -> tuple[Segment, Tensor]:
        """Adds what the last position is worth to the last day, and fits that value to what the segment earned.

        The value of a position is linear in its weights: to first order a portfolio is worth what its parts are.
        """
        ahead = (last[:, 1:] * scores.values.detach()[place[:, -1]]).sum(1)
        discounts = self.gamma ** torch.arange(self.segment_days, dtype=torch.float64)
        earned = (discounts[:, None] * segment.excess.detach()).sum(0)
        target = earned + self.gamma**self.segment_days * ahead.detach()
        error = (first[:, 1:] * scores.values[place[:, 0]]).sum(1) - target
        last_day = segment.excess[-1] + self.terminal_value * ahead
        return segment._replace(excess=torch.cat([segment.excess[:-1], last_day[None]])), error.square().mean()

    def _day(
        self, rows: IntArray, scores: DayScores, place: Tensor, account: Tensor, wealth: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the accounts at the next close, the growth of wealth and the turnover."""
        assert self.money is not None
        market = self.money.market
        raw = self.learner.act(scores.assets[place], scores.lead[place], account.float()).double()
        held = self.money.drift(rows, account)
        available = torch.from_numpy((market.tape.status[rows] & AVAILABLE) > 0)
        hold = holds(market.action, raw) | ~market.due[rows]
        found = self.money.trade(rows, held, target_weights(market.action, raw, held.weights, available), wealth, hold)
        return found.account, found.growth, found.turnover

    def _starts(self) -> IntArray:
        assert self.money is not None
        n_paths = max(1, self.n_envs // self.accounts_per_path)
        last = len(self.money.market.tape) - 1 - self.segment_days
        starts: IntArray = torch.randint(0, last + 1, (n_paths,)).numpy()
        return starts

    def _scores(self, days: IntArray) -> DayScores:
        """Returns the scores of the days in `days`, each looked up once."""
        lookup = self.learner.features_extractor
        observation: dict[str, AnyArray] = {"day": days[:, None], "account": np.zeros((len(days), 1), np.float32)}
        found: DayScores = self.learner.network(lookup(obs_as_tensor(observation, self.device)))
        return DayScores(*(one.cpu() for one in found))

    @torch.no_grad()
    def _positions(self, rows: IntArray, scores: DayScores, place: Tensor) -> Tensor:
        """Returns positions between equal weight and the policy's own of that day."""
        assert self.money is not None
        market = self.money.market
        listed = torch.from_numpy(market.tape.listed[rows].astype(np.float64))
        equal = torch.cat([torch.zeros(len(rows), 1), listed / listed.sum(1, keepdim=True).clamp(min=1.0)], dim=1)
        own, available = equal, torch.from_numpy((market.tape.status[rows] & AVAILABLE) > 0)
        for _ in range(APPROACH):
            raw = self.learner.act(scores.assets[place], scores.lead[place], own.float()).double()
            own = target_weights(market.action, raw, own, available)
            own = torch.cat([own[:, :1], own[:, 1:] * listed], dim=1)
            own[:, 0] += 1.0 - own.sum(1)
        share = torch.rand(len(rows), 1, dtype=torch.float64)
        account: Tensor = equal + share * (own - equal)
        account[:, 0] = 1.0 - account[:, 1:].sum(1)
        return account

    def _benchmark(self, rows: IntArray) -> Tensor:
        assert self.money is not None
        return torch.from_numpy(self.money.market.log_benchmark[rows])

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "learner", "learner.optimizer"], []

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "money", "learner"]


def market_of(env: VecEnv) -> BatchMarket:
    """Returns the market under an environment of stable-baselines3.

    Raises:
        ValueError: There is none: gradients need to know how money is booked.
    """
    inner = env.venv if isinstance(env, VecNormalize) else env
    if not isinstance(inner, MarketVecEnv):
        raise ValueError(f"APG: the environment is a {type(inner).__name__}; use agents.vec_env.MarketVecEnv")
    return inner.market
