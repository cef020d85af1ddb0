"""Training of one agent with one seed: learn on the train tape, choose on the valid tape, continue when killed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.algorithms.base import AgentConfig
from agents.checkpoint import RECORD, completed, describe, last_day
from agents.networks.extractors import StateTable
from agents.training.callbacks import STATE, ShouldStop, TrainingConfig, ValidationCallback, ValidationHistory
from agents.training.cloning import Demonstration, clone
from agents.training.resume import load_state
from agents.training.reward_scaling import with_scaled_rewards
from agents.training.tensorboard import AgentLogger
from agents.training.validation import Validator
from envs import BatchMarket, Costs, Episodes, Tape
from envs.actions.portfolio import Action
from envs.actions.relative import RelativeAction
from envs.rebalancing import Rebalance
from envs.rewards import Reward
from market.curves import NO_CURVES, CurveLog
from market.storage.array_file import read_json, write_json

InSample = Literal["refuse", "allow"]


@dataclass(frozen=True, eq=False)
class Task:
    """Market and terms of a training: tapes, action, reward and costs.

    Attributes:
        train: Days to learn on.
        valid: Days to choose on.
        action: What the actions mean.
        reward: What a step is worth.
        costs: What trading and holding cost.
        episode_days: Days of an episode in training, from a random start; None replays the whole train tape.
        n_envs: Episodes at once.
        portfolio: Whether this is the portfolio environment, in which assets share one scorer.
        rebalance: Days that may trade, see `envs.rebalancing`.
        start_from: What a rule did on the train days, for the agent to begin at; None begins at random weights.
        clone_steps: Steps that it takes to get there.
        in_sample: Whether the agent may learn, and be chosen, on days whose states had seen their own labels.
    """

    train: Tape
    valid: Tape
    action: Action
    reward: Reward
    costs: Costs
    episode_days: int | None
    n_envs: int
    portfolio: bool
    rebalance: Rebalance = 1
    start_from: Demonstration | None = None
    clone_steps: int = 300
    in_sample: InSample = "refuse"

    @property
    def in_sample_days(self) -> dict[str, int]:
        """Days of each tape on which the agent sees what an encoder had learnt from them."""
        return {name: int(tape.in_sample.sum()) for name, tape in (("train", self.train), ("valid", self.valid))}

    def refuse_in_sample(self) -> None:
        """Refuses to learn on in-sample rows unless that was asked for.

        Raises:
            ValueError: A train or valid row has states of an encoder that was fitted on that day or later.
        """
        if self.in_sample == "allow":
            return
        for name, tape in (("train", self.train), ("valid", self.valid)):
            rows = tape.in_sample.nonzero()[0]
            if len(rows) and tape.fit_end is not None:
                day = rows[0]
                raise ValueError(
                    f"{len(rows)} of {len(tape)} {name} days are in-sample: the states of {tape.dates[day]} come from "
                    f"an encoder fitted until {tape.fit_end[day]}, so the agent would learn from answers; use states "
                    "of a walk (tools.walk), or --in-sample allow"
                )

    def learning(self) -> BatchMarket:
        """Returns the episodes to learn from."""
        episodes = Episodes(self.episode_days)
        return self._market(self.train, self.n_envs, episodes, autoreset=True)

    def validation(self) -> BatchMarket:
        """Returns the one pass to choose by."""
        return self._market(self.valid, 1, Episodes(), autoreset=False)

    def _market(self, tape: Tape, n_envs: int, episodes: Episodes, autoreset: bool) -> BatchMarket:
        return BatchMarket(
            tape,
            n_envs,
            self.costs,
            self.action,
            self.reward,
            "compact",
            episodes,
            autoreset=autoreset,
            one_asset=not self.portfolio,
            rebalance=self.rebalance,
        )


def train_agent(
    config: AgentConfig,
    task: Task,
    schedule: TrainingConfig,
    seed: int,
    folder: Path,
    settings: Mapping[str, Any],
    device: str = "cpu",
    upgraded: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    should_stop: ShouldStop | None = None,
    curves: CurveLog = NO_CURVES,
) -> dict[str, Any]:
    """Trains one agent in `folder` and returns what ``agent.json`` says of the best policy on the valid days.

    The folder receives ``policy.safetensors``, ``agent.json``, ``history.jsonl`` and ``tensorboard/``. A training that
    was killed continues from its last validation to the bit of one that was not (tested); one that is finished is left
    alone. Rewards are divided by the running standard deviation of the discounted return, of past days alone.

    Args:
        config: The agent.
        task: What it trades.
        schedule: How long it learns and how often it is validated.
        seed: Decides first weights, actions, minibatches and the days episodes start on.
        folder: Folder of the seed.
        settings: What decides the run, as JSON; a continuation must have the same.
        device: Device of the networks.
        upgraded: Returns settings that an earlier version wrote as today's version writes them.
        should_stop: Asked after each validation, with the worth of all of them, whether those were enough.
        curves: Keeps the curves beside TensorBoard.

    Raises:
        ValueError: The agent cannot act so, the folder holds a run with other settings, or the tapes hold in-sample
            rows and the task does not allow them.
    """
    record = finished_record(folder)
    if record is not None:
        return record
    task.refuse_in_sample()
    validator = Validator(config, task.validation(), task.portfolio)
    market = task.learning()
    rewarded = with_scaled_rewards(market, config.gamma)
    model = config.build(rewarded, StateTable(task.train), task.portfolio, seed, device)
    about = describe(config, market, task.portfolio) | {
        "seed": seed,
        "fit_end": last_day(task.train, task.valid),
        "in_sample_days": task.in_sample_days,
        "settings": dict(settings),
    }
    progress = _begin(model, market, task, folder / STATE, about, upgraded)
    steps = (schedule.total_steps, model.num_timesteps)
    with AgentLogger(folder / "tensorboard", f"seed {seed}", *steps, curves) as monitor:
        first = schedule.least_lead > 0 or task.start_from is not None or isinstance(market.action, RelativeAction)
        callback = ValidationCallback(folder, schedule, validator, about, progress, monitor, first, should_stop)
        _learn(model, schedule.total_steps, callback, monitor, task.n_envs)
        assert progress.best is not None
        monitor.finish(settings, {name: value for name, value in progress.best.items() if name != "step"})
    return _finish(folder, progress)


def _begin(
    model: BaseAlgorithm,
    market: BatchMarket,
    task: Task,
    state: Path,
    about: Mapping[str, Any],
    upgraded: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> ValidationHistory:
    """Puts a model where its training begins or continues and returns the validations so far."""
    if state.exists():
        known = load_state(state, model, about, partial(_of_today, action=task.action, upgraded=upgraded))
        return ValidationHistory(**known)
    if task.start_from is not None:
        clone(model, market, task.start_from, task.clone_steps)
    return ValidationHistory()


def _learn(
    model: BaseAlgorithm, total_steps: int, callback: ValidationCallback, monitor: AgentLogger, n_envs: int
) -> None:
    done = model.num_timesteps
    model.set_logger(monitor.logger)
    monitor.restore(callback.progress.pending)
    model.learn(
        max(total_steps - done, 0),
        callback,
        log_interval=max(4, n_envs) if isinstance(model, OffPolicyAlgorithm) else 1,  # theirs counts episodes
        reset_num_timesteps=done == 0,
    )


def _of_today(
    recipe: Mapping[str, Any], action: Action, upgraded: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, Any]:
    settings = upgraded(recipe["settings"]) if recipe["settings"] else {}
    return {**recipe, "settings": settings, "action": completed(recipe["action"], action)}


def finished_record(folder: Path) -> dict[str, Any] | None:
    """Returns what ``agent.json`` says of the finished training in the folder of a seed, None where there is none."""
    path = folder / RECORD
    if not path.exists():
        return None
    record: dict[str, Any] = read_json(path)
    if not record.get("finished"):
        return None
    (folder / STATE).unlink(missing_ok=True)  # of a run that was killed between its last two steps
    return record


def _finish(folder: Path, progress: ValidationHistory) -> dict[str, Any]:
    """Marks the agent as finished, and lets go of what only a continuation would need."""
    path = folder / RECORD
    record: dict[str, Any] = read_json(path)
    record |= {"finished": True, "n_steps": progress.last_step, "n_validations": len(progress.history)}
    write_json(path, record)
    (folder / STATE).unlink(missing_ok=True)
    return record
