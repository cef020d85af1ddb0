"""Members forecast together: what is averaged, what is refused, and a whole run of an ensemble."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import zscore

from encoders.base import Encoder
from encoders.baselines.closed_form import ClosedForm
from encoders.baselines.ridge import Ridge
from encoders.checkpoint import Checkpoint
from encoders.data import TrainingData
from encoders.ensemble import Ensemble, EnsembleEncoder, Member, combined
from encoders.states.audit import TrainingFacts
from encoders.states.extraction import Extraction, extract
from encoders.testing.windows import N_ASSETS, make_window, trained
from encoders.training.loop import Experiment, pretrain
from encoders.training.optim import Optim
from encoders.windows import InputShape
from market.prices.labels import Label
from market.scaling.scalers import RobustZScore
from market.splits import Split
from market.states import MarketStates
from tests.encoders import conformance
from tests.encoders.test_audit import PROVENANCE
from tests.encoders.tiny import SPLIT, Tiny, tiny_data

OPTIM = Optim(epochs=1, batch_size=16, learning_rate=1e-2, precision="fp32")
SHAPE = InputShape(lookback=8, n_features=4, n_calendar=3, n_prices=4, n_assets=N_ASSETS)


def learnt(folder: Path, data: TrainingData, seeds: tuple[int, ...] = (0, 1)) -> Ensemble:
    """Trains tiny encoders and a ridge regression, and returns their ensemble."""
    for seed in seeds:
        pretrain(Experiment(Tiny(), data, OPTIM, seed, {"name": "tiny"}), folder / f"tiny_seed_{seed}")
    pretrain(Experiment(Ridge(), data, OPTIM, 0, {"name": "ridge"}), folder / "ridge")
    members = [Member(str(folder / f"tiny_seed_{seed}"), Tiny()) for seed in seeds]
    return Ensemble((*members, Member(str(folder / "ridge"), Ridge())))


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return tiny_data()


@pytest.fixture(scope="module")
def ensemble(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return learnt(tmp_path_factory.mktemp("runs"), data)


@pytest.mark.parametrize(
    "check",
    [
        conformance.check_shapes,
        conformance.check_tokens,
        conformance.check_masked_values_invisible,
        conformance.check_masked_equals_removed,
        conformance.check_other_days_invisible,
        conformance.check_labels_invisible,
        conformance.check_permutation,
        conformance.check_infer_pure,
        conformance.check_evaluation_pure,
    ],
)
def test_an_ensemble_is_an_encoder(check: Callable[..., None]) -> None:
    config = Ensemble((Member("one", Tiny()), Member("other", Tiny(lookback=5, dim=3))))
    encoder = config.build(SHAPE)
    for member, other in zip(encoder.members, (Tiny(), Tiny(lookback=5, dim=3)), strict=True):
        member.load_state_dict(trained(other, replace(SHAPE, lookback=other.lookback)).state_dict())
    check(encoder.eval(), make_window(config, SHAPE))


def test_a_common_forecast_is_the_mean_of_z_scores_in_common_units() -> None:
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 10.0, 0.1])[:, None, None]
    means = rng.normal(size=(3, 4, 9)) * scale + scale
    stds = rng.uniform(0.5, 2, size=means.shape)
    found = combined(torch.tensor(means), torch.tensor(stds), torch.ones(4, 9, dtype=torch.bool))
    level, dispersion = means.mean(axis=2).mean(axis=0), means.std(axis=2).mean(axis=0)
    each = level[:, None] + dispersion[:, None] * zscore(means, axis=2)
    np.testing.assert_allclose(found.mean, each.mean(axis=0), rtol=1e-5)
    variance = (stds**2).mean(axis=0) + each.var(axis=0)  # the law of total variance
    np.testing.assert_allclose(found.std, np.sqrt(variance), rtol=1e-5)


def test_equal_members_forecast_what_one_of_them_does() -> None:
    mean, std = torch.randn(4, 9), torch.rand(4, 9) + 0.5
    mask = torch.rand(4, 9) < 0.8
    found = combined(torch.stack([mean, mean]), torch.stack([std, std]), mask)
    torch.testing.assert_close(found.mean, mean.where(mask, torch.nan), equal_nan=True)
    torch.testing.assert_close(found.std, std.where(mask, torch.nan), equal_nan=True)


def test_a_member_that_tells_no_assets_apart_does_not_turn_their_order() -> None:
    mean = torch.randn(4, 9)
    flat = torch.full((4, 9), 3.0)
    found = combined(torch.stack([mean, flat]), torch.ones(2, 4, 9), torch.ones(4, 9, dtype=torch.bool))
    assert found.mean.argsort(1).equal(mean.argsort(1))


def test_states_stand_side_by_side_and_shorter_look_backs_see_the_last_days(
    ensemble: Ensemble, data: TrainingData
) -> None:
    encoder = ensemble.fit(data, 0).eval()
    window = data.store.gather(torch.arange(40, 44))
    found = encoder.infer(window.features, window.mask, window.calendar, tokens=True)
    parts: list[Encoder] = list(encoder.members)
    shown = [8, 8, 1]
    alone = [
        part.infer(window.features[:, -days:], window.mask, window.calendar[:, -days:], tokens=True)
        for part, days in zip(parts, shown, strict=True)
    ]
    assert found.state.asset.equal(torch.cat([one.state.asset for one in alone], -1))
    assert found.state.market.equal(torch.cat([one.state.market for one in alone], -1))
    assert found.state.codes.equal(torch.cat([one.state.codes for one in alone[:2]], -1))
    assert set(found.tokens) == {"0_moves", "1_moves"}


def test_a_whole_run_leaves_a_checkpoint_that_needs_no_member_and_states_that_pass_the_audit(
    ensemble: Ensemble, data: TrainingData, tmp_path: Path
) -> None:
    assert isinstance(ensemble, ClosedForm)
    metrics = pretrain(Experiment(ensemble, data, OPTIM, 0, {"name": "ensemble"}), tmp_path / "run")
    assert metrics["test"]["n_days"] > 0
    gone = Ensemble(tuple(replace(member, run=f"gone_{k}") for k, member in enumerate(ensemble.members)))
    frozen = Checkpoint.load(tmp_path / "run" / "model.safetensors").restore(
        gone, data.pipeline.features, RobustZScore()
    )
    assert isinstance(frozen.encoder, EnsembleEncoder)
    how = Extraction(PROVENANCE, data.fit_end, TrainingFacts(data.label, RobustZScore(), data.days.train))
    assert extract(frozen, data.panel, tmp_path / "states.safetensors", how).passed
    states = MarketStates.load(tmp_path / "states.safetensors")
    assert states.asset.shape[2] == 8 + 8 + 1
    assert states.codes is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": replace(SPLIT, valid=("2020-04-12", "2020-05-01"))}, "that run learnt from days until 2020-05-11"),
        ({"label": Label(fill="close")}, "that run learnt from label"),
    ],
)
def test_members_of_other_data_are_refused(ensemble: Ensemble, data: TrainingData, change, message) -> None:
    other = replace(data, **change)
    if "split" in change:
        split: Split = change["split"]
        other = replace(other, days=split.days(data.panel.dates, data.label.span))
    with pytest.raises(ValueError, match=message):
        ensemble.fit(other, 0)


def test_a_member_that_is_not_there_is_named(ensemble: Ensemble, data: TrainingData) -> None:
    absent = Ensemble((*ensemble.members, Member("nowhere", Tiny())))
    with pytest.raises(ValueError, match=r"nowhere/model.safetensors: no such file; train the member"):
        absent.fit(data, 0)


def test_members_are_two_or_more_and_different() -> None:
    for members in ((), (Member("a", Tiny()),), (Member("a", Tiny()), Member("a", Tiny()))):
        with pytest.raises(ValueError, match="name two runs or more, each once"):
            Ensemble(members)


def test_seeds_of_an_ensemble_are_the_seeds_of_its_members() -> None:
    found = Ensemble((Member("a", Tiny()), Member("b", Ridge()))).of_seeds((0, 2))
    assert [member.run for member in found.members] == ["a_seed_0", "a_seed_2", "b_seed_0", "b_seed_2"]
