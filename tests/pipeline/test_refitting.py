"""Refits on a calendar: each an ordinary run, one states file out of all, continued wherever it was killed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pipeline
from agents.baselines.simple import TopKDropN
from configs.files import load_json
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.walk import Walk
from encoders.baselines.ridge import Ridge
from encoders.ensemble import Ensemble
from encoders.factor_vae import FactorVAE
from encoders.training.optim import Optim
from evaluation.prediction import daily_rank_ic
from market.features import Formulas
from market.features.external import WithColumns
from market.features.table import Feature
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.scalers import CrossSectionalZScore
from market.sources.synthetic.source import Synthetic
from market.sources.tables import Tables
from market.splits import WalkForward
from market.states import MarketStates
from pipeline import refitting as stage
from tests.pipeline.test_stages import SPLIT

WALK = Walk(
    name="walk",
    experiment=Pretrain(
        name="ridge",
        panel="",
        encoder=Ridge(),
        features=Formulas((Feature("move", "close / delay(close, 1) - 1"), Feature("range", "high / low - 1"))),
        split=SPLIT,
        portfolio=TopKDropN(k=2, n_drop=1),
        optim=Optim(epochs=2, batch_size=32, precision="fp32"),
    ),
    calendar=WalkForward(first="2010-09-01", every="month", valid=30),
)
NETWORK = FactorVAE(lookback=4, hidden=4, portfolios=4, factors=2, rank=1.0)


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    return pipeline.prepare(
        Prepare(name="tiny", source=Synthetic(stocks=8, days=270)), tmp_path_factory.mktemp("d")
    ).panel


def placed(bars: Panel, workdir: Path, days: int | None = None) -> str:
    """Writes the first days of the panel into a working directory and returns its path."""
    path = workdir / "panel.safetensors"
    bars[:days].save(path)
    return str(path)


def walk(bars: Panel, workdir: Path, days: int | None = None, **changes: Any) -> pipeline.WalkResult:
    base = changes.pop("experiment", WALK.experiment)
    panel = placed(bars, workdir, days)
    return pipeline.walk(replace(WALK, experiment=replace(base, panel=panel), **changes), workdir)


def with_encoder(encoder: Any) -> dict[str, Any]:
    return {"experiment": replace(WALK.experiment, encoder=encoder)}


@pytest.fixture(scope="module")
def whole(bars: Panel, tmp_path_factory: pytest.TempPathFactory) -> pipeline.WalkResult:
    return walk(bars, tmp_path_factory.mktemp("whole"))


def test_every_day_is_served_by_a_fit_that_had_not_seen_it(whole: pipeline.WalkResult, bars: Panel) -> None:
    states = MarketStates.load(whole.states)
    start = int(np.searchsorted(bars.dates, np.datetime64("2010-09-01")))
    np.testing.assert_array_equal(states.dates, bars.dates[start:])
    assert not states.in_sample.any()
    assert states.audited
    assert len(np.unique(states.fold)) == len(whole.metrics["folds"]) == 5
    for fold, said in enumerate(whole.metrics["folds"]):
        assert (states.fit_end[states.fold == fold].astype(str) == said["fit_end"]).all()
    audit = json.loads(whole.states.with_name("audit.json").read_text())
    assert audit["verdict"] == "passed"
    assert audit.items() >= states.identity.items(), "the audit names the states that it is of"
    assert len(audit["folds"]) == 5


def test_each_refit_is_an_ordinary_run_whose_forecasts_are_stitched(whole: pipeline.WalkResult, bars: Panel) -> None:
    states = MarketStates.load(whole.states)
    workdir = whole.folder.parent.parent
    record = json.loads((whole.folder / "walk.json").read_text())["folds"]
    for fold, said in enumerate(record):
        run = workdir / "pretrain" / said["states"]
        assert json.loads((run / "metrics.json").read_text())["fit_end"] == said["fit_end"]
        assert load_json(run / "config.json", Pretrain).split.test[0] == said["serves"][0]
        own = MarketStates.load(workdir / "states" / said["states"] / "states.safetensors")
        rows = states.fold == fold
        there = np.searchsorted(own.dates, states.dates[rows])
        np.testing.assert_array_equal(states.forecast_mean[rows], own.forecast_mean[there])


def test_the_measures_are_those_of_the_stitched_forecasts(whole: pipeline.WalkResult, bars: Panel) -> None:
    states, metrics = MarketStates.load(whole.states), whole.metrics
    returns = Label().compute(bars)[-len(states.dates) :]
    daily = daily_rank_ic(states.forecast_mean.astype(float), returns, states.mask)
    known = np.isfinite(daily)
    assert metrics["stitched"]["rank_ic"] == pytest.approx(daily[known].mean())
    for fold, said in enumerate(metrics["folds"]):
        assert said["served"] == pytest.approx(daily[known & (states.fold == fold)].mean())
    workdir = whole.folder.parent.parent
    first = json.loads((whole.folder / "walk.json").read_text())["folds"][0]["states"]
    alone = MarketStates.load(workdir / "states" / first / "states.safetensors")
    later = known & (states.fold > 0)
    mean = alone.forecast_mean[-len(states.dates) :].astype(float)
    single = daily_rank_ic(mean, returns, states.mask)
    gain = metrics["refitting"]
    assert gain["first"] == pytest.approx(single[later].mean())
    assert gain["difference"] == pytest.approx((daily - single)[later].mean())
    assert gain["days"] == later.sum()
    assert sum(one["days"] for one in metrics["by_age"]) > known.sum()
    assert "Refitting against the first fit alone" in whole.page.read_text()


def test_encoders_taught_ranks_of_several_days_are_judged_on_plain_returns(bars: Panel, tmp_path: Path) -> None:
    taught = Label(transform="rank", horizons=(1, 2, 3))
    experiment = replace(WALK.experiment, label=taught, panel=placed(bars, tmp_path))
    found = pipeline.walk(
        replace(WALK, experiment=experiment, calendar=replace(WALK.calendar, every="quarter")), tmp_path
    )
    states = MarketStates.load(found.states)
    returns = Label().compute(bars)[-len(states.dates) :]
    daily = daily_rank_ic(states.forecast_mean.astype(float), returns, states.mask)
    assert found.metrics["stitched"]["rank_ic"] == pytest.approx(np.nanmean(daily))


def files_of(workdir: Path) -> dict[str, bytes]:
    """Returns everything a walk leaves that says something of the market, by path."""
    names = ("states.safetensors", "model.safetensors", "metrics.json", "walk.json", "audit.json", "report.html")
    found = [path for name in names for path in sorted(workdir.rglob(name))]
    return {str(path.relative_to(workdir)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def undisturbed(bars: Panel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A working directory, and the files of a walk in it; checkpoints name the directory, so it must be the same."""
    workdir = tmp_path_factory.mktemp("undisturbed")
    walk(bars, workdir)
    return workdir, files_of(workdir)


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize(
    ("place", "nth"),
    [("pretrain", 0), ("pretrain", 2), ("extract", 1), ("_joint_audit", 0), ("walk_metrics", 0), ("write_text", 0)],
)
def test_a_walk_that_was_killed_ends_in_the_same_files(place, nth, undisturbed, bars, monkeypatch) -> None:
    real, calls = getattr(stage, place), [0]
    workdir, expected = undisturbed
    for part in ("pretrain", "states", "walk"):
        shutil.rmtree(workdir / part)

    def killed(*args, **kwargs):
        calls[0] += 1
        if calls[0] > nth:
            raise KilledError
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(stage, place, killed)
        with pytest.raises(KilledError):
            walk(bars, workdir)
    assert not (workdir / "walk" / "walk" / "metrics.json").exists()
    walk(bars, workdir)
    found = files_of(workdir)
    assert found.keys() == expected.keys()
    assert [name for name, content in found.items() if content != expected[name]] == []
    assert not list(workdir.rglob("*.part"))


