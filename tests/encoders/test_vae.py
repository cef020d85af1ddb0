"""The VAE satisfies the contract in every composition, and its factors, loadings and draws are those of its model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from encoders.testing.windows import N_ASSETS, inputs, make_window, train, trained
from encoders.vae.model import VAE, CrossSection, RecurrentWindow, SectorCondition, VAEEncoder
from encoders.windows import InputShape
from tests.encoders.conformance import Conformance

SHAPE = InputShape(lookback=1, n_features=1, n_calendar=3, n_prices=4, n_assets=N_ASSETS)
SMALL = VAE(factors=5, inference=CrossSection((16, 8)), decoder=(8, 16), annealing=10)
LABELS = ("tech", "energy", "tech", "banks", "energy", "banks", "tech")


class TestVAE(Conformance):
    config = SMALL
    shape = SHAPE
    overfit_steps = 500


class TestVAEWithALinearDecoder(Conformance):
    config = replace(SMALL, beta=0.5, decoder=(), annealing=0)
    shape = SHAPE
    overfit_steps = 500


class TestRecurrentVAE(Conformance):
    config = replace(SMALL, lookback=8, inference=RecurrentWindow(8))
    shape = replace(SHAPE, lookback=8)
    overfit_steps = 500


class TestVAEGivenSectors(Conformance):
    config = replace(SMALL, condition=SectorCondition(LABELS))
    shape = SHAPE
    overfit_steps = 500


@pytest.fixture(scope="module")
def encoder() -> VAEEncoder:
    return trained(SMALL, SHAPE, n_steps=40)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "config", [SMALL, replace(SMALL, condition=SectorCondition(LABELS)), replace(SMALL, decoder=())]
)
def test_loadings_are_the_derivatives_of_the_decoder(config: VAE) -> None:
    """By differences, at the factors of the day."""
    vae: VAEEncoder = trained(config, SHAPE, n_steps=40)  # type: ignore[assignment]
    window = make_window(config, SHAPE)
    day = vae._look(window.features, window.mask)
    vae.decoder.double()
    given, at = day.given.double(), day.factors.mean.detach().double()
    loadings = vae.decoder.loadings(at, given)
    for k in range(config.factors):
        step = torch.zeros_like(at)
        step[:, k] = 1e-6
        expected = (vae.decoder(at + step, given) - vae.decoder(at - step, given)) / 2e-6
        torch.testing.assert_close(loadings[..., k], expected, rtol=1e-4, atol=1e-6)


def test_the_state_holds_loadings_and_factors(encoder: VAEEncoder) -> None:
    window = make_window(SMALL, SHAPE)
    state = encoder.encode(*inputs(window))
    day = encoder._look(window.features, window.mask)
    torch.testing.assert_close(state.market, day.factors.mean.detach())
    expected = encoder.decoder.loadings(day.factors.mean, day.given)
    torch.testing.assert_close(state.asset[window.mask], expected[window.mask].detach())


def test_beta_rises_over_the_training_batches_alone_and_the_count_is_saved() -> None:
    vae: VAEEncoder = SMALL.build(SHAPE)  # type: ignore[assignment]
    window, seen = make_window(SMALL, SHAPE), []
    for _ in range(12):
        vae.train()
        vae(window)
        seen.append(vae.beta)
        vae.eval()
        vae(window)
        assert vae.beta == SMALL.beta, "epochs of the annealing cannot be compared"
    np.testing.assert_allclose(seen, [*np.arange(1, 11) / 10, 1.0, 1.0])
    other: VAEEncoder = SMALL.build(SHAPE)  # type: ignore[assignment]
    other.load_state_dict(vae.state_dict())
    assert int(other.batches) == 12


@torch.no_grad()
def test_terms_are_the_evidence_lower_bound_per_listed_return(encoder: VAEEncoder) -> None:
    """By a plain loop over days and assets."""
    window = make_window(SMALL, SHAPE)
    day = encoder._look(window.features, window.mask)
    rebuilt = encoder.decoder(day.factors.mean, day.given)
    own = torch.nn.functional.softplus(encoder.own) + 0.05
    bits, divergence = [], 0.0
    for b in range(len(window.mask)):
        mean, std = day.factors.mean[b], day.factors.std[b]
        posterior = torch.distributions.Normal(mean, std)
        prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(std))
        divergence += float(torch.distributions.kl_divergence(posterior, prior).sum())
        for n in range(N_ASSETS):
            if window.mask[b, n]:
                bits.append(-float(torch.distributions.Normal(rebuilt[b, n], own[n]).log_prob(day.standard[b, n])))
    terms = encoder(window).terms
    constant = 0.5 * float(np.log(2 * np.pi))
    assert float(terms["reconstruction"]) == pytest.approx(np.mean(bits) - constant, rel=1e-4)
    assert float(terms["kl"]) == pytest.approx(divergence / len(bits), rel=1e-4)


def test_labels_teach_the_factors_nothing() -> None:
    window = make_window(SMALL, SHAPE)
    other = window._replace(forward_return=-window.forward_return)
    found = []
    for batch in (window, other):
        torch.manual_seed(0)
        vae = SMALL.build(SHAPE)
        vae.train()
        vae(batch).loss.backward()
        found.append({name: parameter.grad for name, parameter in vae.named_parameters()})
    for name, gradient in found[0].items():
        assert gradient is not None
        assert gradient.equal(found[1][name]) != name.startswith(("tomorrow", "error")), name


def test_standardisation_is_each_asset_s_own_over_what_was_listed() -> None:
    vae: VAEEncoder = SMALL.build(SHAPE)  # type: ignore[assignment]
    windows = [make_window(SMALL, SHAPE, seed=seed) for seed in range(4)]
    windows = [one._replace(features=3.0 * one.features + 0.5) for one in windows]
    for window in windows:
        vae.train()
        vae(window)
    returns = torch.cat([window.features[:, 0, :, 0] for window in windows])
    mask = torch.cat([window.mask for window in windows])
    for n in range(N_ASSETS):
        seen = returns[mask[:, n], n].double()
        assert float(vae.asset_scale.mean[n]) == pytest.approx(float(seen.mean()))
        assert float(vae.asset_scale.std[n]) == pytest.approx(float(seen.std(unbiased=False)), rel=1e-5)


def test_what_is_given_is_the_mean_of_each_sector() -> None:
    vae: VAEEncoder = replace(SMALL, condition=SectorCondition(LABELS)).build(SHAPE)  # type: ignore[assignment]
    days = torch.randn(2, 1, N_ASSETS)
    mask = torch.ones(2, N_ASSETS, dtype=torch.bool)
    mask[0, [0, 4]], mask[1, [3, 5]] = False, False  # one of three tech and of two energy stocks; both banks
    given = vae.given(days.where(mask[:, None], 0.0), mask)
    assert SectorCondition(LABELS).names == ("banks", "energy", "tech")
    torch.testing.assert_close(given[0, 0, 2], (days[0, 0, 2] + days[0, 0, 6]) / 2)
    torch.testing.assert_close(given[0, 0, 1], days[0, 0, 1])
    torch.testing.assert_close(given[0, 0, 0], (days[0, 0, 3] + days[0, 0, 5]) / 2)
    assert given[1, 0, 0] == 0.0


def test_drawn_days_have_the_model_s_own_moments() -> None:
    """With a linear decoder drawn returns are normal, their covariance is ``W Wᵀ + diag(own²)``."""
    vae: VAEEncoder = trained(replace(SMALL, decoder=()), SHAPE, n_steps=60)  # type: ignore[assignment]
    n = 40_000
    window = make_window(SMALL, SHAPE, n_days=2)
    features, mask = window.features[:1].expand(n, -1, -1, -1), torch.ones(n, N_ASSETS, dtype=torch.bool)
    drawn = vae.draw(features, mask, torch.Generator().manual_seed(0))
    weight = vae.decoder.out.weight.detach()
    own = (torch.nn.functional.softplus(vae.own) + 0.05).detach()
    scale = vae.asset_scale.std
    expected = (weight @ weight.mT + torch.diag(own.square())) * scale[:, None] * scale
    found = torch.cov(drawn.mT)
    spread = expected.diagonal().sqrt()
    torch.testing.assert_close(found / spread[:, None] / spread, expected / spread[:, None] / spread, rtol=0, atol=0.03)
    again = vae.draw(features, mask, torch.Generator().manual_seed(0))
    assert drawn.equal(again)
    assert vae.draw(features, ~mask, torch.Generator()).isnan().all()


def test_a_rebuilt_day_is_the_decoder_s_in_the_feature_s_units(encoder: VAEEncoder) -> None:
    window = make_window(SMALL, SHAPE)
    rebuilt = encoder.reconstruct(window.features, window.mask)
    assert rebuilt.isfinite().equal(window.mask)
    day = encoder._look(window.features, window.mask)
    expected = encoder.asset_scale.mean + encoder.asset_scale.std * encoder.decoder(day.factors.mean, day.given)
    torch.testing.assert_close(rebuilt[window.mask], expected[window.mask].float())


@pytest.mark.parametrize(
    ("config", "shape", "said"),
    [
        (SMALL, replace(SHAPE, n_features=5), "the windows hold 5"),
        (SMALL, replace(SHAPE, lookback=8), "windows hold 8 days, the encoder's lookback is 1"),
        (replace(SMALL, condition=SectorCondition(LABELS[:3])), SHAPE, "3 labels for 7 assets"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(config: VAE, shape: InputShape, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config.build(shape)


@pytest.mark.parametrize("change", [{"factors": 0}, {"beta": -1.0}, {"annealing": -1}, {"forecast": -0.1}])
def test_sizes_that_mean_nothing_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(change))} is "):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_a_batch_of_one_day_cannot_be_learnt_from(encoder: VAEEncoder) -> None:
    with pytest.raises(ValueError, match="holds one day"):
        train(SMALL.build(SHAPE), make_window(SMALL, SHAPE, n_days=1), 1)


def test_other_assets_are_refused(encoder: VAEEncoder) -> None:
    with pytest.raises(ValueError, match="built for 7 assets, asked about 9"):
        encoder.infer(*inputs(make_window(SMALL, replace(SHAPE, n_assets=9))))
