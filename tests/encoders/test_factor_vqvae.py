"""FactorVQVAE's first stage satisfies the contract, and no token knows a label before its time."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.bars import BarHistory
from encoders.data import FrozenEncoder, TrainingData, prepare
from encoders.factor_vqvae.networks import ReturnTokenizer, market_of, pack_windows
from encoders.factor_vqvae.predictor import FactorVQVAEPredictor
from encoders.factor_vqvae.tokenizer import FactorVQVAE, FactorVQVAEEncoder
from encoders.quantizers import Affine, Continuous, Residual
from encoders.states.audit import Audit, TrainingFacts
from encoders.states.extraction import Extraction, extract
from encoders.testing.windows import inputs, make_window, train, trained
from encoders.training.loop import Experiment, pretrain
from encoders.training.optim import Optim
from market.audit import AuditError
from market.features.realised import MARKET, REALISED, WithRealisedReturns
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.by_column import NoScaling, PrefixScaling, ScalingByName
from market.scaling.scalers import CrossSectionalZScore, RobustZScore
from tests.encoders.conformance import SetConformance
from tests.encoders.test_audit import PROVENANCE
from tests.encoders.tiny import LABEL, SPLIT, Moves, bars

SMALL = FactorVQVAE(
    lookback=8, span=2, market_features=2, hidden=32, dim=16, factors=8, heads=2, quantizer=Affine(codebook_size=16)
)
SCALING = ScalingByName(
    CrossSectionalZScore(), (PrefixScaling(REALISED, NoScaling()), PrefixScaling(MARKET, RobustZScore()))
)


class TestFactorVQVAE(SetConformance):
    config = SMALL
    shape = replace(SetConformance.shape, n_features=8)
    overfit_steps = 200


class TestContinuousTwin(SetConformance):
    config = replace(SMALL, quantizer=Continuous())
    shape = replace(SetConformance.shape, n_features=8)
    overfit_steps = 200


class TestOfBars(SetConformance):
    codes = Residual(2, Affine(codebook_size=4))
    config = replace(SMALL, norm=False, bars=BarHistory(hidden=8, patch=20), quantizer=codes)
    shape = replace(SetConformance.shape, n_features=8 + 360)
    overfit_steps = 200


def test_the_twin_without_codes_has_no_second_stage() -> None:
    twin = trained(TestContinuousTwin.config, TestContinuousTwin.shape)
    assert twin.codebook_sizes == {}
    assert twin.tokens_per_day == {}
    with pytest.raises(ValueError, match="no codes to predict; the twin without codes ends with the first stage"):
        FactorVQVAEPredictor(run="none", tokens=TestContinuousTwin.config).build(TestContinuousTwin.shape)


def test_features_are_normed_of_each_asset_only_where_wanted() -> None:
    window = make_window(SMALL, TestFactorVQVAE.shape)
    scaled = window._replace(features=window.features.clone())
    scaled.features[..., :5] = 2.0 * scaled.features[..., :5] + 1.0
    for norm in (True, False):
        encoder = trained(replace(SMALL, norm=norm), TestFactorVQVAE.shape)
        one, other = (encoder.infer(*inputs(each)).forecast.mean[each.mask] for each in (window, scaled))
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5) is norm


@pytest.fixture(scope="module")
def encoder() -> FactorVQVAEEncoder:
    return trained(SMALL, TestFactorVQVAE.shape, n_steps=20)  # type: ignore[return-value]


@pytest.mark.parametrize("span", [1, 2, 3])
def test_a_token_sees_itself_and_what_was_known_on_its_own_day(span: int) -> None:
    torch.manual_seed(0)
    tokens = ReturnTokenizer(8, 2, 6, span)
    tokens.bias.data.normal_()
    labels = torch.randn(1, 7)
    plain = tokens(labels)
    for changed in range(7):
        other = labels.clone()
        other[0, changed] += 1.0
        moved = (tokens(other) != plain).any(-1)[0]
        seen = [item == changed or changed <= (item - span if item < 6 else 5) for item in range(7)]
        seen = [item and not (changed == 6 and k < 6) for k, item in enumerate(seen)]
        assert moved.tolist() == seen


def test_the_tokens_of_a_window_do_not_wait_for_the_label_of_today() -> None:
    tokens, labels = ReturnTokenizer(8, 2, 6, 2), torch.randn(3, 7)
    torch.testing.assert_close(tokens(labels)[:, :6], tokens(labels[:, :6]))


def test_the_token_of_today_is_made_like_every_token_of_the_past() -> None:
    """A window that ends on row 3 makes of its own unknown label what a longer one finds two rows later."""
    torch.manual_seed(0)
    short, long = ReturnTokenizer(8, 2, 4, 2), ReturnTokenizer(8, 2, 6, 2)
    bias = torch.randn(4, 2)
    short.load_state_dict(long.state_dict() | {"bias": torch.cat([bias, torch.ones(1, 2)])})
    long.bias.data.copy_(torch.cat([bias, torch.zeros(2, 2), torch.ones(1, 2)]))
    labels = torch.randn(3, 6)
    own = short(torch.cat([labels[:, :4], labels[:, 5:]], 1))
    torch.testing.assert_close(own[:, 4], long(labels)[:, 5])


def test_losses_depend_on_the_label_and_forecasts_on_realised_ones(encoder: FactorVQVAEEncoder) -> None:
    encoder.eval()
    window = make_window(SMALL, TestFactorVQVAE.shape)
    before = encoder.predict(*inputs(window)).mean
    features = window.features.clone()
    features[:, -1, :, 5] += 3.0  # the column of realised labels
    assert not torch.equal(before[window.mask], encoder.predict(features, *inputs(window)[1:]).mean[window.mask])
    other = window._replace(forward_return=-window.forward_return)
    assert encoder(window).terms["error"] != encoder(other).terms["error"]


def test_the_market_is_the_mean_of_what_is_listed() -> None:
    window = make_window(SMALL, TestFactorVQVAE.shape)
    rows = pack_windows(window.features, window.mask, 2)
    market = market_of(window.features, window.mask, 2)
    torch.testing.assert_close(market[0], window.features[0][:, window.mask[0], 6:].mean(1))
    assert not market_of(window.features, window.mask & False, 2).any()
    torch.testing.assert_close(rows.realised[1], window.features[0, :, 2, 5])
    assert rows.features.shape == (8, int(window.mask.sum()), 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lookback": 9}, "windows hold 8 days, the encoder's lookback is 9"),
        ({"heads": 3}, "dim 16 is no multiple of the heads, 3"),
        ({"span": 8}, "span is 8 days, expected at least 1 and less than lookback 8"),
        ({"market_features": 7}, "windows hold 8 features.*and 7 of the market"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change).build(TestFactorVQVAE.shape)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Shifted:
    """Realised labels so many rows earlier than they are known, or later."""

    base: WithRealisedReturns
    rows: int

    def table(self) -> Any:
        return self.base.table()

    def compute(self, panel: Panel) -> Panel:
        honest = self.base.compute(panel)
        values = np.array(honest.values)
        column = honest.fields.index(REALISED)
        values[..., column] = np.roll(values[..., column], -self.rows, axis=0)
        return replace(honest, values=values)


def data_of(rows: int = 0, label: Label = LABEL) -> TrainingData:
    features: Any = WithRealisedReturns(Moves(), label, windows=(5,))
    return prepare(bars(), Shifted(features, rows) if rows else features, SCALING, 8, label, SPLIT)


TINY = replace(SMALL, market_features=15)
LABELS = [Label("next_close", 1), Label("next_open", 1), Label("close", 1), Label("close", 2, "zscore")]


@pytest.mark.parametrize("label", LABELS, ids=str)
def test_realised_labels_are_those_of_the_experiment(label: Label) -> None:
    data = data_of(label=label)
    config = replace(TINY, span=label.span)
    config.begin(config.build(data.store.shape), data)
    with pytest.raises(ValueError, match=f"span is {label.span + 1} days.*after {label.span}; set encoder.span"):
        replace(config, span=label.span + 1).begin(config.build(data.store.shape), data)


@pytest.mark.parametrize("rows", [2, 1, -1, -2])
def test_labels_off_by_a_row_or_two_are_refused(rows: int) -> None:
    data = data_of(rows)
    message = f"REALISED holds the label of {2 - rows} days ago, but a label is known after 2"
    with pytest.raises(ValueError, match=message):
        TINY.begin(TINY.build(data.store.shape), data)


def test_another_label_is_refused() -> None:
    features = WithRealisedReturns(Moves(), Label("next_open", 1), windows=(5,))
    data = prepare(bars(), features, SCALING, 8, LABEL, SPLIT)
    with pytest.raises(ValueError, match="REALISED is not the label of 2 days ago"):
        TINY.begin(TINY.build(data.store.shape), data)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_the_audit_passes_known_labels_and_fails_those_of_tomorrow(rows: int, tmp_path: Path) -> None:
    data = data_of(rows)
    torch.manual_seed(0)
    encoder = TINY.build(data.store.shape)
    train(encoder, data.store.gather(torch.from_numpy(data.train_days[:32])), 3)  # codes that tell labels apart
    frozen = FrozenEncoder(data.pipeline, encoder.eval().requires_grad_(False))
    training = TrainingFacts(LABEL, SCALING, data.days.train)
    how = Extraction(PROVENANCE, data.fit_end, training, batch_size=16, audit=Audit(cuts=3, days=16))
    if not rows:
        assert extract(frozen, data.panel, tmp_path / "states.safetensors", how).passed
        return
    with pytest.raises(AuditError, match="future: asset moved"):
        extract(frozen, data.panel, tmp_path / "states.safetensors", how)


def test_it_trains_and_uses_its_codes(tmp_path: Path) -> None:
    metrics = pretrain(Experiment(TINY, data_of(), Optim(epochs=2, batch_size=8, learning_rate=3e-3)), tmp_path)
    assert metrics["train"]["codebooks"]["returns"]["usage"] > 0.5
    assert np.isfinite(metrics["valid"]["rank_ic"])


def tokens_of(inference: Any) -> Tensor:
    found: Tensor = inference.tokens["returns"]
    return found


def test_tokens_are_the_vectors_of_the_codes(encoder: FactorVQVAEEncoder) -> None:
    window = make_window(SMALL, TestFactorVQVAE.shape)
    inference = encoder.infer(*inputs(window), tokens=True)
    codes = inference.state.codes
    assert codes is not None
    assert codes.shape[-1] == 8
    torch.testing.assert_close(encoder.quantizer.lookup(codes[window.mask]), tokens_of(inference)[window.mask])
