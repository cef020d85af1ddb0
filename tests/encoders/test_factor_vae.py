"""FactorVAE satisfies the contract, and its forecast and covariance are those of its own generative model."""

import math
from dataclasses import replace

import pytest
import torch

from encoders.base import Forecast
from encoders.factor_vae import FactorVAE, FactorVAEEncoder, Posterior, Prior, tdrisk
from encoders.testing.checks import check_shapes
from encoders.testing.windows import inputs, make_window, trained
from tests.encoders.conformance import SetConformance

SMALL = FactorVAE(lookback=8, hidden=16, portfolios=12, factors=4, rank=1.0)


class TestFactorVAE(SetConformance):
    config = SMALL


class TestFactorVAEOfThePaper(SetConformance):
    config = replace(SMALL, rank=0.0)
    overfit_steps = 250


@pytest.fixture(scope="module")
def encoder() -> FactorVAEEncoder:
    return trained(SMALL, TestFactorVAE.shape, n_steps=20)  # type: ignore[return-value]


def test_forecast_and_covariance_agree_with_draws_from_the_model(encoder: FactorVAEEncoder) -> None:
    window = make_window(SMALL, TestFactorVAE.shape)
    day = encoder._look(window.features, window.mask)
    draw = torch.Generator().manual_seed(0)
    n = 200_000
    factors = day.prior.mean[1] + day.prior.std[1] * torch.randn(n, SMALL.factors, generator=draw)
    own = day.own.mean[1] + day.own.std[1] * torch.randn(n, window.mask.shape[1], generator=draw)
    drawn = encoder.label_scale.mean + encoder.label_scale.std * (own + factors @ day.exposure[1].mT)
    drawn = drawn.detach()
    mean, std = encoder.predict(*inputs(window))
    dense = encoder.covariance(window.features, window.mask).dense()[1]
    error = drawn.std(0) / math.sqrt(n)
    assert ((drawn.mean(0) - mean[1]).abs() < 5 * error).all()
    torch.testing.assert_close(drawn.std(0).float(), std[1], rtol=0.01, atol=0.0)
    scale = std[1][:, None] * std[1]
    torch.testing.assert_close(torch.cov(drawn.T).float() / scale, dense / scale, rtol=0.0, atol=0.015)
    assert (dense / scale - torch.eye(len(scale))).abs().max() > 0.03, "assets without common factors test nothing"


def test_the_diagonal_of_the_covariance_is_the_squared_error_of_the_forecast(encoder: FactorVAEEncoder) -> None:
    window = make_window(SMALL, TestFactorVAE.shape)
    dense = encoder.covariance(window.features, window.mask).dense()
    std = encoder.predict(*inputs(window)).std
    torch.testing.assert_close(dense.diagonal(dim1=1, dim2=2), std.square().where(window.mask, 0.0))
    assert not dense[~window.mask].any(), "a masked asset has a covariance"
    assert (torch.linalg.eigvalsh(dense) > -1e-9).all()


def test_covariance_changes_neither_mode_nor_numbers(encoder: FactorVAEEncoder) -> None:
    window = make_window(SMALL, TestFactorVAE.shape)
    drawn = torch.get_rng_state()
    for mode in (True, False):
        encoder.train(mode)
        one, other = (encoder.covariance(window.features, window.mask) for _ in range(2))
        assert one.specific.equal(other.specific)
        assert one.loadings.equal(other.loadings)
        assert encoder.training == mode
    assert drawn.equal(torch.get_rng_state())


def test_portfolios_hold_known_assets_only_and_are_fully_invested() -> None:
    posterior = Posterior(SMALL)
    asset, known = torch.randn(2, 5, 16), torch.tensor([[True, True, False, True, True], [False] * 5])
    seen: list[torch.Tensor] = []
    posterior.factors.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    posterior(asset, torch.full((2, 5), 0.7), known)
    torch.testing.assert_close(seen[0][0], torch.full((SMALL.portfolios,), 0.7))
    assert not seen[0][1].any()


def test_attention_of_the_prior_is_the_rectified_cosine() -> None:
    """By a plain loop over heads and assets."""
    prior = Prior(SMALL)
    asset, mask = torch.randn(1, 5, 16), torch.tensor([[True, True, False, True, True]])
    keys, values = prior.key(asset[0]), prior.value(asset[0])
    expected = []
    for head in range(SMALL.factors):
        query = prior.query[head]
        weight = [torch.cosine_similarity(query, keys[i], dim=0).relu() * mask[0, i] for i in range(5)]
        seen = sum(w / (sum(weight) + 1e-6) * values[i] for i, w in enumerate(weight))
        expected.append(torch.nn.functional.leaky_relu(seen) @ prior.mean[head] + prior.mean_bias[head])
    torch.testing.assert_close(prior(asset, mask).mean[0], torch.stack(expected))


def test_the_posterior_tells_what_no_feature_does() -> None:
    """Returns that all move together by chance: explained by factors inferred from them, and by no forecast."""
    torch.manual_seed(0)
    encoder = replace(SMALL, rank=0.0, kl=0.0).build(TestFactorVAE.shape)
    optimizer = torch.optim.AdamW(encoder.parameter_groups(1e-2, 0.0))
    for step in range(120):
        window = make_window(SMALL, TestFactorVAE.shape, seed=step)
        label = 0.02 * torch.randn(len(window.mask), 1) + 0.004 * torch.randn(window.mask.shape)
        loss = encoder(window._replace(forward_return=label)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.0, "the likelihood of standard returns that nothing explains is a half"


def test_risk_aversion_lowers_what_is_uncertain() -> None:
    forecast = Forecast(torch.tensor([[0.01, 0.01]]), torch.tensor([[0.01, 0.03]]))
    torch.testing.assert_close(tdrisk(forecast, 0.5), torch.tensor([[0.005, -0.005]]))
    assert tdrisk(forecast, 0.0).equal(forecast.mean)


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="windows hold 8 days, the encoder's lookback is 20"):
        FactorVAE().build(TestFactorVAE.shape)


def test_a_batch_without_any_asset_has_a_state(encoder: FactorVAEEncoder) -> None:
    window = make_window(SMALL, TestFactorVAE.shape)
    check_shapes(encoder, window._replace(mask=torch.zeros_like(window.mask)))
