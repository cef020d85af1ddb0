"""STORM: the conformance of every setting, and what is its own."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from encoders.base import EncoderConfig
from encoders.common.losses import cross_sectional_ranks
from encoders.quantizers import EMA, FSQ, Continuous, Learnable, usage
from encoders.storm.factors import StormFactorModel, StormFactors
from encoders.storm.model import LossWeights, Storm, StormSizes
from encoders.testing.windows import inputs, make_window, train, trained
from encoders.windows import InputShape, Window
from tests.encoders.conformance import SetConformance

TINY = Storm(
    lookback=8,
    quantizer=Learnable(codebook_size=16),
    sizes=StormSizes(dim=16, depth=1, decoder_depth=1, heads=2, patch=4, asset_state=12, market_state=10),
    factors=StormFactors(n_factors=3),
)
SHAPE = SetConformance.shape


class TestDual(SetConformance):
    config = TINY


class TestJoint(SetConformance):
    config = replace(TINY, attention="joint", quantizer=EMA(codebook_size=16))


class TestTimeSeries(SetConformance):
    config = replace(TINY, branches=("time_series",), quantizer=FSQ((4, 4)))


class TestCrossSection(SetConformance):
    config = replace(TINY, branches=("cross_section",), sizes=replace(TINY.sizes, day_tokens=2))


class TestMix(SetConformance):
    config = replace(TINY, branches=("mix",))


class TestJointMix(SetConformance):
    config = replace(TINY, branches=("mix",), attention="joint", sizes=replace(TINY.sizes, dropout=0.1))


class TestContinuous(SetConformance):
    config = replace(TINY, quantizer=Continuous())


class TestContinuousMix(SetConformance):
    config = replace(TINY, branches=("mix",), quantizer=Continuous())


class TestCodesThatAreRead(SetConformance):
    config = replace(TINY, weights=LossWeights(codes=0.5))


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
        ({"branches": ("mix",), "weights": LossWeights(codes=0.5)}, "branches .*mix.* have none; set it to 0"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change).build(SHAPE)


def test_a_codebook_larger_than_the_data_is_refused():
    encoder = replace(TINY, quantizer=Learnable(codebook_size=512)).build(SHAPE)
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


def test_the_continuous_twin_is_the_same_network_without_codes():
    config = replace(TINY, quantizer=Continuous())
    twin, quantised = trained(config, SHAPE), trained(TINY, SHAPE)
    assert twin.codebook_sizes == {}
    assert twin.tokens_per_day == {}
    twin.refuse_small_data(1)
    weights = {name for name, _ in quantised.named_parameters()} - {name for name, _ in twin.named_parameters()}
    assert weights == {f"trunk.quantizers.{name}.codebook" for name in TINY.branches}
    window = make_window(config, SHAPE)
    encoding, inference = twin(window), twin.infer(*inputs(window), tokens=True)
    assert encoding.codes == {}
    assert inference.state.codes is None
    for tokens in inference.tokens.values():
        before, after = tokens.chunk(2, dim=-1)
        torch.testing.assert_close(before, after, rtol=0, atol=0)
    lost = set(quantised(window).terms) - set(encoding.terms)
    kinds = ("commitment", "codebook", "orthogonality", "diversity")
    assert lost == {f"{name}_{kind}" for name in TINY.branches for kind in kinds}


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


def test_a_day_without_assets_has_no_codes():
    window = make_window(TINY, SHAPE)
    window = window._replace(mask=window.mask.index_fill(0, torch.tensor([2]), False))
    codes = trained(TINY, SHAPE)(window).codes["cross_section"].unflatten(0, (6, 8))
    assert (codes[2] == -1).all()
    assert (codes[[0, 1, 3, 4, 5]] >= 0).all()


def test_unknown_labels_have_no_share_of_a_portfolio():
    model, asset, market = StormFactorModel(12, StormFactors(n_factors=3)), torch.randn(2, 5, 12), torch.randn(2, 1, 12)
    day = model(asset, torch.ones(2, 5, dtype=torch.bool), market)
    label, known = torch.randn(2, 5), torch.tensor([[True, True, True, False, False]] * 2)
    whole = model.infer_factors(day, asset, label.where(known, 0.0), known)
    part = model.infer_factors(day, asset[:, :3], label[:, :3], known[:, :3])
    torch.testing.assert_close(whole.mean, part.mean)
    torch.testing.assert_close(whole.std, part.std)


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


class Planted:
    """A market in which one lasting feature says part of the next return; the others are past returns."""

    n_train, n_test, n_assets, ic = 400, 300, 16, 0.3

    def __init__(self, shuffled: bool = False) -> None:
        draw = torch.Generator().manual_seed(1)
        n_days = self.n_train + self.n_test + 8
        signal = torch.randn(n_days, self.n_assets, 2, generator=draw)
        for day in range(1, n_days):
            signal[day] = 0.8 * signal[day - 1] + 0.6 * signal[day]
        noise = torch.randn(n_days, self.n_assets, generator=draw)
        self.oracle = signal[..., 0]
        self.label = 0.02 * (self.ic * self.oracle + (1 - self.ic**2) ** 0.5 * noise)
        past = self.label.roll(1, 0)
        past[0] = 0.0
        self.log_price = past.cumsum(0)
        week = torch.stack([past.roll(k, 0) for k in range(5)]).mean(0)
        self.features = torch.cat([signal, past[..., None] / 0.02, week[..., None] / 0.01], -1)
        if shuffled:
            self.label = self.label[torch.randperm(n_days, generator=draw)]

    def gather(self, days: Tensor) -> Window:
        rows = days[:, None] + torch.arange(-7, 1)
        close = (self.log_price[rows] - self.log_price[days][:, None]).exp()[..., None] - 1.0
        mask = torch.ones(len(days), self.n_assets, dtype=torch.bool)
        calendar = torch.zeros(len(days), 8, 3)
        return Window(self.features[rows], mask, calendar, close, self.label[days], days)

    def rank_ic(self, forecast: Tensor, days: Tensor) -> float:
        everyone = torch.ones_like(forecast, dtype=torch.bool)
        ranks = [cross_sectional_ranks(each, everyone) for each in (forecast, self.label[days])]
        pairs = zip(*ranks, strict=True)
        return float(torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).mean())


def learn(config: EncoderConfig, market: Planted) -> tuple[float, float, float]:
    """Returns the test RankIC, the oracle's, and the least use of a codebook on the test days."""
    torch.manual_seed(0)
    encoder = config.build(InputShape(lookback=8, n_features=4, n_calendar=3, n_prices=1, n_assets=16))
    optimizer = torch.optim.AdamW(encoder.parameter_groups(3e-3, 0.05))
    for _ in range(6):
        for days in (torch.randperm(market.n_train) + 7).split(20):
            loss = encoder(market.gather(days)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    days = torch.arange(market.n_test) + market.n_train + 8
    with torch.no_grad():
        encoding = encoder.eval()(market.gather(days))
    assert 0.5 * 0.02 < encoding.forecast.std.mean() < 2 * 0.02
    used = [
        usage(torch.bincount(codes[codes >= 0], minlength=encoder.codebook_sizes[name]))
        for name, codes in encoding.codes.items()
    ]
    found, oracle = (market.rank_ic(score, days) for score in (encoding.forecast.mean, market.oracle[days]))
    return found, oracle, min(used, default=1.0)


@pytest.mark.parametrize("branches", [("time_series", "cross_section"), ("time_series",), ("cross_section",), ("mix",)])
def test_finds_a_planted_signal_and_uses_its_codes(branches):
    found, oracle, used = learn(replace(TINY, branches=branches), Planted())
    assert oracle > 0.2
    assert found > 0.8 * oracle
    assert used >= 0.5


def test_finds_nothing_where_returns_are_shuffled_in_time():
    found, _, _ = learn(TINY, Planted(shuffled=True))
    assert abs(found) < 3 / (Planted.n_test * (Planted.n_assets - 1)) ** 0.5


def test_codes_that_are_read_keep_more_of_a_planted_signal():
    """A ridge on the quantised tokens finds more of the signal than where nothing asks them for the label."""
    found = {}
    for weight in (0.0, 1.0):
        market, config = (
            Planted(),
            replace(TINY, branches=("time_series",), weights=LossWeights(codes=weight, rank=0.0)),
        )
        torch.manual_seed(0)
        encoder = config.build(InputShape(lookback=8, n_features=4, n_calendar=3, n_prices=1, n_assets=16))
        optimizer = torch.optim.AdamW(encoder.parameter_groups(3e-3, 0.05))
        for _ in range(4):
            for days in (torch.randperm(market.n_train) + 7).split(20):
                optimizer.zero_grad()
                encoder(market.gather(days)).loss.backward()
                optimizer.step()
        windows = [market.gather(days) for days in (torch.arange(400) + 7, torch.arange(300) + 408)]
        tokens = [
            encoder.infer(*inputs(each), tokens=True).tokens["time_series"][..., 16:].flatten(2) for each in windows
        ]
        x, y = tokens[0].flatten(0, 1), windows[0].forward_return.flatten()
        x = torch.cat([x, torch.ones(len(x), 1)], 1)
        fit = torch.linalg.solve(x.mT @ x + 1e-2 * len(x) * torch.eye(x.shape[1]), x.mT @ y)
        found[weight] = market.rank_ic(tokens[1] @ fit[:-1], torch.arange(300) + 408)
    assert found[1.0] > 0.15
    assert found[1.0] > 1.3 * found[0.0]
