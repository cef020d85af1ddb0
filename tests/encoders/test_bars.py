"""Bars of 60 days as a sequence, in each encoder that reads them, and the gated head of STORM."""

from dataclasses import replace

import pytest
import torch

from encoders.bars import BarHistory
from encoders.base import EncoderConfig
from encoders.baselines.gru import GRU
from encoders.factor_vae import FactorVAE
from encoders.quantizers import Continuous, Learnable, Residual
from encoders.storm.head import GatedHead
from encoders.storm.model import Storm
from encoders.testing.windows import inputs, make_window, trained
from encoders.windows import InputShape, Window
from market.features.alpha360 import Alpha360
from tests.encoders.conformance import SetConformance
from tests.encoders.test_storm import TINY, Planted

BARS = BarHistory(hidden=8, patch=20)
N_BARS = len(BARS.columns)
SHAPE = replace(SetConformance.shape, n_features=5 + N_BARS)
STORM = replace(TINY, head=GatedHead(hidden=8), bars=BARS)
CONFIGS: dict[str, EncoderConfig] = {
    "gru": GRU(lookback=8, hidden=16, bars=BARS),
    "factor_vae": FactorVAE(lookback=8, hidden=16, portfolios=8, factors=4, rank=1.0, bars=BARS),
    "storm": STORM,
}


class TestGRU(SetConformance):
    config = CONFIGS["gru"]
    shape = SHAPE


class TestFactorVAE(SetConformance):
    config = replace(CONFIGS["factor_vae"], pairwise=0.3, listwise=0.3)
    shape = SHAPE


class TestStorm(SetConformance):
    config = STORM
    shape = SHAPE


class TestStormResidual(SetConformance):
    config = replace(TINY, quantizer=Residual(2, Learnable(codebook_size=4)), head=GatedHead(hidden=8))


def test_the_columns_are_those_of_alpha360_in_its_order() -> None:
    assert BARS.columns == tuple(entry.name for entry in Alpha360().table())
    without = tuple(entry.name for entry in Alpha360().table() if not entry.name.startswith("VWAP"))
    assert replace(BARS, vwap=False).columns == without


def test_features_that_end_in_other_columns_are_refused() -> None:
    BARS.refuse_other_columns(("ROC5", *BARS.columns))
    with pytest.raises(ValueError, match="features have CLOSE1 where CLOSE59 should be; end them with Alpha360"):
        BARS.refuse_other_columns(tuple(reversed(BARS.columns[:60]))[1:2] + BARS.columns[1:])
    with pytest.raises(ValueError, match=r"where CLOSE59 should be.*encoder\.bars\.vwap"):
        BARS.refuse_other_columns(("ROC5", *replace(BARS, vwap=False).columns))


def test_a_patch_that_does_not_divide_the_days_is_refused() -> None:
    with pytest.raises(ValueError, match="patch is 7 days, expected a divisor of 60"):
        BarHistory(patch=7)


def test_bars_without_a_head_to_read_them_are_refused() -> None:
    with pytest.raises(ValueError, match="bars are read by the head"):
        replace(STORM, head=None).build(SHAPE)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_bars_of_the_last_day_alone_are_read(config: EncoderConfig) -> None:
    encoder, window = trained(config, SHAPE), make_window(config, SHAPE)
    features = window.features.clone()
    features[:, :-1, :, -N_BARS:] = 7.0
    before, after = (encoder.infer(x, window.mask, window.calendar) for x in (window.features, features))
    assert before.state.asset.equal(after.state.asset)
    features = window.features.clone()
    features[:, -1, :, -N_BARS:] += 1.0
    moved = encoder.infer(features, window.mask, window.calendar).state.asset
    assert not torch.allclose(before.state.asset, moved)


