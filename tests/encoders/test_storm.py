"""STORM: the conformance of every setting, and what is its own."""

from dataclasses import replace

import pytest
import torch

from encoders.quantizers import EMA, FSQ
from encoders.storm import Sizes, Storm
from encoders.storm_factors import Factors
from encoders.windows import InputShape
from tests.encoders.conformance import SetConformance, inputs, make_window, train, trained

TINY = Storm(
    lookback=8,
    codebook_size=16,
    sizes=Sizes(dim=16, depth=1, decoder_depth=1, heads=2, patch=4, asset_state=12, market_state=10),
    factors=Factors(n_factors=3),
)
SHAPE = SetConformance.shape


class TestDual(SetConformance):
    config = TINY


class TestJoint(SetConformance):
    config = replace(TINY, attention="joint", quantizer=EMA())


class TestTimeSeries(SetConformance):
    config = replace(TINY, branches=("time_series",), quantizer=FSQ((4, 4)))


class TestCrossSection(SetConformance):
    config = replace(TINY, branches=("cross_section",), sizes=replace(TINY.sizes, day_tokens=2))


class TestMix(SetConformance):
    config = replace(TINY, branches=("mix",))


class TestJointMix(SetConformance):
    config = replace(TINY, branches=("mix",), attention="joint", sizes=replace(TINY.sizes, dropout=0.1))


class TestCloseOnly(SetConformance):
    config = TINY
    shape = SHAPE.__class__(lookback=8, n_features=5, n_calendar=3, n_prices=1, n_assets=7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lookback": 16}, "8 days.*lookback is 16"),
        ({"sizes": replace(TINY.sizes, patch=3)}, "patch 3 does not divide lookback 8"),
        ({"sizes": replace(TINY.sizes, dim=18)}, "dim 18"),
        ({"branches": ("time",)}, "branches .*time.* unknown"),
        ({"attention": "all"}, "attention 'all' unknown"),
        ({"quantizer": FSQ((4, 5))}, r"levels \(4, 5\) make 20 codes.*16"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change).build(SHAPE)


def test_a_codebook_larger_than_the_data_is_refused():
    encoder = replace(TINY, codebook_size=512).build(SHAPE)
    with pytest.raises(ValueError, match="codebook cross_section has 512 codes, but 63 training days x 8 tokens"):
        encoder.refuse_small_data(63)
    encoder.refuse_small_data(64)


def test_parameters_do_not_depend_on_the_number_of_assets():
    def n_parameters(n_assets):
        shape = InputShape(lookback=8, n_features=5, n_calendar=3, n_prices=4, n_assets=n_assets)
        return sum(parameter.numel() for parameter in TINY.build(shape).parameters())

    assert n_parameters(3) == n_parameters(300)


def test_tokens_are_both_sides_of_the_quantizer():
    encoder, window = trained(TINY, SHAPE), make_window(TINY, SHAPE)
    inference = encoder.infer(*inputs(window), tokens=True)
    days, patches = inference.tokens["cross_section"], inference.tokens["time_series"]
    assert days.shape == (6, 8, 32)
    assert patches.shape == (6, 7, 2, 32)
    listed = inference.state.codes[window.mask]
    quantised = patches[window.mask][..., 16:]
    torch.testing.assert_close(encoder.trunk.quantizers["time_series"].lookup(listed), quantised, rtol=0, atol=0)


def test_price_consistency_needs_bars():
    assert "consistency" in trained(TINY, SHAPE)(make_window(TINY, SHAPE)).terms
    close_only = TestCloseOnly.shape
    assert "consistency" not in trained(TINY, close_only)(make_window(TINY, close_only)).terms


def test_reconstruction_is_in_the_units_of_the_prices_and_learns_them():
    encoder, window = trained(TINY, SHAPE), make_window(TINY, SHAPE)
    train(encoder, window, 120, learning_rate=5e-3)
    rebuilt = encoder.eval()(window).reconstruction
    there = window.mask[:, None, :, None].expand_as(rebuilt)
    error = (rebuilt - window.prices)[there].square().mean() / window.prices[there].square().mean()
    assert error < 0.5
    assert (rebuilt[~there] == 0).all()


def test_nothing_listed_at_all_is_a_batch_like_any_other():
    window = make_window(TINY, SHAPE)
    window = window._replace(mask=torch.zeros_like(window.mask), forward_return=window.forward_return * torch.nan)
    encoder = trained(TINY, SHAPE)
    encoder.train()
    loss = encoder(window).loss
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())
    assert encoder.infer(*inputs(window)).forecast.mean.isnan().all()
