"""The conformance suite passes a right encoder and fails each of its wrong twins."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from encoders.base import Encoder, Encoding, Forecast, Inference, State
from encoders.common.layers import masked_mean
from encoders.data import prepare
from encoders.testing import check_encoder, checks
from encoders.testing.windows import inputs, make_window, trained
from encoders.windows import InputShape, Window
from market.features import Formulas
from market.features.table import Feature
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.scalers import RobustZScore
from market.sources.synthetic.source import Synthetic
from market.splits import Split
from pipeline.first_pass import run_new_encoder
from tests.encoders.conformance import SetConformance


class Plain(Encoder):
    """The last day through a small network, beside the mean of the listed assets; each method is what can be wrong."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2 * shape.n_features, 64), nn.Tanh())
        self.head = nn.Linear(64, 1)
        self.market = nn.Linear(shape.n_features + shape.n_calendar, 4)
        self.register_buffer("steps", torch.zeros(()))

    @property
    def codebook_sizes(self) -> dict[str, int]:
        return {}

    def context(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x.where(mask[..., None], 0.0)
        return x.sum(1, keepdim=True) / mask.sum(1).clamp(min=1)[:, None, None]

    def asset(self, x: Tensor, mask: Tensor) -> Tensor:
        both = torch.cat([x, self.context(x, mask).expand_as(x)], -1)
        return self.inner(both).where(mask[..., None], 0.0)

    def mean(self, asset: Tensor, market: Tensor, mask: Tensor) -> Tensor:
        return (self.head(asset)[..., 0] + market.mean(-1, keepdim=True)).where(mask, torch.nan)

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        x = features[:, -1]
        asset = self.asset(x, mask)
        market = self.market(torch.cat([self.context(x, mask)[:, 0], calendar[:, -1]], -1))
        mean = self.mean(asset, market, mask)
        return Inference(State(asset, market, None), Forecast(mean, torch.ones_like(mean).where(mask, torch.nan)), {})

    def error(self, forecast: Tensor, window: Window) -> Tensor:
        known = window.mask & window.forward_return.isfinite()
        label = 50 * window.forward_return.where(known, 0.0)
        return masked_mean((forecast.where(known, 0.0) - label).square(), known)

    def forward(self, window: Window) -> Encoding:
        if self.training:
            self.steps += 1
        forecast = self.infer(*inputs(window)).forecast
        loss = self.error(forecast.mean, window)
        return Encoding(loss, {"error": loss.detach()}, Forecast(forecast.mean.detach(), forecast.std), {}, None)


class AttendsAcrossBatch(Plain):
    def context(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().context(x, mask) + super().context(x, mask).mean(0, keepdim=True)


class IgnoresMask(Plain):
    def context(self, x: Tensor, mask: Tensor) -> Tensor:
        return x.mean(1, keepdim=True)


class CountsMasked(Plain):
    def context(self, x: Tensor, mask: Tensor) -> Tensor:
        return x.where(mask[..., None], 0.0).mean(1, keepdim=True)


class MaskedStateLeft(Plain):
    def asset(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.inner(torch.cat([x, self.context(x, mask).expand_as(x)], -1))


class LossOnMasked(Plain):
    def error(self, forecast: Tensor, window: Window) -> Tensor:
        return (
            super().error(forecast, window) + 0.01 * window.features[:, -1].square().mean() * self.head.bias.sum() ** 2
        )


class KnowsPositions(Plain):
    def context(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().context(x, mask) + torch.arange(x.shape[1])[:, None] * 0.1

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        return super().infer(features, mask, calendar)


class LearnsFromLabel(Plain):
    def forward(self, window: Window) -> Encoding:
        encoding = super().forward(window)
        mean = encoding.forecast.mean + window.forward_return.nan_to_num()
        return encoding._replace(forecast=Forecast(mean, encoding.forecast.std))


class Draws(Plain):
    def mean(self, asset: Tensor, market: Tensor, mask: Tensor) -> Tensor:
        return super().mean(asset, market, mask) + 0.01 * torch.randn(mask.shape)


class CountsCalls(Plain):
    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        self.steps += 1
        return super().infer(features, mask, calendar)


class ForgetsOnSave(Plain):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.register_buffer("hidden", torch.randn(()), persistent=False)

    def mean(self, asset: Tensor, market: Tensor, mask: Tensor) -> Tensor:
        return super().mean(asset, market, mask) + self.hidden


class TermMissing(Plain):
    def forward(self, window: Window) -> Encoding:
        encoding = super().forward(window)
        return encoding._replace(loss=encoding.loss + 0.1 * self.head.weight.square().sum())


class DeadParameter(Plain):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.unused = nn.Parameter(torch.zeros(3))


class EmptyDayIsNaN(Plain):
    def context(self, x: Tensor, mask: Tensor) -> Tensor:
        return x.where(mask[..., None], 0.0).sum(1, keepdim=True) / mask.sum(1)[:, None, None]


class SeedFree(Plain):
    draw = torch.Generator().manual_seed(1)

    def error(self, forecast: Tensor, window: Window) -> Tensor:
        return super().error(forecast, window) * torch.rand((), generator=self.draw)


class NeverLearns(Plain):
    def error(self, forecast: Tensor, window: Window) -> Tensor:
        return super().error(forecast, window) * -1.0


class SpillsTokens(Plain):
    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        return super().infer(features, mask, calendar)._replace(tokens={"raw": features})


class InfinityInTokens(Plain):
    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        plain = super().infer(features, mask, calendar)
        return plain._replace(tokens={"raw": features / 0.0}) if tokens else plain


@dataclass(frozen=True)
class Config:
    kind: type[Plain] = Plain
    lookback: int = 8

    def build(self, shape: InputShape) -> Encoder:
        return self.kind(shape)


class TestPlain(SetConformance):
    config = Config()


def overfits(encoder: Encoder, window: Window) -> None:
    checks.check_overfits(encoder, window, 80)


Check = Callable[[Encoder, Window], None]


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (AttendsAcrossBatch, checks.check_other_days_invisible),
        (IgnoresMask, checks.check_masked_values_invisible),
        (IgnoresMask, checks.check_masked_equals_removed),
        (CountsMasked, checks.check_masked_equals_removed),
        (MaskedStateLeft, checks.check_shapes),
        (LossOnMasked, checks.check_masked_values_invisible),
        (KnowsPositions, checks.check_permutation),
        (LearnsFromLabel, checks.check_labels_invisible),
        (Draws, checks.check_infer_pure),
        (CountsCalls, checks.check_infer_pure),
        (CountsCalls, checks.check_evaluation_pure),
        (TermMissing, checks.check_loss),
        (DeadParameter, checks.check_gradients),
        (EmptyDayIsNaN, checks.check_empty_day),
        (NeverLearns, overfits),
        (SpillsTokens, checks.check_shapes),
        (InfinityInTokens, checks.check_tokens),
    ],
)
def test_a_wrong_encoder_fails(wrong: type[Plain], check: Check):
    config = Config(wrong)
    torch.manual_seed(0)
    encoder = config.build(SetConformance.shape)
    window = make_window(config, SetConformance.shape)
    with pytest.raises(AssertionError):
        check(encoder, window)


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (SeedFree, checks.check_seed),
        (IgnoresMask, checks.check_masked_invisible_to_training),
    ],
)
def test_an_encoder_that_trains_wrongly_fails(
    wrong: type[Plain], check: Callable[[Callable[[], Encoder], Window], None]
):
    config = Config(wrong)
    with pytest.raises(AssertionError):
        check(lambda: config.build(SetConformance.shape), make_window(config, SetConformance.shape))


