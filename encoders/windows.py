"""Windows: batches of look-backs, gathered by day from tensors that stay on the training device.

The whole panel lies in memory once, as ``[T, N, F]``. A batch is a vector of day indices; its look-backs are gathered
on the device by one indexed copy. Nothing is assembled per sample and no worker process is needed.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from market.arrays import AnyArray, AnyFloatArray, FloatArray
from market.calendar import calendar_features
from market.panel import PRICES, Panel
from market.storage import scratch
from market.storage.array_file import release_pages


class Window(NamedTuple):
    """A batch of look-backs; row ``L - 1`` is the day of the decision.

    Attributes:
        features: Scaled features, finite.
        mask: True where the asset was listed over the whole look-back.
        calendar: Calendar features of the days.
        prices: Prices relative to the window's last close, ``P`` of them (open, high, low, close; close alone where
            there is nothing else); the target of reconstruction. Zero where nothing was observed.
        forward_return: The label, NaN where unknown; for training losses only.
        day: Row of the decision in the panel.
    """

    features: Float[Tensor, "B L N F"]
    mask: Bool[Tensor, "B N"]
    calendar: Float[Tensor, "B L c"]
    prices: Float[Tensor, "B L N P"]
    forward_return: Float[Tensor, "B N"]
    day: Int[Tensor, " B"]


@dataclass(frozen=True)
class InputShape:
    """Sizes of an encoder's input: look-back days, features, calendar features, prices and (at training) assets."""

    lookback: int
    n_features: int
    n_calendar: int
    n_prices: int
    n_assets: int

    def check_lookback(self, lookback: int) -> None:
        """Refuses windows of another length than an encoder's look-back."""
        if self.lookback != lookback:
            raise ValueError(f"windows hold {self.lookback} days, the encoder's lookback is {lookback}; use one")


