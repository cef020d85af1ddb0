"""Principal components: the textbook's on the train days, and a forecast that only factors with a memory deserve."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn import decomposition

from encoders.baselines.pca import PCA, PCAEncoder
from encoders.baselines.ridge import Ridge
from encoders.data import TrainingData
from encoders.testing.windows import N_ASSETS, inputs, make_window
from encoders.windows import InputShape, WindowStore
from market.features import Feature, Formulas
from market.scaling.scalers import RobustZScore
from tests.encoders.closed_form import ClosedFormConformance, assert_equal_encoders
from tests.encoders.tiny import LABEL, SPLIT, bars, prepare, tiny_data

FACTORS = 2


def factor_market(memory: float = 0.8, n_assets: int = N_ASSETS, seed: int = 1) -> TrainingData:
    """Returns a market of two factors, today's of which carry over to tomorrow."""
    data = tiny_data()
    rng = np.random.default_rng(seed)
    n_days = len(data.panel)
    loadings = rng.normal(size=(n_assets, FACTORS)) + np.array([1.0, 0.0])
    factors = np.zeros((n_days + 1, FACTORS))
    for t in range(1, n_days + 1):
        factors[t] = memory * factors[t - 1] + np.sqrt(1 - memory**2) * rng.normal(size=FACTORS)
    returns = 0.01 * (factors @ loadings.T + 0.5 * rng.normal(size=(n_days + 1, n_assets)))
    label = returns[1:]
    store = WindowStore(
        features=torch.from_numpy(returns[:-1, :, None].astype(np.float32)),
        calendar=data.store.calendar,
        prices=torch.ones(n_days, n_assets, 4),
        listed=torch.ones(n_days, n_assets, dtype=torch.bool),
        forward_return=torch.from_numpy(label.astype(np.float32)),
        lookback=1,
    )
    return replace(data, store=store, returns=label)


class TestPCA(ClosedFormConformance):
    config = PCA(factors=FACTORS)
    shape = InputShape(lookback=1, n_features=1, n_calendar=3, n_prices=4, n_assets=N_ASSETS)

    def data(self, shuffled: bool = False) -> TrainingData:
        return factor_market(0.0 if shuffled else 0.8)

    def oracle(self, data: TrainingData) -> torch.Tensor:
        return data.store.features[..., 0]


def test_factors_are_the_textbook_s() -> None:
    data = factor_market()
    encoder = PCA(factors=FACTORS).fit(data, 0)
    x = data.store.features[data.train_days, :, 0].double().numpy()
    reference = decomposition.PCA(FACTORS).fit((x - x.mean(axis=0)) / x.std(axis=0))
    np.testing.assert_allclose(encoder.explained, reference.explained_variance_ratio_, rtol=1e-4)
    window = data.store.gather(torch.from_numpy(data.train_days))
    found = encoder.encode(*inputs(window)).market.double().numpy()
    expected = reference.transform((x - x.mean(axis=0)) / x.std(axis=0))
    for k in range(FACTORS):
        assert abs(np.corrcoef(found[:, k], expected[:, k])[0, 1]) > 1 - 1e-6
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1.0, rtol=1e-4)


def test_loadings_are_correlations_of_returns_with_factors() -> None:
    data = factor_market()
    encoder = PCA(factors=FACTORS).fit(data, 0)
    window = data.store.gather(torch.from_numpy(data.train_days))
    state = encoder.encode(*inputs(window))
    both = np.concatenate([window.features[:, 0, :, 0].numpy(), state.market.numpy()], axis=1)
    expected = np.corrcoef(both.T)[:N_ASSETS, N_ASSETS:]
    np.testing.assert_allclose(state.asset[0].numpy(), expected, atol=1e-4)
    assert (state.asset[0].sum(0) > 0).all()


def test_factors_are_learnt_from_train_alone() -> None:
    data = factor_market()
    fitted = PCA(factors=FACTORS).fit(data, 0)
    for part, moves in ((data.days.train, True), (data.days.valid, False), (data.days.test, False)):
        features = data.store.features.clone()
        features[part] += torch.randn(features[part].shape, generator=torch.Generator().manual_seed(1))
        other = PCA(factors=FACTORS).fit(replace(data, store=replace(data.store, features=features)), 0)
        for name in ("centre", "scale", "loadings", "variance"):
            assert getattr(fitted, name).equal(getattr(other, name)) != moves, name