def test_what_is_not_saved_is_missed():
    config = Config(ForgetsOnSave)
    encoder = trained(config, SetConformance.shape)
    with pytest.raises(AssertionError):
        checks.check_round_trip(
            encoder, lambda: config.build(SetConformance.shape), make_window(config, SetConformance.shape)
        )


def test_one_call_checks_a_right_encoder():
    check_encoder(Config())


@pytest.mark.parametrize(
    "wrong", [AttendsAcrossBatch, IgnoresMask, KnowsPositions, LearnsFromLabel, SeedFree, NeverLearns]
)
def test_one_call_refuses_a_wrong_encoder(wrong: type[Plain]):
    with pytest.raises(AssertionError):
        check_encoder(Config(wrong))


class Misshapen(Plain):
    """Its head takes more than it is given."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.head = nn.Linear(65, 1)


class Throws(Plain):
    """Draws from every generator while it runs, and counts its calls."""

    def forward(self, window: Window) -> Encoding:
        torch.rand(3), random.random(), np.random.rand()
        return super().forward(window)


def test_a_shape_that_does_not_fit_is_one_line_with_its_place() -> None:
    told = r"^Misshapen\.forward fails on a window of shape \(B, L, N, F\) = \(6, 8, 7, 5\): RuntimeError: mat1"
    with pytest.raises(ValueError, match=told) as caught:
        check_encoder(Config(Misshapen))
    said = str(caught.value)
    assert re.search(r"\(line \d+ of tests\.encoders\.test_conformance\)$", said)
    assert "\n" not in said


def test_the_first_pass_of_a_new_encoder_leaves_every_generator_as_it_was() -> None:
    panel = Panel.from_frame(Synthetic(stocks=5, days=120).read())
    split = Split(("2010-01-04", "2010-03-31"), ("2010-04-06", "2010-04-30"), ("2010-05-05", "2010-05-31"))
    data = prepare(
        panel, Formulas((Feature("move", "close / delay(close, 1) - 1"),)), RobustZScore(), 8, Label(), split
    )

    def drawn() -> list[float]:
        torch.manual_seed(3), random.seed(3), np.random.seed(3)
        if first_pass:
            run_new_encoder(Config(Throws), data)
        return [float(torch.rand(())), random.random(), float(np.random.rand())]

    first_pass = False
    alone = drawn()
    first_pass = True
    assert drawn() == alone
