"""The loop: learns, resumes to the bit, stops on NaN, and counts every day once on any number of processes."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import encoders.training.loop as training
from encoders.baselines.gru import GRU
from encoders.checkpoint import Checkpoint
from encoders.training.early_stopping import TrainingProgress
from encoders.training.launch import (
    chosen_precision,
    lost_threads,
    make_accelerator,
    native_precision,
    refuse_lost_processes,
    refuse_other_accumulation,
)
from encoders.training.loop import Experiment, averaged, pretrain
from encoders.training.optim import Optim, epoch_batches
from evaluation.prediction import prediction_metrics
from market.storage.array_file import read_arrays
from tests.encoders.tiny import Tiny, TinyEncoder, tiny_data

OPTIM = Optim(epochs=3, batch_size=16, learning_rate=1e-2, precision="fp32", save_every=2, warmup=0.1)
ROOT = Path(__file__).parents[2]


def experiment(optim: Optim = OPTIM, seed: int = 0, **changes: Any) -> Experiment:
    return Experiment(Tiny(), tiny_data(), optim, seed, {"name": "tiny"}, **changes)


def weights(folder: Path) -> dict[str, np.ndarray]:
    arrays, _ = read_arrays(folder / "last" / "state.safetensors", "pretrain-state", 1)
    return {name: np.array(array) for name, array in arrays.items()}


def assert_equal_runs(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert (one / "metrics.json").read_text() == (other / "metrics.json").read_text()
    assert (one / "history.jsonl").read_text() == (other / "history.jsonl").read_text()


class KilledError(Exception):
    """Stands for a kill: nothing in the loop catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    learn = training._Run.learn

    def learn_or_die(self: Any, batch: Any, number: int, rate: float) -> Any:
        if number == step:
            raise KilledError
        return learn(self, batch, number, rate)

    monkeypatch.setattr(training._Run, "learn", learn_or_die)


def test_it_learns_what_is_planted_and_writes_every_file(tmp_path: Path) -> None:
    metrics = pretrain(experiment(replace(OPTIM, epochs=12)), tmp_path)
    assert metrics["test"]["rank_ic"] > 0.3  # yesterday's move is planted in tomorrow's
    assert metrics["valid"]["rank_ic"] == max(
        json.loads(line)["valid"]["rank_ic"] for line in (tmp_path / "history.jsonl").read_text().splitlines()
    )
    assert metrics["train"]["codebooks"]["moves"]["usage"] >= 0.5
    assert metrics["fit_end"] == "2020-05-11"  # the label of the last valid day, 05-09, ends two days later
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert list((tmp_path / "tensorboard").rglob("events*"))


def test_labels_shuffled_in_time_teach_nothing(tmp_path: Path) -> None:
    data = tiny_data()
    order = np.random.default_rng(0).permutation(len(data.panel))
    store = replace(data.store, forward_return=data.store.forward_return[torch.from_numpy(order)])
    shuffled = replace(data, store=store, returns=data.returns[order])
    metrics = pretrain(replace(experiment(replace(OPTIM, epochs=6)), data=shuffled), tmp_path)
    assert abs(metrics["test"]["rank_ic"]) < 4 / np.sqrt(5 * metrics["test"]["n_days"])


