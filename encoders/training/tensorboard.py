"""Display of a run: TensorBoard curves and figures, and a progress bar. Learning does not depend on it.

Curves stand in numbered groups, those that matter most first, which say what days they are of: ``(train)`` is measured
while learning, ``(valid)`` on the days that choose the checkpoint, a result once, at the very end. Those of agents are
named alike (`agents.training.tensorboard`).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from encoders.base import Encoder
from encoders.quantizers import Quantizer
from encoders.training.validation import Losses
from encoders.windows import Window
from market.curves import NO_CURVES, CurveLog
from market.heartbeat import Heartbeat
from market.panel import Panel
from market.pictures import Pictures
from market.storage.flatten import choices, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORECAST, RECONSTRUCTION, OPTIMISER = (
    "encoder 2 forecast (valid)",
    "encoder 6 reconstruction (valid)",
    "encoder 7 optimiser",
)
TRAIN_LOSS, RESULT = "encoder 1 loss (train)", {"valid": "encoder 8 result (valid)", "test": "encoder 9 result (test)"}
PARTS = {
    "codebooks": "encoder 3 codebooks (valid)",
    "loss": "encoder 4 loss (valid)",
    "portfolio": "encoder 5 portfolio (valid)",
}
"""Groups of the measures of the valid days besides those of the forecast."""

RESULTS = ("ic", "icir", "rank_ic", "rank_icir", "usage", "perplexity", "sharpe", "annual_return", "max_drawdown")
"""Measures by which finished runs are compared."""

N_PICTURED = 3  # assets in the reconstruction figure


class PretrainLogger:
    """Writes curves under `directory` and shows progress on standard error; does neither where it is not `active`.

    The bar is silent where standard error is not a terminal. A run that continues after `step` steps keeps what was
    shown until then, and overwrites what an interrupted one had shown of later steps. `curves` gets every point too;
    `panel` names the days and assets of reconstructions, which are numbered without one.
    """

    def __init__(
        self,
        directory: Path,
        n_steps: int,
        step: int,
        active: bool,
        curves: CurveLog = NO_CURVES,
        panel: Panel | None = None,
    ) -> None:
        self._panel, self._pictures = panel, Pictures()
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not (active and console.is_terminal))
        self._task = self._bar.add_task("pretraining", total=n_steps, completed=step)
        self._heartbeat = Heartbeat("pretraining", n_steps, step, active=active and not console.is_terminal)
        self._writer = SummaryWriter(str(directory), purge_step=step + 1 if step else 0) if active else None
        self._curves, self._step = curves, step

    def __enter__(self) -> "PretrainLogger":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._writer is not None:
            if kind is None:
                self._pictures.finish()
            self._writer.close()

    def step(self, step: int, terms: Mapping[str, float], rate: float, norm: float) -> None:
        """Records the loss and its terms after optimiser step `step`, the learning rate and the gradient's norm."""
        self._bar.update(self._task, completed=step, description=f"loss {terms['total']:.4g}")
        self._heartbeat.beat(step)
        losses = {f"{TRAIN_LOSS}/{name}": value for name, value in terms.items()}
        self._scalars({**losses, f"{OPTIMISER}/learning_rate": rate, f"{OPTIMISER}/gradient_norm": norm}, step)

    def epoch(self, step: int, entry: Mapping[str, Any], losses: Losses, encoder: Encoder) -> None:
        """Records the measures of an epoch and, now and then, draws the reconstruction; keeps the codebooks."""
        self._scalars(grouped(entry["valid"]), step)
        if self._writer is None:
            return
        if losses.example is not None:
            self._pictures.offer(partial(self._draw, step, *losses.example))
        for name, vectors in code_vectors(encoder).items():
            self._writer.add_embedding(vectors, tag=name, global_step=step)

    def finish(self, settings: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
        """Records the settings of the run beside its final measures."""
        if self._writer is None:
            return
        scores = {
            f"{group}/{titled(name)}": value
            for part, group in RESULT.items()
            for name, value in numbers(metrics.get(part, {})).items()
            if name.rpartition("/")[2] in RESULTS and not name.startswith("per_year")
        }
        self._writer.add_hparams(choices(settings), scores, run_name=".")
        for part, group in RESULT.items():
            if metrics.get(part, {}).get("per_year"):
                self._writer.add_text(f"{group}/by year", yearly_table(metrics[part]["per_year"]))
        self._curves.settings(choices(settings))
        self._curves.log(scores, self._step)

    def _draw(self, step: int, window: Window, rebuilt: Tensor) -> None:
        if self._writer is not None:
            figure = reconstruction_figure(window, rebuilt, self._panel)
            self._writer.add_figure(f"{RECONSTRUCTION}/windows", figure, step)

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        self._step = step
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            self._curves.log(values, step)


def grouped(measures: Mapping[str, Any]) -> dict[str, float]:
    """Returns the measures of the valid days under the groups of curves: those of the forecast stand by themselves."""
    curves = {}
    for name, value in numbers(measures).items():
        part = name.partition("/")[0]
        curves[f"{PARTS.get(part, FORECAST)}/{titled(name)}"] = float(value)
    return curves


def titled(name: str) -> str:
    """Returns the title of a measure, without its part: ``codebooks/market/usage`` becomes ``market usage``."""
    part, _, rest = name.partition("/")
    return (rest if part in PARTS else name).replace("/", " ")


def code_vectors(encoder: Encoder) -> dict[str, Tensor]:
    """Returns the vectors of all codes of each quantiser that has any, ``[C, d]``."""
    parts = {name: part for name, part in encoder.named_modules() if isinstance(part, Quantizer)}
    quantizers = {name: part for name, part in parts.items() if part.codebook_size}
    with torch.no_grad():
        device = next(iter((*encoder.parameters(), *encoder.buffers()))).device
        return {
            name: part.lookup(torch.arange(part.codebook_size, device=device)).cpu()
            for name, part in quantizers.items()
        }


def yearly_table(years: Sequence[Mapping[str, Any]]) -> str:
    """Returns the measures of each calendar year as a table in Markdown, which TensorBoard shows under TEXT."""
    flat = {one["year"]: {name: value for name, value in numbers(one).items() if name != "year"} for one in years}
    names = list(dict.fromkeys(name for measures in flat.values() for name in measures))
    head = f"| year | {' | '.join(names)} |\n|---|{'---:|' * len(names)}"
    rows = [
        f"| {year} | {' | '.join(f'{measures[name]:.4g}' if name in measures else '–' for name in names)} |"
        for year, measures in flat.items()
    ]
    return "\n".join([head, *rows])


def reconstruction_figure(window: Window, rebuilt: Tensor, panel: Panel | None = None) -> "Figure":
    """Returns a figure of the closes of the first day's window beside the rebuilt ones, for a few of its assets.

    A panel names the assets and the last day of the window.
    """
    shown = window.mask[0].nonzero()[:N_PICTURED, 0]
    from matplotlib.figure import Figure  # takes most of a second to import

    figure = Figure(figsize=(4 * N_PICTURED, 3), layout="tight")
    axes = figure.subplots(1, N_PICTURED, squeeze=False)[0]
    for axis, asset in zip(axes, shown.tolist(), strict=False):
        axis.plot(window.prices[0, :, asset, -1].cpu().numpy(), label="close")
        axis.plot(rebuilt[0, :, asset, -1].float().cpu().numpy(), label="rebuilt")
        name = f"asset {asset}" if panel is None else panel.assets[asset].replace("$", r"\$")
        until = "" if panel is None else f", window to {panel.dates[int(window.day[0])]}"
        axis.set(title=f"{name}{until}", xlabel="day of the window", ylabel="relative to the last close")
        axis.legend()
    return figure
