"""tools.sweep: trials without test days, the same whether or not it was interrupted, and mistakes in one line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from configs.files import load_python, source_text
from configs.schema.pretrain import Pretrain
from configs.schema.sweep import Choice, Integer, LogUniform, Sweep, Uniform
from encoders.baselines.gru import GRU
from encoders.baselines.ridge import Ridge
from encoders.training.optim import Optim
from market.features import Formulas
from market.features.table import Feature
from market.panel import Panel
from market.sources.synthetic.source import Synthetic
from market.splits import Split
from pipeline import hyperparameters, trials
from tests.conftest import forget_accelerator
from tools import sweep as tool

TEST = ("2010-11-08", "2010-12-31")


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "panel.safetensors"
    Panel.from_frame(Synthetic(stocks=6, days=270).read()).save(path)
    return path


def base(panel, **changes):
    tiny = Pretrain(
        name="tiny",
        panel=str(panel),
        encoder=GRU(lookback=4, hidden=4, layers=1),
        features=Formulas((Feature("move", "close / delay(close, 1) - 1"), Feature("range", "high / low - 1"))),
        split=Split(train=("2010-01-04", "2010-07-30"), valid=("2010-08-09", "2010-10-29"), test=TEST),
        optim=Optim(epochs=3, batch_size=32, precision="fp32", patience=None),
    )
    return replace(tiny, **changes)


def sweep(panel, **changes):
    small = Sweep(
        name="small",
        base=base(panel),
        dimensions=(
            LogUniform(field="optim.learning_rate", low=1e-5, high=1e-1),
            Choice(field="encoder.hidden", values=(2, 4)),
        ),
        trials=5,
        random_trials=2,
        warmup_epochs=0,
    )
    return replace(small, **changes)


def swept(experiment, workdir, *more):
    workdir.mkdir(parents=True, exist_ok=True)
    config = workdir / f"{experiment.name}.py"
    config.write_text(source_text(experiment))
    tool.main(["--config", str(config), "--workdir", str(workdir), *more])
    return workdir / "sweep" / experiment.name


def summary_of(folder):
    return json.loads((folder / "sweep.json").read_text())


@pytest.fixture(scope="module")
def whole(panel, tmp_path_factory):
    folder = swept(sweep(panel), tmp_path_factory.mktemp("whole"))
    forget_accelerator()
    return folder


def test_the_winner_is_the_best_on_valid_and_its_config_is_ready(whole, panel) -> None:
    summary = summary_of(whole)
    finished = [one for one in summary["trials"] if one["state"] == "finished"]
    assert len({one["params"]["optim.learning_rate"] for one in summary["trials"]}) == 5
    assert summary["best_value"] == max(one["value"] for one in finished)
    best = json.loads((whole / f"trial_{summary['best_trial']}" / "metrics.json").read_text())
    assert summary["best_value"] == best["valid"]["rank_ic"]
    winner = load_python(whole / "best" / "config.py", Pretrain)
    assert winner.optim.learning_rate == summary["best"]["optim.learning_rate"]
    assert winner.encoder.hidden == summary["best"]["encoder.hidden"]
    assert replace(winner, name="tiny", encoder=base(panel).encoder, optim=base(panel).optim) == base(panel)


def test_trials_are_runs_that_tensorboard_lists_by_what_varies(whole) -> None:
    run = whole / "trial_0"
    names = {"config.py", "config.json", "model.safetensors", "metrics.json", "history.jsonl", "tensorboard"}
    assert names <= {path.name for path in run.iterdir()}
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    started = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    for field in ("optim.learning_rate", "encoder.hidden"):
        assert field.encode() in started
    assert b"weight_decay" not in started
    assert "encoder 8 result (valid)/rank_ic" in events.Tags()["scalars"]
    assert not [name for name in events.Tags()["scalars"] if "test" in name]


def test_a_run_below_the_median_is_stopped(whole) -> None:
    trials = summary_of(whole)["trials"]
    assert {one["state"] for one in trials[:2]} == {"finished"}  # the first are left to run
    stopped = [one for one in trials if one["state"] == "stopped early"]
    assert stopped
    for one in stopped:
        assert one["epochs"] < 3
        assert one["value"] is None


def test_test_days_are_not_even_read(whole, panel, tmp_path) -> None:
    """Rewriting every price from the first test day on changes no file of any trial."""
    data = Panel.load(panel)
    values = np.array(data.values)
    values[data.rows(TEST[0], None)] *= np.random.default_rng(0).uniform(0.5, 2, values[data.rows(TEST[0], None)].shape)
    spoilt = tmp_path / "panel.safetensors"
    replace(data, values=values).save(spoilt)
    other = swept(sweep(panel, base=base(spoilt)), tmp_path)
    assert summary_of(other) == summary_of(whole)
    for name in ("metrics.json", "history.jsonl", "forecasts.safetensors"):
        assert (other / "trial_1" / name).read_bytes() == (whole / "trial_1" / name).read_bytes()
    assert "test" not in json.loads((whole / "trial_1" / "metrics.json").read_text())
    assert b"test" not in (whole / "trial_1" / "forecasts.safetensors").read_bytes()
    cut = hyperparameters.known_panel(base(panel))
    assert cut.dates[-1] < np.datetime64(TEST[0])


class KilledError(Exception):
    pass


@pytest.mark.parametrize("moment", ["in an epoch", "after the run"])
def test_a_killed_sweep_tries_what_it_would_have_tried(moment, whole, panel, tmp_path, monkeypatch) -> None:
    """The process dies in the third trial, once before the study hears of an epoch and once before it hears the end."""
    name, module = {"in an epoch": ("report", trials), "after the run": ("conclude", hyperparameters)}[moment]
    right = getattr(module, name)

    def dies(trial, *rest):
        if trial.number == 2 and (name == "conclude" or len(rest[0]) == 1):
            raise KilledError
        return right(trial, *rest)

    monkeypatch.setattr(module, name, dies)
    with pytest.raises(KilledError):
        swept(sweep(panel), tmp_path)
    monkeypatch.setattr(module, name, right)
    before = tmp_path / "sweep" / "small" / "trial_1" / "model.safetensors"
    stamp = before.stat().st_mtime_ns
    folder = swept(sweep(panel), tmp_path)
    assert before.stat().st_mtime_ns == stamp  # what was finished is left alone
    assert summary_of(folder) == summary_of(whole)
    best = f"trial_{summary_of(whole)['best_trial']}/model.safetensors"
    assert (folder / best).read_bytes() == (whole / best).read_bytes()
    storage = JournalStorage(JournalFileBackend(str(folder / "trials.journal")))
    study = optuna.load_study(study_name="small", storage=storage)
    assert len(study.trials) == 5


def test_a_finished_sweep_and_another_configuration_are_refused(whole, panel) -> None:
    workdir = whole.parent.parent
    with pytest.raises(ValueError, match="this run is finished"):
        swept(sweep(panel), workdir)
    (whole / "sweep.json").rename(whole / "sweep.gone")
    with pytest.raises(ValueError, match="started with seed 0, now 1"):
        swept(sweep(panel, seed=1), workdir)
    (whole / "sweep.gone").rename(whole / "sweep.json")


def test_a_trial_that_fails_does_not_end_the_sweep(panel, tmp_path) -> None:
    """A batch larger than the train days fails; the other value does not."""
    dimensions = (Choice(field="optim.batch_size", values=(32, 4096)), Integer(field="encoder.layers", low=1, high=2))
    once = replace(base(panel).optim, epochs=1)
    small = sweep(panel, name="fails", base=base(panel, optim=once), dimensions=dimensions, trials=4, random_trials=4)
    trials = summary_of(swept(small, tmp_path))["trials"]
    failed = [one for one in trials if one["state"] == "failed"]
    assert 0 < len(failed) < 4
    assert all("batch_size is 4096" in one["fault"] for one in failed)
    hopeless = replace(small, name="hopeless", dimensions=(Choice("optim.batch_size", (2048, 4096)),), trials=1)
    with pytest.raises(ValueError, match="none of 1 trials had a metric"):
        swept(hopeless, tmp_path)


def test_a_closed_form_can_be_swept_too(panel, tmp_path) -> None:
    ridge = base(panel, encoder=Ridge())
    dimensions = (LogUniform(field="scaling.clip", low=1.0, high=5.0),)
    folder = swept(sweep(panel, name="ridge", base=ridge, dimensions=dimensions, trials=2), tmp_path)
    assert [one["state"] for one in summary_of(folder)["trials"]] == ["finished", "finished"]


MISTAKES = [
    (lambda: Choice("encoder.hiden", (2, 4)), r"encoder.hiden: GRU has no field 'hiden'; did you mean 'hidden'\?"),
    (lambda: Choice("encoder.hidden", (2, 2.5)), "encoder.hidden is 2.5, expected int"),
    (lambda: Uniform("optim.epochs", 1.0, 2.0), "optim.epochs is 1.0, expected int"),
    (lambda: Choice("seed.value", (1, 2)), "seed is 0 and has no field 'value'"),
    (lambda: LogUniform("optim.learning_rate", -1.0, 1.0), "expected finite numbers above zero"),
    (lambda: Choice("split", ("a", "b")), "split decides what is asked"),
    (lambda: Choice("label.horizon", (1, 2)), "label.horizon decides what is asked"),
    (lambda: Integer("encoder.hidden", 1, 4, 2), "a step that leads from one to the other"),
    (lambda: Choice("seed", (1, 1)), "at least two different ones"),
]


@pytest.mark.parametrize(("dimension", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_dimension_that_cannot_be_swept_is_refused(dimension, message, panel) -> None:
    with pytest.raises(ValueError, match=message):
        sweep(panel, dimensions=(dimension(),))


def test_a_mistake_in_a_config_is_one_line(panel, tmp_path) -> None:
    text = source_text(sweep(panel)).replace("encoder.hidden", "encoder.hiden")
    config = Path(tmp_path / "wrong.py")
    config.write_text(text)
    with pytest.raises(ValueError, match=r"wrong.py: .*did you mean 'hidden'\?") as caught:
        tool.main(["--config", str(config), "--workdir", str(tmp_path)])
    assert "\n" not in str(caught.value)