@pytest.mark.parametrize("step", [0, 3, 5, 6, 14])
def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    optim = replace(OPTIM, ema_decay=0.9, accumulation=2, average_best=2, feature_dropout=0.3)
    pretrain(experiment(optim), tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(KilledError):
            pretrain(experiment(optim), tmp_path / "killed")
    pretrain(experiment(optim), tmp_path / "killed")
    assert_equal_runs(tmp_path / "whole", tmp_path / "killed")


def test_a_run_killed_before_its_metrics_only_judges_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretrain(experiment(), tmp_path)
    before = (tmp_path / "metrics.json").read_text()
    (tmp_path / "metrics.json").unlink()
    monkeypatch.setattr(training._Run, "learn", None)
    pretrain(experiment(), tmp_path)
    assert (tmp_path / "metrics.json").read_text() == before


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        pretrain(experiment(seed=seed), tmp_path / name)
    assert_equal_runs(tmp_path / "one", tmp_path / "same")
    assert not np.array_equal(
        weights(tmp_path / "one")["encoder/head.weight"], weights(tmp_path / "other")["encoder/head.weight"]
    )


def test_steps_are_taken_at_the_scheduled_rate(tmp_path: Path) -> None:
    run = training._Run(experiment(), tmp_path)
    run.learn(run.data.train_days[:16], 0, 3e-4)
    assert [group["lr"] for group in run.learner.optimizer.param_groups] == pytest.approx([3e-4, 3e-4])


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    pretrain(experiment(), tmp_path)
    with pytest.raises(ValueError, match=r"started with seed 0, now 1"):
        pretrain(experiment(seed=1), tmp_path)
    with pytest.raises(ValueError, match=r"started with optim.epochs 3, now 4"):
        pretrain(experiment(replace(OPTIM, epochs=4)), tmp_path)


def test_averaged_weights_are_what_is_judged_and_kept(tmp_path: Path) -> None:
    pretrain(experiment(replace(OPTIM, ema_decay=0.99, patience=None)), tmp_path)
    state, kept = weights(tmp_path), Checkpoint.load(tmp_path / "model.safetensors")
    epochs = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    scores = [epoch["valid"]["rank_ic"] for epoch in epochs]
    assert not np.array_equal(state["average/module.head.weight"], state["encoder/head.weight"])
    if int(np.argmax(scores)) == len(scores) - 1:
        np.testing.assert_array_equal(kept.weights["head.weight"], state["average/module.head.weight"])


def test_averages_follow_a_plain_recurrence() -> None:
    encoder = torch.nn.Linear(1, 1, bias=False)
    average = averaged(encoder, 0.5)
    expected, values = 0.0, [1.0, 3.0, -2.0, 5.0]
    for n, value in enumerate(values):
        encoder.weight.data.fill_(value)
        average.update_parameters(encoder)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = value if n == 0 else decay * expected + (1 - decay) * value
        assert average.module.weight.item() == pytest.approx(expected)  # type: ignore[union-attr, operator]


def test_training_stops_after_patience_and_keeps_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.1, 0.3, 0.2, None, 0.2, 0.9])
    monkeypatch.setattr(training, "score", lambda valid, metric: next(scores))
    metrics = pretrain(experiment(replace(OPTIM, epochs=6, patience=3)), tmp_path)
    assert (metrics["best_epoch"], metrics["n_epochs"]) == (1, 5)
    assert Checkpoint.load(tmp_path / "model.safetensors").about["epoch"] == 1


def test_a_diverging_loss_stops_with_step_and_terms_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = TinyEncoder.forward, iter(range(1000))

    def diverge(self: TinyEncoder, window: Any) -> Any:
        encoding = forward(self, window)
        bad = self.training and next(calls) == 8
        return encoding._replace(loss=encoding.loss * torch.nan) if bad else encoding

    monkeypatch.setattr(TinyEncoder, "forward", diverge)
    with pytest.raises(ValueError, match=r"diverged at step 8: total nan, error .*keeps the best epoch"):
        pretrain(experiment(), tmp_path)
    assert Checkpoint.load(tmp_path / "model.safetensors").about["epoch"] == 0
    assert all(np.isfinite(array).all() for array in weights(tmp_path).values())


