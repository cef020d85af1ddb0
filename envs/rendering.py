"""Rendering: wealth against the benchmark, weights over time and drawdown, drawn with Pillow in a few milliseconds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import logger
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from envs.tape import Tape
from market.arrays import FloatArray

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

WIDTH, HEIGHT = 640, 480
"""Size of an image in pixels."""
PANELS = {"wealth": (40, 220), "weights": (276, 372), "drawdown": (398, 458)}
"""First and last row of pixels of each panel; legends stand in the space above, so they hide nothing."""
LEFT, RIGHT = 56, 628
LARGEST = 8  # assets with a colour of their own
INK, QUIET, GRID = (29, 37, 48), (110, 118, 128), (226, 229, 233)
COLOURS = (
    (205, 209, 214), (47, 116, 192), (200, 85, 61), (63, 145, 92), (130, 94, 176), (196, 148, 44), (72, 168, 176),
    (176, 84, 138), (118, 132, 56), (94, 104, 116),
)  # fmt: skip
"""Of cash, of the assets with the largest weights, and of the others."""


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
    """Draws a record, into an image or into a window. Only the window uses matplotlib's pyplot."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._window: Any = None
        self._shown: Any = None

    def image(self, record: EpisodeHistory) -> Image:
        """Returns the drawing as ``[height, width, 3]`` uint8."""
        return np.array(draw(record))

    def show(self, record: EpisodeHistory) -> None:
        """Shows the drawing in a window, which opens on the first call; without a display a warning says so once."""
        from matplotlib import pyplot

        if self._window is None:
            self._window = pyplot.figure(figsize=(WIDTH / 80, HEIGHT / 80), dpi=80)
            axes = self._window.add_axes((0, 0, 1, 1))
            axes.set_axis_off()
            self._shown = axes.imshow(self.image(record))
            if pyplot.isinteractive() or pyplot.get_backend().lower() != "agg":
                self._window.show()
            else:
                logger.warn("render_mode 'human' finds no display; render_mode='rgb_array' gives images")
        self._shown.set_data(self.image(record))
        self._window.canvas.draw()
        self._window.canvas.flush_events()

    def close(self) -> None:
        """Closes the window, if one is open."""
        if self._window is not None:
            from matplotlib import pyplot

            pyplot.close(self._window)
            self._window = None


class Frame(NamedTuple):
    """A panel of the drawing: its rows of pixels, the number of days across, and the values at its edges."""

    top: int
    bottom: int
    days: int
    low: float
    high: float

    def across(self, days: FloatArray) -> FloatArray:
        """Returns the columns of pixels of some days."""
        found: FloatArray = LEFT + days * ((RIGHT - LEFT) / max(self.days, 1))
        return found

    def down(self, values: FloatArray) -> FloatArray:
        """Returns the rows of pixels of some values."""
        span = max(self.high - self.low, 1e-12)
        found: FloatArray = self.bottom - (values - self.low) * ((self.bottom - self.top) / span)
        return found


def draw(record: EpisodeHistory) -> Picture.Image:
    """Returns a drawing of three panels: wealth and benchmark, weights, drawdown."""
    picture = Picture.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    wealth, benchmark = np.array(record.wealth), np.array(record.benchmark)
    days = len(wealth) - 1
    pen.text((LEFT, 6), f"{record.dates[0]} to {record.dates[-1]}   wealth {wealth[-1]:.4f}", INK, _font(13))
    both = np.concatenate([wealth, benchmark])
    frame = _panel(pen, "wealth", days, float(both.min()), float(both.max()))
    _line(pen, frame, benchmark, COLOURS[-1])
    _line(pen, frame, wealth, COLOURS[1])
    _legend(pen, 24, ["wealth", "benchmark"], [COLOURS[1], COLOURS[-1]])
    _draw_weights(picture, days, np.array(record.weights), record.assets)
    fall = wealth / np.maximum.accumulate(wealth) - 1.0
    frame = _panel(pen, "drawdown", days, min(float(fall.min()), -1e-3), 0.0)
    _areas(picture, frame, [(fall, np.zeros_like(fall), COLOURS[2])])
    pen.text((LEFT, 462), "days", QUIET, _font(11))
    pen.text((RIGHT, 462), f"{days}", QUIET, _font(11), anchor="ra")
    return picture


