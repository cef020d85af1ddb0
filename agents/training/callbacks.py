"""The supervisor of a training: looks at the valid tape now and then, keeps the best policy, stops when it is time."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.checkpoint import save_agent
from agents.training.resume import save_state
from agents.training.reward_scaling import reward_scale
from agents.training.tensorboard import AgentLogger
from agents.training.validation import EpisodeTrace, Validator
from market.artifacts import AGENT_STATE, HISTORY
from market.storage.array_file import write_text

STATE = AGENT_STATE
ShouldStop = Callable[[Sequence[float]], bool]
"""Says whether the worth of all validations so far is enough to know a run by."""


@dataclass(frozen=True)
class TrainingConfig:
    """How long an agent learns and how often it is validated.

    Attributes:
        total_steps: Environment steps at most, over all environments.
        validate_every: Steps between validations; a state to continue from is written with each.
        patience: Validations without a better policy after which training stops; None never does.
        least_lead: Standard errors by which a policy must lead the one it began as, on the valid days, to be kept
            instead of it; 0 keeps whichever is ahead. For agents that begin at something worth keeping (``Step``,
            ``Tilt``, ``start_from``): what chance explains does not make them trade.
    """

    total_steps: int = 1_000_000
    validate_every: int = 50_000
    patience: int | None = 10
    least_lead: float = 0.0

    def __post_init__(self) -> None:
        if self.validate_every < 1 or self.total_steps < 1 or (self.patience is not None and self.patience < 1):
            raise ValueError(
                f"Schedule: total_steps {self.total_steps}, validate_every {self.validate_every} and patience "
                f"{self.patience} must be at least 1"
            )
        if not self.least_lead >= 0:
            raise ValueError(f"Schedule: least_lead is {self.least_lead}, expected at least 0 standard errors")


@dataclass
class ValidationHistory:
    """Where a training stands.

    Attributes:
        history: One entry a validation.
        best: The entry of the best policy so far.
        since_best: Validations after it.
        last_step: Step of the latest validation.
        pending: Numbers that were recorded and not shown yet when the state was written.
        start: What the policy gained on each valid day before it learned; empty where it was not asked.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    since_best: int = 0
    last_step: int = 0
    pending: dict[str, float] = field(default_factory=dict)
    start: list[float] = field(default_factory=list)

    def add(self, entry: dict[str, Any], least_lead: float = 0.0) -> bool:
        """Takes note of a validation and returns whether its policy is the best so far; of equal ones the first is.

        One that leads the start by less than `least_lead` standard errors is not.
        """
        better = self.best is None or (worth(entry) > worth(self.best) and entry.get("lead", np.inf) >= least_lead)
        self.history.append({**entry, "best": better})
        self.last_step = entry["step"]
        self.since_best = 0 if better else self.since_best + 1
        if better:
            self.best = entry
        return better


def worth(entry: Mapping[str, Any]) -> float:
    """Returns what a validation is measured by: its objective, else the growth of wealth."""
    return float(entry.get("objective", entry["growth"]))


class ValidationCallback(BaseCallback):
    """Validates where a rollout begins, so that a state written there continues to the bit.

    Args:
        folder: Folder of the seed.
        schedule: How long and how often.
        validator: Evaluates on the valid tape.
        about: What is written beside the policy, see `agents.checkpoint.describe`, with the run's recipe in it.
        progress: Where the run stands.
        monitor: Shows it.
        validate_first: Whether the policy is validated before it learns, because it begins at something worth keeping.
        should_stop: Asked after each validation, with the worth of all of them, whether those were enough.
    """

    def __init__(
        self,
        folder: Path,
        schedule: TrainingConfig,
        validator: Validator,
        about: dict[str, Any],
        progress: ValidationHistory,
        monitor: AgentLogger,
        validate_first: bool = False,
        should_stop: ShouldStop | None = None,
    ) -> None:
        super().__init__()
        self.validate_first, self.should_stop = validate_first, should_stop
        self.folder, self.schedule, self.validator = folder, schedule, validator
        self.about, self.progress, self.monitor = about, progress, monitor
        self._told_to_stop = self._ask_to_stop()

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out, or whoever follows the run has seen enough."""
        patience = self.schedule.patience
        return self._told_to_stop or (patience is not None and self.progress.since_best >= patience)

    def _ask_to_stop(self) -> bool:
        history = self.progress.history
        return bool(history) and self.should_stop is not None and self.should_stop([worth(one) for one in history])

    def _on_training_start(self) -> None:
        if self.validate_first and not self.progress.history:
            self.validate()

    def _on_rollout_start(self) -> None:
        self.monitor.step(self.num_steps)
        if self.num_steps - self.progress.last_step >= self.schedule.validate_every:
            self.validate()
            self.progress.pending = self.monitor.pending
            save_state(self.folder / STATE, self.model, asdict(self.progress), self.about)

    def _on_step(self) -> bool:
        return not self.exhausted

    def _on_training_end(self) -> None:
        if self.num_steps > self.progress.last_step and not self.exhausted:
            self.validate()

    @property
    def num_steps(self) -> int:
        """Environment steps so far."""
        return self.model.num_timesteps

    def validate(self) -> None:
        """Evaluates the present policy; keeps it, with the scale of rewards it learnt under, where it is the best."""
        trace = self.validator.validate(self.model.policy)
        measures = self.validator.measures(trace)
        self.monitor.measured(self.num_steps, measures)
        entry = {"step": self.num_steps, **measures, **self._lead(trace)}
        if self.progress.add(entry, self.schedule.least_lead):
            about = {**self.about, "reward_scale": reward_scale(self.model), "valid": self.progress.best}
            save_agent(self.folder, self.model.policy, about)
            self.monitor.draw(self.num_steps, trace, self.validator.market.tape.assets)
        write_text(self.folder / HISTORY, "".join(json.dumps(one) + "\n" for one in self.progress.history))
        self._told_to_stop = self._ask_to_stop()

    def _lead(self, trace: EpisodeTrace) -> dict[str, float]:
        """Returns by how many standard errors of the mean daily difference a pass leads the start, if that counts."""
        if not self.schedule.least_lead:
            return {}
        gains = self.validator.gains(trace)
        if not self.progress.start:
            self.progress.start = gains.tolist()
            return {}
        difference = gains - np.array(self.progress.start)
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        return {"lead": float(difference.mean() / error) if error > 0 else 0.0}