@dataclass(frozen=True, eq=False)
class WindowStore:
    """All days of a panel as resident tensors, from which windows are gathered.

    `gather(days)` of any days equals stacking the windows of each day alone (tested), whatever their order.
    """

    features: Float[Tensor, "T N F"]
    calendar: Float[Tensor, "T c"]
    prices: Float[Tensor, "T N P"]
    listed: Bool[Tensor, "T N"]
    forward_return: Float[Tensor, "T N"]
    lookback: int
    mapped: AnyArray | None = None
    """The features once more, where they lie in a file, whose pages are let go of after each batch."""

    @staticmethod
    def from_panel(panel: Panel, features: Panel, label: FloatArray | None, lookback: int) -> "WindowStore":
        """Puts a panel, its scaled features and its labels side by side.

        Args:
            panel: Prices; supplies masks, calendar and the reconstruction target.
            features: Scaled features of the same days and assets, finite.
            label: ``[T, N]``, NaN where unknown; None where there is nothing to learn.
            lookback: Days in a window.

        Raises:
            ValueError: Days or assets differ, a feature is not finite, or the panel is shorter than the look-back.
        """
        if len(panel) < lookback:
            raise ValueError(f"panel has {len(panel)} days, fewer than the look-back of {lookback}; use a longer panel")
        if features.shape[:2] != panel.shape[:2] or not np.array_equal(features.dates, panel.dates):
            raise ValueError(f"features cover {features.shape[:2]} days x assets, the panel {panel.shape[:2]}")
        _refuse_non_finite(features)
        unknown = np.full(panel.shape[:2], np.nan) if label is None else label
        values = np.asarray(features.values, dtype=np.float32)
        return WindowStore(
            features=torch.from_numpy(values),
            calendar=torch.from_numpy(calendar_features(panel.dates)),
            prices=torch.from_numpy(_prices(panel)),
            listed=torch.from_numpy(np.array(panel.listed)),
            forward_return=torch.from_numpy(np.asarray(unknown, dtype=np.float32)),
            lookback=lookback,
            mapped=values if values.nbytes >= scratch.LARGE else None,
        )

    def feature_array(self) -> AnyArray:
        """Returns the features as an array ``[T, N, F]``, in the same memory where they are on the host."""
        return self.features.cpu().numpy() if self.mapped is None else self.mapped

    @property
    def shape(self) -> InputShape:
        """The shape an encoder must be built for."""
        return InputShape(
            lookback=self.lookback,
            n_features=self.features.shape[2],
            n_calendar=self.calendar.shape[1],
            n_prices=self.prices.shape[2],
            n_assets=self.features.shape[1],
        )

    def to(self, device: torch.device | str) -> "WindowStore":
        """Returns the store on another device."""
        names = ("features", "calendar", "prices", "listed", "forward_return")
        found = replace(self, **{name: getattr(self, name).to(device) for name in names})
        return found if found.features.device == self.features.device else replace(found, mapped=None)

    def until(self, stop: int, labelled: int) -> "WindowStore":
        """Returns the store of the rows before `stop`, with no label from row `labelled` on.

        Labels, prices and masks are copies, so that what comes after cannot be reached from them; the features, by far
        the largest, share memory.
        """
        label = self.forward_return[:stop].clone()
        label[labelled:] = torch.nan
        names = ("calendar", "prices", "listed")
        copies = {name: getattr(self, name)[:stop].clone() for name in names}
        mapped = None if self.mapped is None else self.mapped[:stop]
        return replace(self, features=self.features[:stop], forward_return=label, mapped=mapped, **copies)

    def workspace(self, batch: int) -> Float[Tensor, " n"]:
        """Returns memory for the features of `batch` windows, for loops that are done with one before the next.

        A batch is tens of megabytes; asking the system for fresh pages each time takes eight times as long as copying.
        """
        return torch.empty(batch * self.lookback * self.features[0].numel(), device=self.features.device)

    def mask(self, days: Int[Tensor, " B"]) -> Bool[Tensor, "B N"]:
        """Returns which assets were listed over the whole look-back of each day."""
        return self.listed[self._rows(days.to(self.listed.device))].all(dim=1)

    def gather(self, days: Int[Tensor, " B"], workspace: Float[Tensor, " n"] | None = None) -> Window:
        """Returns the windows that end on `days`; each must have a whole look-back behind it.

        With a `workspace` the features lie in it, until it is gathered into again.
        """
        days = days.to(self.features.device)
        if int(days.min()) < self.lookback - 1:
            raise ValueError(
                f"day {int(days.min())} has no look-back of {self.lookback} days; start at {self.lookback - 1}"
            )
        rows = self._rows(days)
        features = self.features[rows] if workspace is None else self._features_in(workspace, rows)
        if self.mapped is not None:
            release_pages(self.mapped)
        close = self.prices[days][:, None, :, -1:]  # the last field of every panel of prices is the close
        prices = torch.nan_to_num(self.prices[rows] / close - 1.0, posinf=0.0, neginf=0.0)
        return Window(
            features=features,
            mask=self.listed[rows].all(dim=1),
            calendar=self.calendar[rows],
            prices=prices,
            forward_return=self.forward_return[days],
            day=days,
        )

    def _rows(self, days: Int[Tensor, " B"]) -> Int[Tensor, "B L"]:
        return days[:, None] + torch.arange(1 - self.lookback, 1, device=days.device)

    def _features_in(self, workspace: Float[Tensor, " n"], rows: Int[Tensor, "B L"]) -> Float[Tensor, "B L N F"]:
        room = workspace[: rows.numel() * self.features[0].numel()].view(-1, *self.features.shape[1:])
        torch.index_select(self.features, 0, rows.flatten(), out=room)
        return room.view(*rows.shape, *self.features.shape[1:])


def _prices(panel: Panel) -> AnyFloatArray:
    names = [name for name in PRICES if name in panel]
    if "close" not in names:
        raise ValueError(f"panel has no field 'close' among {', '.join(panel.fields)}; an encoder needs one")
    return np.stack([panel[name] for name in names], axis=-1).astype(np.float32)


def _refuse_non_finite(features: Panel) -> None:
    for rows in scratch.day_blocks(features.values):
        wrong = ~np.isfinite(features.values[rows])
        if wrong.any():
            day, asset, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"feature {features.fields[column]} of {features.assets[asset]} is not finite on "
                f"{features.dates[rows.start + day]}; scale the features first (market.scaling fills what is missing)"
            )