def test_parts_with_fewer_assets_weigh_less(tmp_path: Path) -> None:
    """The gradient of unequal parts is that of the mean over all listed assets, which one batch takes."""
    data = tiny_data()
    listed = torch.ones_like(data.store.listed)
    listed[:, -1] = False  # has no labels yet
    listed[20:40, 2:] = False
    data = replace(data, store=replace(data.store, listed=listed))
    days, gradients = np.r_[10:18, 30:38], []  # eight days of five assets, eight of two
    for parts in (1, 2, 4):
        encoder = GRU(lookback=data.store.lookback, hidden=4, layers=1, rank=0.0)
        optim = replace(OPTIM, accumulation=parts, learning_rate=1e-9, clip_norm=1e9)
        run = training._Run(Experiment(encoder, data, optim), tmp_path / str(parts))
        run.encoder.label_scale.observe(data.store.forward_return[days], listed[days])
        run.encoder.label_scale.observe = lambda *_: None  # one scale for all
        run.learner.optimizer.zero_grad = lambda: None
        run.learn(days, 0, 1e-9)
        gradients.append(torch.cat([p.grad.flatten() for p in run.encoder.parameters()]))
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-3, atol=1e-5)


def test_accumulated_parts_add_up_to_the_whole_batch(tmp_path: Path) -> None:
    plain = replace(experiment(replace(OPTIM, epochs=1)), encoder=Tiny(dropout=0.0))
    data = replace(plain.data, store=replace(plain.data.store, listed=torch.ones_like(plain.data.store.listed)))
    norms = []
    for parts in (1, 4):
        changed = replace(plain, data=data, optim=replace(plain.optim, accumulation=parts))
        run = training._Run(changed, tmp_path / str(parts))
        monkey_noise = torch.randn_like
        torch.randn_like = torch.zeros_like  # type: ignore[assignment]
        try:
            norms.append(run.learn(data.train_days[:16], 0, 1e-3)[1])
        finally:
            torch.randn_like = monkey_noise
    assert norms[0] == pytest.approx(norms[1], rel=1e-2)


def test_parts_that_list_more_assets_have_the_larger_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    plain = replace(experiment(replace(OPTIM, epochs=1)), encoder=Tiny(dropout=0.0))
    days = plain.data.train_days
    listed = plain.data.store.mask(torch.from_numpy(days)).sum(1).numpy()
    batch = np.concatenate([days[listed == 5][:8], days[listed == 6][:8]])  # as many days, not as many assets
    errors = []
    for parts in (1, 2):
        run = training._Run(replace(plain, optim=replace(plain.optim, accumulation=parts)), tmp_path / str(parts))
        errors.append(run.learn(batch, 0, 1e-3)[0]["error"])
    assert errors[0] == pytest.approx(errors[1], rel=1e-6)


def test_a_backtest_is_asked_about_valid_each_epoch_and_about_test_once(tmp_path: Path) -> None:
    asked = []

    def backtest(mean: np.ndarray, rows: slice) -> dict[str, float]:
        asked.append(rows)
        assert np.isfinite(mean[rows][:, 0]).all()
        assert np.isnan(mean[: rows.start]).all()
        return {"sharpe": 1.5}

    metrics = pretrain(experiment(backtest=backtest), tmp_path)
    days = tiny_data().days
    assert asked.count(days.valid) == 4
    assert asked.count(days.test) == 1
    assert metrics["test"]["portfolio"] == {"sharpe": 1.5}


def test_a_batch_that_cannot_be_shared_or_filled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"batch_size 16 cannot be shared equally by 1 processes that each take 3"):
        pretrain(experiment(replace(OPTIM, accumulation=3)), tmp_path)
    with pytest.raises(ValueError, match=r"batch_size is 512, but train has only 93 usable days"):
        pretrain(experiment(replace(OPTIM, batch_size=512)), tmp_path)


def test_a_codebook_larger_than_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"codebook moves has 1024 codes, but 93 training days x 6 tokens"):
        pretrain(replace(experiment(), encoder=Tiny(codebook_size=1024)), tmp_path)


