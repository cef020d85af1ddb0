"""Display of a training: TensorBoard and a progress bar. Learning does not depend on it.

Curves stand in numbered groups, those that matter most first, which say what days they are of: ``(train)`` is measured
while learning, ``(valid)`` on the days that choose the policy, a result once, at the very end. Those of encoders are
named alike (`encoders.training.tensorboard`).
"""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.logger import KVWriter, Logger
from torch.utils.tensorboard import SummaryWriter

from agents.training.validation import EpisodeTrace
from market.arrays import DateArray, FloatArray
from market.curves import NO_CURVES, CurveLog
from market.heartbeat import Heartbeat
from market.pictures import Pictures
from market.storage.flatten import choices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEALTH, TRADING, RESULT = "agent 1 wealth (valid)", "agent 2 trading (valid)", "agent 8 result (valid)"
N_PICTURED, N_TICKS = 12, 6
"""Assets with a row of their own in the picture of weights, and dates below it."""
LOSS, OPTIMISER = "agent 4 loss (train)", "agent 6 optimiser"
GROUPS = {"rollout": "agent 3 episodes (train)", "train": "agent 5 policy (train)", "time": "agent 7 speed"}
"""Groups of curves by stable-baselines3's names of them; its losses and the optimiser's numbers stand apart."""


