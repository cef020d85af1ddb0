"""Where an encoder loses its signal: the RankIC that a ridge finds at each place from the inputs to the forecast.

A ridge regression of the label's ranks is fitted on the train days to the inputs of the last day, to the tokens before
and after the quantiser, and to the asset's state. What it finds at one place and not at the next is lost between them.
It sees linear signal alone, so an encoder's own forecast may well be better than all of them.

Reference: Alain and Bengio (2016), Understanding intermediate layers using linear classifier probes.
https://arxiv.org/abs/1610.01644
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor

from encoders.base import Encoder, Inference, evaluating
from encoders.baselines.ridge import RegressionSums
from encoders.data import TrainingData
from encoders.windows import Window
from evaluation.prediction import daily_rank_ic
from market.arrays import FloatArray, IntArray
from market.scaling.cross_section import cross_sectional_rank

ALPHA = 0.01
"""Penalty beside the mean squared error, of representations of deviation one: it decides little."""


class ProbeResult(NamedTuple):
    """Signal at one place.

    Attributes:
        width: Numbers that an asset has there.
        rank_ic: Mean RankIC of the ridge's forecast by part; NaN where undefined.
    """

    width: int
    rank_ic: Mapping[str, float]


@dataclass(frozen=True)
class Probe:
    """How the signal is measured.

    Attributes:
        every: Train days from one that the ridge is fitted on to the next.
        batch: Days computed together.
        parts: Parts that are evaluated; test only where it has been looked at before.
    """

    every: int = 4
    batch: int = 16
    parts: tuple[str, ...] = ("valid",)

    def measure(self, encoder: Encoder, data: TrainingData) -> dict[str, ProbeResult]:
        """Returns what is found at each place, in the order of the encoder; the forecast as it is stands last."""
        train = data.train_days[:: self.every]
        scale = {name: _scale(rows) for name, rows in self._first(encoder, data, train).items()}
        moments = {name: RegressionSums(len(spread)) for name, spread in scale.items()}
        for window, places in self._walk(encoder, data, train):
            target = _target(window)
            known = target.isfinite()
            for name, value in places.items():
                moments[name].add(_centred(value / scale[name], window.mask)[known], target[known])
        solved = {name: each.solve(ALPHA)[0].float() / scale[name] for name, each in moments.items()}
        found = {part: self._judge(encoder, data, part, solved) for part in self.parts}
        widths = {name: len(coefficient) for name, coefficient in solved.items()} | {"forecast": 1}
        return {name: ProbeResult(width, {p: found[p][name] for p in self.parts}) for name, width in widths.items()}

    def _first(self, encoder: Encoder, data: TrainingData, days: IntArray) -> dict[str, Float[Tensor, "S R"]]:
        middle = days[len(days) // 2 :][: self.batch]
        window, places = next(self._walk(encoder, data, middle))
        return {name: value[window.mask] for name, value in places.items()}

    def _judge(
        self, encoder: Encoder, data: TrainingData, part: str, solved: Mapping[str, Float[Tensor, " R"]]
    ) -> dict[str, float]:
        daily: dict[str, list[FloatArray]] = {name: [] for name in (*solved, "forecast")}
        for window, places in self._walk(encoder, data, data.labelled_days(getattr(data.days, part)), forecasts=True):
            label, mask = data.returns[window.day.numpy()], window.mask.numpy()
            scores = {name: places[name] @ coefficient for name, coefficient in solved.items()}
            scores["forecast"] = places["forecast"][..., 0]
            for name, score in scores.items():
                daily[name].append(daily_rank_ic(score.double().numpy(), label, mask))
        return {name: _mean(np.concatenate(days)) for name, days in daily.items()}

    def _walk(
        self, encoder: Encoder, data: TrainingData, days: IntArray, forecasts: bool = False
    ) -> Iterator[tuple[Window, dict[str, Float[Tensor, "B N R"]]]]:
        for start in range(0, len(days), self.batch):
            window = data.store.gather(torch.from_numpy(days[start : start + self.batch]))
            with torch.no_grad(), evaluating(encoder):
                found = encoder.infer(window.features, window.mask, window.calendar, tokens=True)
            yield window, places_of(window, found, forecasts)


def places_of(window: Window, found: Inference, forecasts: bool = False) -> dict[str, Float[Tensor, "B N R"]]:
    """Returns what an asset is at each place: ``inputs``, its tokens by name, ``asset state``.

    Tokens of an asset come as they are, the last one of them and all side by side. Where both sides of a quantiser are
    kept, `[enc, quant]`, they are probed as ``before`` and ``after``. Tokens of days belong to no asset.
    """
    places = {"inputs": window.features[:, -1]}
    for name, token in found.tokens.items():
        if token.ndim != 4 or token.shape[:2] != window.mask.shape:
            continue
        sides = {"": token}
        if name != "returns":
            before, after = token.chunk(2, -1)
            sides = {" before": before, " after": after}
        for side, value in sides.items():
            places[f"{name}{side}, last"] = value[:, :, -1]
            places[f"{name}{side}, all"] = rearrange(value, "b n t d -> b n (t d)")
    places["asset state"] = found.state.asset
    if forecasts:
        places["forecast"] = rearrange(found.forecast.mean, "b n -> b n 1")
    return {name: value.float() for name, value in places.items()}


def _scale(rows: Float[Tensor, "S R"]) -> Float[Tensor, " R"]:
    spread = rows.std(0)
    return torch.where(spread > 1e-6, spread, 1.0)


def _target(window: Window) -> Float[Tensor, "B N"]:
    label = window.forward_return.where(window.mask, torch.nan)
    return torch.from_numpy(np.asarray(cross_sectional_rank(label.numpy()), dtype=np.float32))


def _centred(value: Float[Tensor, "B N R"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N R"]:
    there = rearrange(mask, "b n -> b n 1")
    value = value.where(there, 0.0)
    return value - reduce(value, "b n r -> b 1 r", "sum") / there.sum(1, keepdim=True).clamp(min=1)


def _mean(daily: FloatArray) -> float:
    known = daily[np.isfinite(daily)]
    return float(known.mean()) if len(known) else float("nan")