def test_an_asset_that_train_never_saw_changes_no_factor() -> None:
    data = factor_market()
    listed = data.store.listed.clone()
    listed[: data.days.test.start, 3] = False
    encoder = PCA(factors=FACTORS).fit(replace(data, store=replace(data.store, listed=listed)), 0)
    assert not encoder.loadings[3].any()
    window = data.store.gather(torch.from_numpy(data.window_days(data.days.test)))
    moved = window._replace(features=window.features.index_fill(2, torch.tensor([3]), 5.0))
    assert encoder.encode(*inputs(window)).market.equal(encoder.encode(*inputs(moved)).market)


def test_a_panel_s_returns_are_read_through_features(tmp_path: object) -> None:
    features = Formulas((Feature("RET1", "close / delay(close, 1) - 1"),))
    data = prepare(bars(), features, RobustZScore(clip=None), 1, LABEL, SPLIT)
    encoder = PCA(factors=2).fit(data, 0)
    close = data.panel["close"][data.train_days]
    returns = close[1:, 0] / close[:-1, 0] - 1
    found = data.store.features[data.train_days[1:], 0, 0].numpy()
    assert np.corrcoef(returns, found)[0, 1] > 1 - 1e-6
    assert_equal_encoders(encoder, PCA(factors=2).fit(data, 1))


@pytest.mark.parametrize(
    ("config", "shape", "said"),
    [
        (PCA(factors=8), TestPCA.shape, "8 factors of 7 assets"),
        (PCA(factors=0), TestPCA.shape, "0 factors of 7 assets"),
        (PCA(), replace(TestPCA.shape, n_features=5), "the windows hold 5"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(config: PCA, shape: InputShape, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        config.build(shape)


def test_more_factors_than_train_days_hold_are_refused() -> None:
    data = factor_market()
    same = data.store.features[:, :1].expand_as(data.store.features)
    with pytest.raises(ValueError, match="2 factors, but"):
        PCA(factors=2).fit(replace(data, store=replace(data.store, features=same)), 0)


def test_other_assets_are_refused() -> None:
    encoder = PCAEncoder(PCA(factors=2, forecast=Ridge()), N_ASSETS)
    window = make_window(TestPCA.config, replace(TestPCA.shape, n_assets=9))
    with pytest.raises(ValueError, match="fitted on 7 assets, asked about 9"):
        encoder.infer(*inputs(window))


def test_a_rebuilt_day_is_the_textbook_s() -> None:
    data = factor_market()
    encoder = PCA(factors=FACTORS).fit(data, 0)
    x = data.store.features[data.train_days, :, 0].double().numpy()
    mean, scale = x.mean(axis=0), x.std(axis=0)
    reference = decomposition.PCA(FACTORS).fit((x - mean) / scale)
    window = data.store.gather(torch.from_numpy(data.window_days(data.days.test)))
    y = window.features[:, 0, :, 0].double().numpy()
    expected = mean + scale * reference.inverse_transform(reference.transform((y - mean) / scale))
    np.testing.assert_allclose(encoder.reconstruct(window.features, window.mask), expected, rtol=1e-3, atol=1e-5)
    assert encoder.reconstruct(window.features, ~window.mask).isnan().all()


def test_drawn_days_have_the_covariance_of_the_factor_model() -> None:
    data = factor_market()
    encoder = PCA(factors=FACTORS).fit(data, 0)
    n = 40_000
    mask = torch.ones(n, N_ASSETS, dtype=torch.bool)
    drawn = encoder.draw(torch.zeros(n, 1, N_ASSETS, 1), mask, torch.Generator().manual_seed(0))
    loadings = encoder.loadings
    expected = loadings @ loadings.mT
    expected.fill_diagonal_(1.0)  # each asset has the variance that it had over train
    standard = (drawn - encoder.centre) / encoder.scale
    torch.testing.assert_close(torch.cov(standard.mT), expected, rtol=0.0, atol=0.03)
    torch.testing.assert_close(standard.mean(0), torch.zeros(N_ASSETS), rtol=0.0, atol=0.03)