class TensorBoardWriter(KVWriter):
    """Hands the numbers that stable-baselines3 logs to a TensorBoard writer, and to whoever keeps curves beside it."""

    def __init__(self, writer: SummaryWriter, curves: CurveLog = NO_CURVES) -> None:
        self._writer, self._curves = writer, curves

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Writes the numbers of one step, without those that are not for TensorBoard."""
        shown = {
            grouped(name): float(value)
            for name, value in sorted(key_values.items())
            if "tensorboard" not in (key_excluded.get(name) or ()) and isinstance(value, int | float | np.number)
        }
        self.scalars(shown, step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Writes a point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._curves.log(values, step)

    def close(self) -> None:
        """Closes the writer."""
        self._writer.close()


class AgentLogger:
    """Writes curves and figures under `directory` and shows progress on standard error.

    The bar is silent where standard error is not a terminal. A run that continues after `step` steps keeps what was
    shown until then, and overwrites what an interrupted one had shown of later steps. `curves` gets every point too.
    """

    def __init__(self, directory: Path, title: str, n_steps: int, step: int, curves: CurveLog = NO_CURVES) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._title = title
        self._task = self._bar.add_task(title, total=n_steps, completed=step)
        self._heartbeat = Heartbeat(f"training, {title}", n_steps, step, active=not console.is_terminal)
        self._writer = SummaryWriter(str(directory), purge_step=step + 1 if step else 0)
        self._curves, self._step, self._pictures = curves, step, Pictures()
        self._scalars = TensorBoardWriter(self._writer, curves)
        self.logger = Logger(str(directory), [self._scalars])

    def __enter__(self) -> "AgentLogger":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is None:
            self._pictures.finish()
        self.logger.close()

    @property
    def pending(self) -> dict[str, float]:
        """Numbers that stable-baselines3 has recorded and not shown yet, such as the losses of the last update."""
        hidden = self.logger.name_to_excluded
        return {
            name: float(value)
            for name, value in self.logger.name_to_value.items()
            if "tensorboard" not in (hidden[name] or ())
            and isinstance(value, int | float | np.number)
            and math.isfinite(value)
        }

    def restore(self, pending: Mapping[str, float]) -> None:
        """Records what an interrupted run had not shown yet."""
        for name, value in pending.items():
            self.logger.record(name, value)

    def step(self, step: int) -> None:
        """Moves the bar."""
        self._bar.update(self._task, completed=step)
        self._heartbeat.beat(step)

    def measured(self, step: int, measures: Mapping[str, float]) -> None:
        """Records the measures of a validation."""
        self._step = step
        self._scalars.scalars(shown(measures), step)
        self._bar.update(self._task, description=f"{self._title}, valid growth {measures['growth']:+.3f}")

    def draw(self, step: int, trace: EpisodeTrace, assets: tuple[str, ...]) -> None:
        """Draws the trace of a validation, now and then; the last one in any case."""
        self._pictures.offer(partial(self._draw, step, trace, assets))

    def _draw(self, step: int, trace: EpisodeTrace, assets: tuple[str, ...]) -> None:
        self._writer.add_figure(f"{WEALTH}/course", wealth_figure(trace), step)
        picture = weights_figure(trace.dates, trace.weights, assets)
        self._writer.add_figure(f"{TRADING}/weights of the best policy", picture, step)

    def finish(self, settings: Mapping[str, Any], measures: Mapping[str, float]) -> None:
        """Records the settings of the run beside its final measures."""
        scores = {f"{RESULT}/{name.rpartition('/')[2]}": value for name, value in shown(measures).items()}
        self._writer.add_hparams(choices(settings), scores, run_name=".")
        self._curves.settings(choices(settings))
        self._curves.log(scores, self._step)


def shown(measures: Mapping[str, float]) -> dict[str, float]:
    """Returns the measures of a validation as people read them: what one unit of wealth has become."""
    return {
        f"{WEALTH}/agent": math.exp(measures["growth"]),
        f"{WEALTH}/benchmark": math.exp(measures["benchmark_growth"]),
        f"{TRADING}/turnover": measures["turnover"],
    }


def grouped(name: str) -> str:
    """Returns the name of a curve for a number that stable-baselines3 calls `name`."""
    group, _, measure = name.partition("/")
    if group == "train" and measure.endswith("loss"):
        return f"{LOSS}/{'total' if measure == 'loss' else measure}"
    if group == "train" and measure in ("learning_rate", "n_updates", "clip_range"):
        return f"{OPTIMISER}/{measure}"
    return f"{GROUPS.get(group, group)}/{measure}"


def wealth_figure(trace: EpisodeTrace) -> "Figure":
    """Returns a figure of wealth against the benchmark."""
    from matplotlib.figure import Figure  # takes most of a second to import

    figure = Figure(figsize=(8, 3), layout="constrained")
    axis = figure.subplots()
    axis.plot(trace.dates, trace.wealth, label="agent")
    axis.plot(trace.dates, trace.benchmark, label="benchmark", color="0.6")
    axis.set(ylabel="wealth")
    axis.legend()
    return figure


def weights_figure(dates: DateArray, weights: FloatArray, assets: tuple[str, ...]) -> "Figure":
    """Returns the weights of cash, of the assets that are held most, and of the others together, over the days.

    Args:
        dates: ``[T]``.
        weights: ``[T, 1 + N]``, cash first.
        assets: N names.
    """
    order = np.argsort(-np.abs(weights[:, 1:]).mean(axis=0), kind="stable")
    named = order[:N_PICTURED]
    names = ["cash", *(f"{assets[k]}, {weights[:, 1 + k].mean():.0%} on average" for k in named)]
    rows = [weights[:, 0], *(weights[:, 1 + k] for k in named)]
    if len(order) > N_PICTURED:
        names.append(f"the other {len(order) - N_PICTURED} together")
        rows.append(weights[:, 1 + order[N_PICTURED:]].sum(axis=1))
    shown = np.stack(rows)
    from matplotlib.figure import Figure  # takes most of a second to import

    figure = Figure(figsize=(10, 1.2 + 0.28 * len(rows)), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(shown, aspect="auto", interpolation="nearest", vmin=min(0.0, shown.min()), vmax=shown.max())
    axis.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])  # a dollar would begin a formula
    ticks = np.unique(np.linspace(0, len(dates) - 1, N_TICKS).astype(int))
    axis.set_xticks(ticks, [str(dates[k]) for k in ticks])
    figure.colorbar(image, label="weight", format="{x:.0%}")
    return figure