def test_epochs_show_each_day_at_most_once_and_differ() -> None:
    days = np.arange(100, 203)
    first, second = (epoch_batches(days, 16, seed=3, epoch=k) for k in (0, 1))
    assert first.shape == (6, 16)
    assert len(set(first.ravel())) == 96
    assert set(first.ravel()) <= set(days)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, epoch_batches(days, 16, seed=3, epoch=0))


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
def test_the_learning_rate_rises_and_falls(decay: Any) -> None:
    optim = Optim(learning_rate=2.0, warmup=0.1, decay=decay)
    rates = [optim.rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == pytest.approx(2.0)
    assert all(before >= after for before, after in pairwise(rates[9:]))
    assert rates[-1] == pytest.approx(2.0 if decay == "constant" else 0.0, abs=0.03)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("average_best", 0),
        ("feature_dropout", 1.0),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("warmup", 1.0),
        ("ema_decay", 1.0),
        ("patience", 0),
    ],
)
def test_impossible_settings_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"optim: {field} is {value}"):
        Optim(**{field: value})


def test_a_launch_that_lost_its_processes_is_refused() -> None:
    make_accelerator = {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1"}
    with pytest.raises(ValueError, match=r"torchrun --nproc_per_node 2 -m tools\.pretrain"):
        refuse_lost_processes(make_accelerator, 1)
    with pytest.raises(ValueError, match="launched for 2 processes, but only 1"):
        refuse_lost_processes({"WORLD_SIZE": "2"}, 1)
    refuse_lost_processes(make_accelerator | {"WORLD_SIZE": "2"}, 2)
    refuse_lost_processes({"ACCELERATE_MIXED_PRECISION": "no"}, 1)
    refuse_lost_processes({"MASTER_ADDR": "cluster"}, 1)


def test_threads_that_accelerate_took_are_given_back() -> None:
    assert lost_threads({"ACCELERATE_MIXED_PRECISION": "no", "OMP_NUM_THREADS": "1"}, 8) == 8
    assert lost_threads({"ACCELERATE_MIXED_PRECISION": "no", "OMP_NUM_THREADS": "4"}, 8) == 0
    assert lost_threads({"OMP_NUM_THREADS": "1"}, 8) == 0


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import torch
from accelerate import PartialState
from encoders.training.loop import Experiment, pretrain
from encoders.training.optim import Optim
from tests.encoders.test_training import OPTIM, experiment
from dataclasses import replace
import encoders.training.loop as training

folder = Path(sys.argv[1])
runs = []
build = training._Run.__init__
def remember(self, *args):
    build(self, *args)
    runs.append(self)
training._Run.__init__ = remember
metrics = pretrain(experiment(replace(OPTIM, ema_decay=0.9)), folder)
run, rank = runs[0], PartialState().process_index
forecasts = run.evaluator.forecasts(run.encoder, run.data.days.test)
np.save(folder / f"mean{rank}.npy", forecasts.mean)
np.save(folder / f"codebook{rank}.npy", run.learner.average.module.quantizer.codebook.detach().numpy())
np.save(folder / f"weight{rank}.npy", run.learner.average.module.head.weight.detach().numpy())
PartialState().destroy_process_group()
"""


def launch(folder: Path, processes: int) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(
        [*command, str(folder / "run.py"), str(folder)], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.slow
def test_two_processes_agree_and_count_each_day_once(tmp_path: Path) -> None:
    done = launch(tmp_path / "two", 2)
    assert done.returncode == 0, done.stderr
    for name in ("mean", "codebook", "weight"):
        np.testing.assert_array_equal(*(np.load(tmp_path / "two" / f"{name}{rank}.npy") for rank in (0, 1)))
    data = tiny_data()
    metrics = json.loads((tmp_path / "two" / "metrics.json").read_text())
    assert metrics["test"]["n_days"] == data.days.test.stop - data.days.test.start - data.label.span

    kept = Checkpoint.load(tmp_path / "two" / "model.safetensors")
    encoder = Tiny().build(data.store.shape)
    kept.load_into(encoder)
    days = torch.from_numpy(data.window_days(data.days.test))
    window = data.store.gather(days)
    alone = np.full(data.returns.shape, np.nan)
    alone[days] = encoder.eval().predict(window.features, window.mask, window.calendar).mean.detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "two" / "mean0.npy")[days], alone[days], rtol=1e-4, atol=1e-7)
    expected = prediction_metrics(
        alone[data.days.test], data.returns[data.days.test], np.isfinite(alone[data.days.test])
    )
    assert metrics["test"]["rank_ic"] == pytest.approx(expected["rank_ic"])


def test_a_launcher_decides_the_precision_that_the_configuration_leaves_open(caplog: pytest.LogCaptureFixture) -> None:
    cpu, native = torch.device("cpu"), native_precision(torch.device("cpu"))
    assert chosen_precision(Optim(), {}, cpu) == native
    for told, used in (("no", "fp32"), ("bf16", "bf16")):
        caplog.clear()
        assert chosen_precision(Optim(), {"ACCELERATE_MIXED_PRECISION": told}, cpu) == used
        assert bool(caplog.messages) == (used != native)


def test_a_precision_of_the_configuration_that_a_launcher_contradicts_is_kept_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told, cpu = {"ACCELERATE_MIXED_PRECISION": "no"}, torch.device("cpu")
    assert chosen_precision(Optim(precision="fp32"), told, cpu) == "fp32"
    assert not caplog.messages
    assert chosen_precision(Optim(precision="bf16"), told, cpu) == "bf16"
    assert "precision bf16" in caplog.text
    assert "--mixed_precision no" in caplog.text


def test_what_a_launcher_was_told_and_no_run_can_do_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mixed precision 'fp16'.*--mixed_precision bf16 or no"):
        chosen_precision(Optim(), {"ACCELERATE_MIXED_PRECISION": "fp16"}, torch.device("cpu"))
    steps = {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}
    with pytest.raises(ValueError, match=r"accumulate 4 steps, optim\.accumulation is 1"):
        refuse_other_accumulation(Optim(), steps)
    refuse_other_accumulation(Optim(accumulation=4), steps)
    refuse_other_accumulation(Optim(accumulation=4), {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1"})


def test_accumulation_is_the_configurations_whatever_the_launcher_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1")
    assert make_accelerator(Optim(accumulation=4)).gradient_accumulation_steps == 4


def test_runs_of_one_process_may_differ_in_precision() -> None:
    assert make_accelerator(Optim(precision="bf16")).mixed_precision == "bf16"
    assert make_accelerator(Optim(precision="fp32")).mixed_precision == "no"


def test_a_run_that_has_had_enough_stops_and_a_continued_one_asks_again(tmp_path: Path) -> None:
    asked: list[list[float | None]] = []

    def enough(values: Sequence[float | None]) -> bool:
        asked.append(list(values))
        return len(values) == 2

    told = replace(experiment(replace(OPTIM, epochs=4)), should_stop=enough, listed={"what varies": 1})
    metrics = pretrain(told, tmp_path)
    assert metrics["n_epochs"] == 2
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    found = [json.loads(line)["valid"][OPTIM.metric] for line in lines]
    assert asked == [[], found[:1], found]
    asked.clear()
    pretrain(told, tmp_path)
    assert asked == [found]


def test_progress_sums_batches_and_keeps_the_first_of_equals() -> None:
    progress = TrainingProgress()
    progress.add({"total": 1.0, "rank": 0.5})
    progress.add({"total": 3.0, "rank": 0.25})
    assert (progress.batch, progress.sums) == (2, {"total": 4.0, "rank": 0.75})
    values = (None, 0.1, 0.1, None, 0.2)
    for value, better in zip(values, (True, True, False, False, True), strict=True):
        assert progress.improves(value) == better
        progress.finish_epoch({})
    assert (progress.best_epoch, progress.best_value, progress.sums) == (4, 0.2, {})