def stacked_weights(weights: FloatArray, assets: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Returns names and weights ``[K, T]`` of cash, of the assets with the largest average size, and of the others."""
    order = np.argsort(-np.abs(weights[:, 1:]).mean(axis=0), kind="stable")
    named = order[:LARGEST]
    rows, names = [weights[:, 0], *(weights[:, 1 + n] for n in named)], ["cash", *(assets[n] for n in named)]
    if len(order) > LARGEST:
        rows.append(weights[:, 1:].sum(axis=1) - weights[:, 1 + named].sum(axis=1))
        names.append("others")
    return names, np.stack(rows)


def _draw_weights(picture: Picture.Image, days: int, weights: FloatArray, assets: Sequence[str]) -> None:
    """Stacks longs upwards and shorts downwards."""
    pen = ImageDraw.Draw(picture)
    names, rows = stacked_weights(weights, assets)
    up, down = np.maximum(rows, 0.0).sum(axis=0), np.minimum(rows, 0.0).sum(axis=0)
    frame = _panel(pen, "weights", days, float(down.min()), max(float(up.max()), 1e-3))
    base = np.zeros((2, weights.shape[0]))
    areas = []
    for row, colour in zip(rows, COLOURS, strict=False):
        start = np.where(row >= 0, base[0], base[1])
        areas.append((np.minimum(start, start + row), np.maximum(start, start + row), colour))
        base[0] += np.maximum(row, 0.0)
        base[1] += np.minimum(row, 0.0)
    _areas(picture, frame, areas)
    _legend(pen, 238, names, list(COLOURS[: len(names)]))


def _panel(pen: ImageDraw.ImageDraw, name: str, days: int, low: float, high: float) -> Frame:
    """Draws the frame of a panel, with its name and the values at its edges, and returns it."""
    top, bottom = PANELS[name]
    pad = 0.0 if name != "wealth" else 0.04 * max(high - low, 1e-3)
    frame = Frame(top, bottom, days, low - pad, high + pad)
    for value in (low, (low + high) / 2, high):
        row = float(frame.down(np.array(value)))
        pen.line((LEFT, row, RIGHT, row), GRID)
        pen.text((LEFT - 6, row), f"{value:.3g}", QUIET, _font(11), anchor="rm")
    pen.text((4, top - 16), name, INK, _font(11))
    return frame


def _line(pen: ImageDraw.ImageDraw, frame: Frame, values: FloatArray, colour: Colour) -> None:
    points = np.stack([frame.across(np.arange(len(values), dtype=np.float64)), frame.down(values)], axis=1)
    if len(points) > 1:
        pen.line(points.ravel().tolist(), colour, width=2)


def _areas(picture: Picture.Image, frame: Frame, areas: Sequence[tuple[FloatArray, FloatArray, Colour]]) -> None:
    """Fills between pairs of series, each value held until the next day."""
    columns = np.arange(RIGHT - LEFT)
    days = np.minimum(columns * max(frame.days, 1) // (RIGHT - LEFT), frame.days)
    rows = np.arange(frame.top, frame.bottom + 1)[:, None] + 0.5
    pixels = np.array(picture.crop((LEFT, frame.top, RIGHT, frame.bottom + 1)))
    for low, high, colour in areas:
        pixels[(rows > frame.down(high)[days]) & (rows < frame.down(low)[days])] = colour
    picture.paste(Picture.fromarray(pixels), (LEFT, frame.top))


def _legend(pen: ImageDraw.ImageDraw, row: int, names: Sequence[str], colours: Sequence[Colour]) -> None:
    """Writes names beside squares of their colours, in as many lines as they need."""
    column = LEFT
    for name, colour in zip(names, colours, strict=True):
        word = name if len(name) <= 14 else f"{name[:13]}…"
        width = 16 + int(pen.textlength(word, _font(11))) + 12
        if column + width > RIGHT:
            column, row = LEFT, row + 14
        pen.rectangle((column, row + 2, column + 9, row + 11), fill=colour)
        pen.text((column + 14, row), word, INK, _font(11))
        column += width


_FONTS: dict[int, Any] = {}


def _font(size: int) -> Any:
    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)
    return _FONTS[size]