def test_a_walk_that_was_killed_while_stitching_leaves_no_half_of_a_file(whole, bars, tmp_path, monkeypatch) -> None:
    from encoders.states import stitching

    def killed(fold, *rest):
        if fold.number == 3:
            raise KilledError
        return copy(fold, *rest)

    copy = stitching._copy
    with monkeypatch.context() as patch:
        patch.setattr(stitching, "_copy", killed)
        with pytest.raises(KilledError):
            walk(bars, tmp_path)
    assert not (tmp_path / "states" / "walk" / "states.safetensors").exists()
    assert walk(bars, tmp_path).metrics == whole.metrics


def test_a_walk_continues_with_new_days_and_refits_only_what_is_due(whole, bars, tmp_path) -> None:
    short = walk(bars, tmp_path, days=220)
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "pretrain").glob("*/model.safetensors")}
    assert 1 < len(runs) < 5
    before = MarketStates.load(short.states)
    forecast, dates = np.array(before.forecast_mean), before.dates
    longer = walk(bars, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    states = MarketStates.load(longer.states)
    np.testing.assert_array_equal(states.dates[: len(dates)], dates)
    np.testing.assert_array_equal(states.forecast_mean[: len(dates)], forecast)
    at_once = MarketStates.load(whole.states)
    for name in ("asset", "market", "forecast_mean", "forecast_std", "mask", "fit_end", "fold", "dates"):
        np.testing.assert_array_equal(getattr(states, name), getattr(at_once, name))
    assert longer.metrics["stitched"] == whole.metrics["stitched"]
    assert walk(bars, tmp_path).metrics == longer.metrics


def test_several_seeds_forecast_together_and_networks_may_start_warm(bars, tmp_path) -> None:
    changes = with_encoder(NETWORK)
    changes["experiment"] = replace(changes["experiment"], panel=placed(bars, tmp_path))
    calendar = replace(WALK.calendar, every="quarter")
    found = pipeline.walk(
        replace(WALK, **changes, seeds=(0, 1), start="warm", warm_epochs=1, calendar=calendar), tmp_path
    )
    record = json.loads((found.folder / "walk.json").read_text())["folds"]
    assert [len(one["runs"]) for one in record] == [3, 3]
    first, second = (
        [load_json(tmp_path / "pretrain" / run / "config.json", Pretrain) for run in one["runs"]] for one in record
    )
    assert isinstance(second[2].encoder, Ensemble)
    for before, after in zip(first[:2], second[:2], strict=True):
        assert before.warm_start is None
        assert after.warm_start == str(tmp_path / "pretrain" / before.name)
        assert (before.optim.epochs, after.optim.epochs) == (2, 1)
    states = MarketStates.load(found.states)
    assert (
        states.asset.shape[2]
        == 2 * MarketStates.load(tmp_path / "states" / record[0]["states"] / "states.safetensors").asset.shape[2] // 2
    )
    assert not states.in_sample.any()


def test_what_all_refits_are_fed_with_is_audited_once(bars, tmp_path, monkeypatch) -> None:
    from encoders.states import inputs

    real, looked_at = inputs.audit_columns, []

    def counted(compute, panel, *rest):
        looked_at.append(len(panel))
        return real(compute, panel, *rest)

    monkeypatch.setattr(inputs, "audit_columns", counted)
    alike = replace(WALK.experiment, scaling=CrossSectionalZScore(), panel=placed(bars, tmp_path))
    pipeline.walk(replace(WALK, experiment=alike), tmp_path)
    assert looked_at == [len(bars)]
    pipeline.walk(replace(WALK, experiment=alike), tmp_path)  # nothing is left to train, so nothing is audited
    assert looked_at == [len(bars)]
    looked_at.clear()
    walk(bars, tmp_path, name="fitted")  # its scaling is fitted anew each time, so each refit is fed with other values
    assert len(looked_at) == 1 + 2 * 4


def test_inputs_that_fail_the_audit_are_the_failure_of_the_first_refit(bars, tmp_path, monkeypatch) -> None:
    from encoders.states import inputs

    real = inputs.audit_inputs
    monkeypatch.setattr(
        inputs, "audit_inputs", lambda *args: replace(real(*args), faults=("move: depends on later days",))
    )
    with pytest.raises(
        ValueError, match=r"^fold 0 \(serves from 2010-09-01 on\), walk_2010-09-01_seed_0: .*depends on later days"
    ):
        walk(bars, tmp_path)


def test_a_first_refit_with_too_few_days_is_one_line_and_leaves_nothing(bars, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"before 2010-02-01 there are \d+ trading days, but train of 30"):
        walk(bars, tmp_path, calendar=WalkForward("2010-02-01", "month", valid=30))
    assert {path.name for path in tmp_path.iterdir()} == {"panel.safetensors"}


def test_a_refit_that_fails_is_named_and_finished_ones_stay(bars, tmp_path, monkeypatch) -> None:
    real = stage.pretrain

    def failing(run, *args, **kwargs):
        if "2010-11" in run.name:
            raise ValueError("training diverged at step 3")
        return real(run, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "pretrain", failing)
        with pytest.raises(
            ValueError, match=r"^fold 2 \(serves from 2010-11-01 on\), walk_2010-11-01_seed_0: training"
        ):
            walk(bars, tmp_path)
    assert len(list((tmp_path / "pretrain").glob("*/metrics.json"))) == 2


def test_another_panel_than_that_of_the_finished_refits_is_refused(bars, tmp_path) -> None:
    walk(bars, tmp_path, days=220)
    values = bars.values.copy()
    values[5, 0, 0] *= 1.01
    with pytest.raises(ValueError, match=r"^fold \d .*: checkpoint was trained on another panel: its first \d+ days"):
        walk(replace(bars, values=values), tmp_path)


def test_another_configuration_is_refused_and_overwrite_begins_again(bars, tmp_path) -> None:
    first = walk(bars, tmp_path)
    with pytest.raises(ValueError, match=r"walk: started with .*valid.*; use the same, or --overwrite to start again"):
        walk(bars, tmp_path, calendar=replace(WALK.calendar, valid=25))
    old = first.states.read_bytes()
    panel = placed(bars, tmp_path)
    changed = replace(WALK, experiment=replace(WALK.experiment, panel=panel), calendar=replace(WALK.calendar, valid=25))
    assert pipeline.walk(changed, tmp_path, overwrite=True).states.read_bytes() != old


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, "seeds are"),
        ({"start": "warm"}, "Ridge is fitted at once and has no weights to start from; start fresh"),
        ({"warm_epochs": 3}, "warm_epochs is 3, expected at least 1 with start 'warm'"),
        ({"earlier": (WALK.experiment,)}, "ridge needs no earlier stage"),
    ],
)
def test_a_walk_that_makes_no_sense_is_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(WALK, **changes)


