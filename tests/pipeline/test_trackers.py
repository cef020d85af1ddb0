"""Curves in trackers: the same scalars as in TensorBoard, and every point of them after a run has been continued."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import encoders.training.loop as training
import pipeline
from agents.training.callbacks import TrainingConfig
from configs.schema.pretrain import Pretrain
from encoders.baselines.gru import GRU
from market.panel import Panel
from market.sources.synthetic.source import Synthetic
from market.storage.array_file import read_json
from pipeline.many import pretrain_many
from pipeline.trackers import FILE, PROJECT
from tests.agents.test_training import KilledError, killed_after
from tests.pipeline.test_stages import encoder, trade

Points = dict[tuple[str, int], float]


@pytest.fixture(scope="module")
def trackio(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trackio, with its files in a folder of the tests; it asks for that where it is first imported."""
    os.environ["TRACKIO_DIR"] = str(tmp_path_factory.mktemp("trackio"))
    return pytest.importorskip("trackio.sqlite_storage").SQLiteStorage


@pytest.fixture
def gru(tmp_path: Path) -> Pretrain:
    panel = tmp_path / "panel.safetensors"
    Panel.from_frame(Synthetic(stocks=8, days=270).read()).save(panel)
    base = encoder(panel)
    return replace(
        base,
        name="gru",
        encoder=GRU(lookback=4, hidden=4, layers=1),
        optim=replace(base.optim, epochs=3, batch_size=32, save_every=2),
    )


def in_tensorboard(folder: Path) -> Points:
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {(tag, one.step): one.value for tag in events.Tags()["scalars"] for one in events.Scalars(tag)}


def in_trackio(trackio: Any, title: str, folder: Path) -> Points:
    """Returns the points of a run; of those that were sent twice the later one."""
    rows = trackio.get_logs(PROJECT, f"{title} {read_json(folder / FILE)['token']}")
    return {
        (name, row["step"]): value for row in rows for name, value in row.items() if name not in ("timestamp", "step")
    }


def courses(points: Points) -> Points:
    """Returns what stands at a step: not the final results, nor how fast it went."""
    return {key: value for key, value in points.items() if "result" not in key[0] and "speed" not in key[0]}


def results(points: Points) -> dict[str, float]:
    return {name: value for (name, _), value in points.items() if "result" in name}


def assert_shown_alike(shown: Points, expected: Points) -> None:
    assert courses(shown) == pytest.approx(courses(expected), rel=1e-6, nan_ok=True)  # TensorBoard keeps float32
    assert results(shown) == pytest.approx(results(expected), rel=1e-6, nan_ok=True)


def test_an_encoder_is_shown_alike_and_whole_after_it_was_killed(
    gru: Pretrain, tmp_path: Path, trackio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.pretrain(gru, tmp_path / "whole")
    whole = tmp_path / "whole" / "pretrain" / "gru"
    assert not (whole / FILE).exists()
    learn = training._Run.learn
    expected = in_tensorboard(whole)
    steps = sorted({step for tag, step in expected if "loss (train)/total" in tag})
    assert steps == list(range(1, steps[-1] + 1))
    last = steps[-1]
    for killed_at in (last // 3 + 1, last - 1):  # within an epoch, and after the first state of the last one

        def learn_or_die(self: Any, batch: Any, number: int, rate: float, at: int = killed_at) -> Any:
            if number == at:
                raise KilledError
            return learn(self, batch, number, rate)

        with monkeypatch.context() as patch:
            patch.setattr(training._Run, "learn", learn_or_die)
            with pytest.raises(KilledError):
                pipeline.pretrain(gru, tmp_path / "killed", trackers=("tensorboard", "trackio"))
    pipeline.pretrain(gru, tmp_path / "killed", trackers=("tensorboard", "trackio"))
    killed = tmp_path / "killed" / "pretrain" / "gru"
    found = in_tensorboard(killed)
    assert found == expected
    assert sum("(valid)" in tag and "rank_ic" in tag and "result" not in tag for tag, _ in found) >= 3
    assert_shown_alike(in_trackio(trackio, "pretrain gru", killed), expected)


def test_an_agent_is_shown_alike_and_whole_after_it_was_killed(
    gru: Pretrain, tmp_path: Path, trackio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = replace(
        trade(Path(gru.panel), Path("nowhere")),
        states=None,
        observe="none",
        split=gru.split,
        schedule=TrainingConfig(total_steps=512, validate_every=128),
    )
    pipeline.train(agent, tmp_path / "whole")
    with monkeypatch.context() as patch:
        killed_after(90, patch)  # of 128 steps of four markets, states at every 32nd
        with pytest.raises(KilledError):
            pipeline.train(agent, tmp_path / "killed", trackers=("trackio",))
    pipeline.train(agent, tmp_path / "killed", trackers=("trackio",))
    seeds = [tmp_path / name / "trade" / "ppo" / "seed_0" for name in ("whole", "killed")]
    expected, found = (in_tensorboard(folder) for folder in seeds)
    assert courses(found) == courses(expected)
    assert any("loss (train)" in tag for tag, _ in found)
    assert_shown_alike(in_trackio(trackio, "train ppo seed 0", seeds[1]), expected)


def test_a_tracker_that_is_not_there_is_refused_before_anything_runs(
    gru: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="--tracker nothing: there is no such tracker; choose of tensorboard, trackio"):
        pretrain_many([gru], tmp_path / "work", trackers=("nothing",))
    monkeypatch.setattr("pipeline.trackers.get_available_trackers", list)
    with pytest.raises(ValueError, match="--tracker wandb: it is not installed; pip install wandb"):
        pretrain_many([gru], tmp_path / "work", trackers=("wandb",))
    assert not (tmp_path / "work").exists()
