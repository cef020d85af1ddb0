"""Rendering: wealth against the benchmark, weights over time and drawdown, drawn with matplotlib."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from envs.tape import Tape
from market.arrays import FloatArray

Image = npt.NDArray[np.uint8]

SIZE = (8.0, 6.0)  # inches
DPI = 80
LARGEST = 8  # assets with a colour of their own


class EpisodeHistory:
    """History of an episode since its reset, as far as it is drawn.

    Attributes:
        dates: Days of the closes.
        wealth: Wealth at each, 1 at the reset.
        benchmark: The tape's benchmark over the same days.
        weights: Weights after each day's trade, cash first.
    """

    def __init__(self, tape: Tape, day: int, info: dict[str, Any]) -> None:
        self._tape, self._day = tape, day
        self.assets = tape.assets
        self.dates, self.wealth = [info["date"]], [info["wealth"]]
        self.benchmark, self.weights = [1.0], [info["weights"]]

    def add(self, info: dict[str, Any]) -> None:
        """Appends the step that `info` describes."""
        self.benchmark.append(self.benchmark[-1] * (1.0 + float(self._tape.benchmark[self._day])))
        self._day += 1
        self.dates.append(info["date"])
        self.wealth.append(info["wealth"])
        self.weights.append(info["weights"])


class Canvas:
    """Draws a record, into an image or into a window.

    The image is drawn by matplotlib's Agg canvas without touching its global state; only the window uses pyplot.
    """

    def __init__(self, mode: str) -> None:
        self._window: Any = None
        self._figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained") if mode == "rgb_array" else None

    def image(self, record: EpisodeHistory) -> Image:
        """Returns the drawing as ``[height, width, 3]`` uint8."""
        figure = self._figure if self._figure is not None else Figure(figsize=SIZE, dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure, record)
        canvas.draw()  # type: ignore[no-untyped-call]
        return np.array(canvas.buffer_rgba())[:, :, :3]  # type: ignore[no-untyped-call]

    def show(self, record: EpisodeHistory) -> None:
        """Draws into a window, which opens on the first call where there is a display."""
        from matplotlib import pyplot

        if self._window is None:
            self._window = pyplot.figure(figsize=SIZE, dpi=DPI, layout="constrained")
            if pyplot.isinteractive() or pyplot.get_backend().lower() != "agg":
                self._window.show()
        draw(self._window, record)
        self._window.canvas.draw()
        self._window.canvas.flush_events()

    def close(self) -> None:
        """Closes the window, if one is open."""
        if self._window is not None:
            from matplotlib import pyplot

            pyplot.close(self._window)
            self._window = None


def draw(figure: Any, record: EpisodeHistory) -> None:
    """Draws three panels on `figure`: wealth and benchmark, weights, drawdown."""
    figure.clear()
    top, middle, bottom = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": (3, 2, 1)})
    days = np.arange(len(record.dates))
    wealth = np.array(record.wealth)
    top.plot(days, wealth, label="wealth")
    top.plot(days, record.benchmark, label="benchmark", color="grey", linewidth=1)
    top.set_ylabel("wealth")
    top.legend(loc="upper left")
    top.set_title(f"{record.dates[0]} to {record.dates[-1]}   wealth {wealth[-1]:.4f}")
    _draw_weights(middle, days, np.array(record.weights), record.assets)
    bottom.fill_between(days, wealth / np.maximum.accumulate(wealth) - 1.0, color="tab:red", alpha=0.5)
    bottom.set_ylabel("drawdown")
    bottom.set_xlabel("days")


def _draw_weights(axes: Any, days: npt.NDArray[Any], weights: FloatArray, assets: tuple[str, ...]) -> None:
    """Draws cash, the assets with the largest average size by name, and the sum of the others."""
    order = np.argsort(-np.abs(weights[:, 1:]).mean(axis=0), kind="stable")
    named = order[:LARGEST]
    others = weights[:, 1:].sum(axis=1) - weights[:, 1 + named].sum(axis=1)
    rows = [weights[:, 0], *(weights[:, 1 + n] for n in named)]
    labels = ["cash", *(assets[n] for n in named)]
    if len(order) > LARGEST:
        rows, labels = [*rows, others], [*labels, "others"]
    base = np.zeros((2, len(days)))  # longs are stacked upwards, shorts downwards
    for row, label in zip(rows, labels, strict=True):
        low = np.where(row >= 0, base[0], base[1])
        axes.fill_between(days, low, low + row, label=label, step="post", linewidth=0)
        base[0] += np.maximum(row, 0.0)
        base[1] += np.minimum(row, 0.0)
    axes.set_ylabel("weights")
    axes.legend(loc="upper left", fontsize="x-small", ncols=5)
