"""Ridge and LightGBM: the contract, what they may learn from, and whole runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from encoders.baselines.closed_form import ClosedForm, cross_sections_of
from encoders.baselines.lightgbm import Boosting, LightGBM, TreeEnsemble, nodes_of
from encoders.baselines.ridge import RegressionSums, Ridge
from encoders.checkpoint import Checkpoint
from encoders.states.audit import TrainingFacts
from encoders.states.extraction import Extraction, extract
from encoders.storm.model import Storm
from encoders.training.loop import Experiment, pretrain
from encoders.training.optim import Optim
from evaluation.prediction import prediction_metrics
from market.scaling.scalers import RobustZScore
from tests.encoders.closed_form import ClosedFormConformance, assert_equal_encoders, planted, with_labels
from tests.encoders.conformance import SetConformance
from tests.encoders.test_audit import PROVENANCE
from tests.encoders.tiny import tiny_data

SMALL = Boosting(n_estimators=60, num_leaves=7, lambda_l1=0.0, lambda_l2=10.0, num_threads=1)


class TestRidge(ClosedFormConformance, SetConformance):
    config = Ridge()


class TestRidgeOfReturns(ClosedFormConformance, SetConformance):
    config = Ridge(target=None)


class TestLightGBM(ClosedFormConformance, SetConformance):
    config = LightGBM(boosting=SMALL)


class TestLightGBMOfScores(ClosedFormConformance, SetConformance):
    config = LightGBM(target="zscore", boosting=SMALL)


def test_only_what_has_a_fit_is_fitted() -> None:
    assert isinstance(Ridge(), ClosedForm)
    assert isinstance(LightGBM(), ClosedForm)
    assert not isinstance(Storm(), ClosedForm)


def test_cells_are_the_last_days_of_the_windows() -> None:
    data = planted()
    listed = data.store.listed.clone()
    listed[::7, 2] = False
    data = replace(data, store=replace(data.store, listed=listed, lookback=3))
    days = data.window_days(data.days.valid)
    window = data.store.gather(torch.from_numpy(days))
    parts = list(cross_sections_of(data, days))
    assert torch.cat([part.mask for part in parts]).equal(window.mask)
    shown = window.features[:, -1].where(window.mask[..., None], 0.0)
    assert torch.cat([part.features for part in parts]).equal(shown)


def test_moments_solve_the_penalised_least_squares() -> None:
    draw = torch.Generator().manual_seed(0)
    x, noise = torch.randn(200, 4, generator=draw).double() + 3, torch.randn(200, generator=draw).double()
    y = x @ torch.tensor([1.0, -2.0, 0.0, 0.5]).double() + noise
    moments = RegressionSums(4)
    for rows in (slice(0, 50), slice(50, 200)):
        moments.add(x[rows].float(), y[rows].float())
    coefficient, intercept = (part.clone().requires_grad_() for part in moments.solve(0.3))
    loss = (y - x @ coefficient - intercept).square().mean() + 0.3 * coefficient.square().sum()
    for gradient in torch.autograd.grad(loss, (coefficient, intercept)):
        assert gradient.abs().max() < 1e-5, "the gradient of the objective is not zero at the solution"


def test_ridge_takes_the_penalty_that_ranks_valid_best_and_nothing_else_of_valid() -> None:
    data = planted(strength=0.3)
    alphas = (1e-4, 1.0, 1e4)
    chosen = Ridge(alphas=alphas).fit(data, 0)
    alone = [Ridge(alphas=(alpha,)).fit(data, 0) for alpha in alphas]
    days = torch.from_numpy(data.labelled_days(data.days.valid))
    window = data.store.gather(days)
    label = data.returns[days.numpy()]
    means = [each.predict(window.features, window.mask, window.calendar).mean.numpy() for each in alone]
    scores = [np.mean([spearmanr(*day).statistic for day in zip(mean, label, strict=True)]) for mean in means]
    assert_equal_encoders(chosen, alone[int(np.argmax(scores))])
    only = Ridge(alphas=(1.0,))
    assert_equal_encoders(only.fit(data, 0), only.fit(with_labels(data, data.days.valid), 0))


@pytest.mark.parametrize("alphas", [(), (0.0,), (1.0, -1.0), (float("nan"),), (float("inf"),)])
def test_ridge_refuses_penalties_that_are_none(alphas: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="alphas"):
        Ridge(alphas=alphas)


def test_trees_stop_where_valid_errs_least() -> None:
    data = planted(strength=0.2)
    long = replace(SMALL, n_estimators=400, early_stopping_rounds=10)
    stopped = LightGBM(boosting=long).fit(data, 0)
    assert 0 < len(stopped.trees.nodes) < 300
    other = LightGBM(boosting=long).fit(with_labels(data, data.days.valid), 0)
    assert len(other.trees.nodes) < len(stopped.trees.nodes), "noise on valid must stop it early"


def test_trees_that_need_not_stop_all_grow() -> None:
    config = LightGBM(boosting=replace(SMALL, n_estimators=60, early_stopping_rounds=None))
    grown = [config.fit(data, 0).trees.nodes for data in (planted(), with_labels(planted(), planted().days.valid))]
    assert len(grown[0]) == 60
    assert grown[0].equal(grown[1]), "what happened on valid decides nothing"


def test_threads_decide_nothing() -> None:
    one, two = (LightGBM(boosting=replace(SMALL, num_threads=n)).fit(planted(), 0) for n in (1, 2))
    window = planted().store.gather(torch.arange(20))
    means = [each.predict(window.features, window.mask, window.calendar).mean for each in (one, two)]
    assert means[0].equal(means[1])


def test_trees_say_what_lightgbm_says() -> None:
    data = planted()
    encoder = LightGBM(boosting=SMALL).build(data.store.shape)
    features, targets = encoder.rows(data, data.train_days)
    parameters = {"verbosity": -1, "num_leaves": 31, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, targets), 20)
    encoder.trees.plant(nodes_of(booster))
    np.testing.assert_allclose(encoder.trees(torch.from_numpy(features)).numpy(), booster.predict(features), rtol=1e-12)


def test_a_booster_that_found_nothing_has_trees_of_one_leaf() -> None:
    features = np.zeros((50, 5), dtype=np.float32)
    booster = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(features, np.full(50, 0.5)), 2)
    trees = TreeEnsemble(5)
    trees.plant(nodes_of(booster))
    np.testing.assert_allclose(trees(torch.zeros(3, 5)).numpy(), booster.predict(features[:3]))


TAMPERED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "another shape": lambda nodes: nodes[..., :4],
    "no node": lambda nodes: nodes[:, :0],
    "not a number": lambda nodes: nodes.index_fill(1, torch.tensor([2]), torch.nan),
    "cut short": lambda nodes: nodes[:, :4],
    "a feature that is not there": lambda nodes: nodes + torch.tensor([5.0, 0, 0, 0, 0]),
    "a feature before the first": lambda nodes: nodes - torch.tensor([9.0, 0, 0, 0, 0]),
    "a child that is not there": lambda nodes: nodes + torch.tensor([0.0, 0, 99, 0, 0]),
    "half a child": lambda nodes: nodes + torch.tensor([0.0, 0, 0.5, 0.5, 0]),
    "a loop": lambda nodes: nodes.index_fill(1, torch.tensor([1]), 0.0),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampered_trees_are_refused_in_one_line(how: str) -> None:
    nodes = LightGBM(boosting=SMALL).fit(planted(), 0).trees.nodes
    with pytest.raises(ValueError, match=r"trees: .*fit them again") as error:
        TreeEnsemble(5).set_extra_state(TAMPERED[how](nodes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("config", [Ridge(), LightGBM(boosting=SMALL)], ids=["ridge", "trees"])
def test_returns_shuffled_in_time_teach_nothing(config: ClosedForm, tmp_path: Path) -> None:
    data = tiny_data(lookback=1)
    order = np.random.default_rng(0).permutation(len(data.panel))
    store = replace(data.store, forward_return=data.store.forward_return[torch.from_numpy(order)])
    shuffled = replace(data, store=store, returns=data.returns[order])
    metrics = pretrain(Experiment(config, shuffled, Optim(batch_size=16)), tmp_path)
    assert abs(metrics["test"]["rank_ic"]) < 4 / np.sqrt(5 * metrics["test"]["n_days"])


@pytest.mark.parametrize("config", [Ridge(), LightGBM(boosting=SMALL)], ids=["ridge", "trees"])
def test_a_run_leaves_what_every_run_leaves(config: ClosedForm, tmp_path: Path) -> None:
    """The checkpoint is what was fitted and evaluated, its states pass the audit, a second run writes the same."""
    data = tiny_data(lookback=1)
    metrics = pretrain(Experiment(config, data, Optim(batch_size=16), 0, {"name": "tiny"}), tmp_path / "one")
    pretrain(Experiment(config, data, Optim(batch_size=16), 0, {"name": "tiny"}), tmp_path / "two")
    for name in ("model.safetensors", "metrics.json", "history.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (metrics["best_epoch"], metrics["n_epochs"]) == (0, 1)
    assert metrics["valid"]["rank_ic"] > 0.3, "yesterday's return tells tomorrow's in the tiny market"
    model = Checkpoint.load(tmp_path / "one" / "model.safetensors")
    frozen = model.restore(config, data.pipeline.features, RobustZScore())
    assert_equal_encoders(frozen.encoder, config.fit(data, 0))
    days = data.window_days(data.days.test)
    found = frozen.rows(frozen.store(data.panel), days)
    evaluated = prediction_metrics(found.forecast_mean, data.returns[days], found.mask, data.label.horizon)
    assert evaluated["rank_ic"] == pytest.approx(metrics["test"]["rank_ic"])
    how = Extraction(PROVENANCE, data.fit_end, TrainingFacts(data.label, RobustZScore(), data.days.train))
    verdict = extract(frozen, data.panel, tmp_path / "states.safetensors", how)
    assert verdict.passed, verdict.faults