def test_states_of_a_single_fit_of_a_walk_are_ordinary_states(whole: pipeline.WalkResult, tmp_path: Path) -> None:
    shutil.copytree(whole.folder.parent.parent / "states", tmp_path / "states")
    name = json.loads((whole.folder / "walk.json").read_text())["folds"][1]["states"]
    states = MarketStates.load(tmp_path / "states" / name / "states.safetensors")
    assert states.in_sample.any()
    assert not states.in_sample.all()


def own_columns(workdir: Path, bars: Panel, days: int, factor: float = 1.0, lag: int = 0) -> dict[str, Any]:
    """A walk on one column of a table of the first days, of which one value of 2010-10 is changed by the factor."""
    values = np.random.default_rng(0).normal(size=bars.shape[:2])
    values[200, 3] *= factor
    frame = pd.DataFrame(values[:days], index=bars.dates[:days], columns=bars.assets)
    frame.rename_axis("date").melt(ignore_index=False, var_name="symbol", value_name="own").reset_index().to_csv(
        workdir / "own.csv", index=False
    )
    features = WithColumns(str(workdir / "own.csv"), lag=lag, base=WALK.experiment.features)
    return {"experiment": replace(WALK.experiment, features=features)}


def test_a_table_of_own_columns_may_grow_but_not_change(bars: Panel, tmp_path: Path) -> None:
    first = walk(bars, tmp_path, days=220, **own_columns(tmp_path, bars, 220)).states.read_bytes()
    longer = walk(bars, tmp_path, **own_columns(tmp_path, bars, len(bars))).states.read_bytes()
    assert longer != first
    with pytest.raises(
        ValueError, match=r"own\.csv: rows until 20\d\d-\d\d-\d\d are others than those that .*walk was made of"
    ) as told:
        walk(bars, tmp_path, **own_columns(tmp_path, bars, len(bars), factor=2.0))
    assert "give the walk another --name, or --overwrite to start again" in str(told.value)
    panel = placed(bars, tmp_path)
    changed = replace(WALK, **own_columns(tmp_path, bars, len(bars), factor=2.0))
    changed = replace(changed, experiment=replace(changed.experiment, panel=panel))
    assert pipeline.walk(changed, tmp_path, overwrite=True).states.read_bytes() != longer
    assert pipeline.walk(changed, tmp_path).states.exists()