def test_tokens_of_storm_do_not_see_the_bars() -> None:
    encoder, window = trained(STORM, SHAPE), make_window(STORM, SHAPE)
    features = window.features.clone()
    features[..., -N_BARS:] += 1.0
    one, other = (encoder.infer(x, *inputs(window)[1:], tokens=True) for x in (window.features, features))
    assert all(one.tokens[name].equal(other.tokens[name]) for name in one.tokens)


def test_a_head_changes_no_number_by_more_than_its_bound() -> None:
    config = replace(TINY, head=GatedHead(hidden=8, bound=0.1))
    encoder, window = trained(config, SetConformance.shape), make_window(config, SetConformance.shape)
    for layer in (encoder.head.out, encoder.head.gate):
        torch.nn.init.normal_(layer.weight, std=10.0)
    with_head = encoder.infer(*inputs(window)).state.asset
    encoder.head = None
    without = encoder.infer(*inputs(window)).state.asset
    change = (with_head - without).abs().max()
    assert 0.05 < change <= 0.1 + 1e-6


class PlantedBars(Planted):
    """The planted market, whose signal stands in today's close of the bars alone."""

    def gather(self, days: torch.Tensor) -> Window:
        window = super().gather(days)
        bars = torch.zeros(*window.features.shape[:3], N_BARS)
        bars[..., 59] = window.features[..., 0]  # CLOSE0
        own = window.features.clone()
        own[..., 0] = 0.0
        return window._replace(features=torch.cat([own, bars], -1))


def rank_ic_of(config: EncoderConfig, market: Planted, n_features: int) -> tuple[float, float]:
    torch.manual_seed(0)
    encoder = config.build(InputShape(lookback=8, n_features=n_features, n_calendar=3, n_prices=1, n_assets=16))
    optimizer = torch.optim.AdamW(encoder.parameter_groups(3e-3, 0.05))
    for _ in range(6):
        for days in (torch.randperm(market.n_train) + 7).split(20):
            optimizer.zero_grad()
            encoder(market.gather(days)).loss.backward()
            optimizer.step()
    days = torch.arange(market.n_test) + market.n_train + 8
    with torch.no_grad():
        forecast = encoder.eval()(market.gather(days)).forecast.mean
    return market.rank_ic(forecast, days), market.rank_ic(market.oracle[days], days)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_signal_that_is_planted_in_the_bars_is_found(config: EncoderConfig) -> None:
    found, oracle = rank_ic_of(config, PlantedBars(), 4 + N_BARS)
    assert oracle > 0.2
    assert found > 0.9 * oracle


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_shuffled_returns_teach_the_bars_nothing(config: EncoderConfig) -> None:
    found, _ = rank_ic_of(config, PlantedBars(shuffled=True), 4 + N_BARS)
    assert abs(found) < 3 / (Planted.n_test * (Planted.n_assets - 1)) ** 0.5


NEW: dict[str, Storm | FactorVAE] = {
    "residual codes": replace(TINY, quantizer=Residual(2, Learnable(codebook_size=8))),
    "gated head": replace(TINY, head=GatedHead(hidden=16)),
    "continuous twin with a head": replace(TINY, quantizer=Continuous(), head=GatedHead(hidden=16)),
    "blended ranks": FactorVAE(lookback=8, hidden=32, portfolios=12, factors=8, rank=0.5, pairwise=0.5, listwise=0.5),
}


@pytest.mark.parametrize("config", NEW.values(), ids=NEW)
def test_every_new_option_finds_nine_tenths_of_a_planted_signal(config: EncoderConfig) -> None:
    found, oracle = rank_ic_of(config, Planted(), 4)
    assert found > 0.9 * oracle


@pytest.mark.parametrize("config", NEW.values(), ids=NEW)
def test_every_new_option_finds_nothing_in_shuffled_returns(config: EncoderConfig) -> None:
    found, _ = rank_ic_of(config, Planted(shuffled=True), 4)
    assert abs(found) < 3 / (Planted.n_test * (Planted.n_assets - 1)) ** 0.5