def test_a_walk_continues_where_a_dividend_restated_the_past(
    bars: Panel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def prepared(days: int, factor: float) -> Panel:
        frame = bars[:days].to_frame()[["date", "symbol", "open", "high", "low", "close", "volume"]]
        early = (frame["symbol"] == bars.assets[0]) & (frame["date"] < bars.dates[230])
        frame.assign(adj_close=frame["close"].where(~early, frame["close"] * factor)).to_csv(tmp_path / "p.csv")
        made = Prepare(name="paid", source=Tables(path=str(tmp_path / "p.csv")))
        return pipeline.prepare(made, tmp_path, overwrite=True).panel

    before = prepared(220, 1.0)
    experiment = replace(WALK.experiment, panel=str(tmp_path / "data" / "paid" / "panel.safetensors"))
    short = MarketStates.load(pipeline.walk(replace(WALK, experiment=experiment), tmp_path).states)
    forecast = np.array(short.forecast_mean)
    with caplog.at_level("INFO"):
        after = prepared(len(bars), 0.99)
    assert f"restated by a factor, {bars.assets[0]} by 0.99; returns are the same" in caplog.text
    np.testing.assert_array_equal(after.values[:220], before.values)
    paid = after["close"][230, 0] / after["close"][229, 0] / (after["raw_close"][230, 0] / after["raw_close"][229, 0])
    assert paid == pytest.approx(1 / 0.99)
    longer = MarketStates.load(pipeline.walk(replace(WALK, experiment=experiment), tmp_path).states)
    np.testing.assert_array_equal(longer.forecast_mean[: len(forecast)], forecast)
    assert len(longer.dates) > len(forecast)
