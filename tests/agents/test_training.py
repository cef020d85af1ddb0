"""Training repeats itself, continues to the bit where it was killed, keeps the best policy, and says what it did."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from agents.algorithms.apg import AnalyticPolicyGradient
from agents.algorithms.on_policy import PPO, SAC
from agents.checkpoint import POLICY, RECORD, load_agent
from agents.training import callbacks
from agents.training.callbacks import STATE, TrainingConfig, ValidationHistory
from agents.training.loop import train_agent
from agents.training.validation import trace_episode
from envs import BatchMarket
from market.artifacts import HISTORY
from tests.agents.planted import NAMES, SHORT, SMALL, noise_tape, task_for

SETTINGS = {"name": "test"}


def trained(folder: Path, agent=SMALL[0], seed: int = 0, schedule: TrainingConfig = SHORT, **kwargs):
    return train_agent(agent, task_for(agent, **kwargs), schedule, seed, folder, SETTINGS)


def ranked(entry: dict, rank: float) -> dict:
    """A validation that counts as worth `rank`."""
    return {**entry, "growth": float(rank)} | ({"objective": float(rank)} if "objective" in entry else {})


class KilledError(Exception):
    pass


def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes the training market fail after `steps` steps, as a killed process would: nothing is tidied up.

    Returns the count of steps taken.
    """
    real, booked, taken = BatchMarket.step, AnalyticPolicyGradient._day, [0]

    def count(days: int) -> None:
        taken[0] += days
        if taken[0] > steps:
            raise KilledError

    def step(self, actions):
        count(self.autoreset)
        return real(self, actions)

    def day(self, *args):
        count(torch.is_grad_enabled())  # warm-up days are no steps
        return booked(self, *args)

    monkeypatch.setattr(BatchMarket, "step", step)
    monkeypatch.setattr(AnalyticPolicyGradient, "_day", day)  # steps no environment
    return taken


def kill(folder: Path, steps: int, monkeypatch: pytest.MonkeyPatch, **kwargs) -> None:
    with monkeypatch.context() as patch:
        killed_after(steps, patch)
        with pytest.raises(KilledError):
            trained(folder, **kwargs)


@pytest.mark.parametrize("portfolio", [True, False], ids=["portfolio", "single"])
@pytest.mark.parametrize("agent", SMALL, ids=NAMES)
def test_a_killed_training_continues_to_the_bit(agent, portfolio, tmp_path: Path, monkeypatch) -> None:
    whole = trained(tmp_path / "whole", agent, portfolio=portfolio)
    kill(tmp_path / "killed", 38, monkeypatch, agent=agent, portfolio=portfolio)  # of 48, states at 16, 32
    assert (tmp_path / "killed" / STATE).exists()
    torch.manual_seed(99)  # another process has other generators
    np.random.seed(99)
    taken = killed_after(1000, monkeypatch)
    continued = trained(tmp_path / "killed", agent, portfolio=portfolio)
    assert continued == whole
    assert 16 <= taken[0] < 38
    for name in ("policy.safetensors", "agent.json", "history.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "killed" / STATE).exists()


@pytest.mark.parametrize("agent", [SMALL[0], SMALL[3], SMALL[6], SMALL[7]], ids=["PPO", "SAC", "APG", "DQN"])
def test_the_last_policy_of_a_continued_training_is_equal_too(agent, tmp_path: Path, monkeypatch) -> None:
    """The best policy may be an early one; here the growth of every validation counts as better than the last."""
    real = ValidationHistory.add
    monkeypatch.setattr(
        ValidationHistory, "add", lambda self, entry, *at: real(self, ranked(entry, entry["step"]), *at)
    )
    whole = trained(tmp_path / "whole", agent)
    kill(tmp_path / "killed", 38, monkeypatch, agent=agent)
    assert trained(tmp_path / "killed", agent) == whole
    assert whole["valid"]["step"] == 192
    assert (tmp_path / "killed" / POLICY).read_bytes() == (tmp_path / "whole" / POLICY).read_bytes()


def test_the_same_seed_gives_the_same_policy_and_wealth(tmp_path: Path) -> None:
    first, again, other = (trained(tmp_path / str(k), seed=seed) for k, seed in enumerate((3, 3, 4)))
    assert first == again
    assert first["policy_fingerprint"] != other["policy_fingerprint"]
    market = replace(task_for(SMALL[0]), n_envs=1).validation()
    paths = [trace_episode(load_agent(tmp_path / str(k), SMALL[0], market), market).wealth for k in (0, 1)]
    np.testing.assert_array_equal(*paths)
    assert np.log(paths[0][-1]) == first["valid"]["growth"]


def test_how_often_one_looks_does_not_change_what_is_learnt(tmp_path: Path) -> None:
    trained(tmp_path / "rare", schedule=replace(SHORT, validate_every=192))
    trained(tmp_path / "often", schedule=replace(SHORT, validate_every=32))
    last = [json.loads((tmp_path / name / "history.jsonl").read_text().splitlines()[-1]) for name in ("rare", "often")]
    assert last[0]["step"] == last[1]["step"] == 192
    assert last[0]["growth"] == last[1]["growth"]


def test_the_best_policy_on_the_valid_days_is_kept(tmp_path: Path, monkeypatch) -> None:
    saved = []
    real = callbacks.save_agent
    monkeypatch.setattr(callbacks, "save_agent", lambda *args: (saved.append(args[2]["valid"]["step"]), real(*args)))
    record = trained(tmp_path, schedule=replace(SHORT, validate_every=32))
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    best = max(history, key=lambda entry: entry["growth"])
    assert [entry["step"] for entry in history] == [32, 64, 96, 128, 160, 192]
    assert record["valid"]["step"] == best["step"] == saved[-1]
    assert saved == [entry["step"] for entry in history if entry["best"]]
    assert record["finished"]
    assert record["n_steps"] == 192


def test_the_scale_of_rewards_is_saved_with_the_policy_and_is_that_of_the_past(tmp_path: Path) -> None:
    record = trained(tmp_path / "short", schedule=replace(SHORT, total_steps=64))
    longer = trained(tmp_path / "long", schedule=replace(SHORT, total_steps=64, validate_every=32))
    scale = record["reward_scale"]
    assert scale["count"] == pytest.approx(64, abs=1e-3)
    assert 1e-5 < scale["var"] < 1e-1
    if longer["valid"]["step"] == 64:
        assert longer["reward_scale"] == scale
    else:
        assert longer["reward_scale"]["count"] == pytest.approx(32, abs=1e-3)


def test_patience_ends_a_training_that_does_not_improve(tmp_path: Path, monkeypatch) -> None:
    real = ValidationHistory.add
    monkeypatch.setattr(
        ValidationHistory, "add", lambda self, entry, *at: real(self, ranked(entry, -entry["step"]), *at)
    )
    record = trained(tmp_path, schedule=TrainingConfig(total_steps=10_000, validate_every=32, patience=2))
    assert record["valid"]["step"] == 32
    assert record["n_validations"] == 3
    assert record["n_steps"] == 96


def test_patience_counts_from_the_best() -> None:
    progress = ValidationHistory()
    for step, growth in enumerate([0.1, 0.0, 0.2, 0.2, 0.1], start=1):
        progress.add({"step": step, "growth": growth})
    assert progress.best == {"step": 3, "growth": 0.2}
    assert progress.since_best == 2
    assert [entry["best"] for entry in progress.history] == [True, False, True, False, False]


def test_a_policy_that_is_not_ahead_by_the_least_lead_is_not_kept_instead_of_the_start() -> None:
    progress = ValidationHistory()
    progress.add({"step": 0, "growth": 0.0}, 2.0)
    for step, (growth, lead) in enumerate([(0.3, 1.9), (0.1, 2.1), (0.4, 1.0), (0.2, 2.0)], start=1):
        progress.add({"step": step, "growth": growth, "lead": lead}, 2.0)
    assert [entry["best"] for entry in progress.history] == [True, False, True, False, True]
    assert progress.best == {"step": 4, "growth": 0.2, "lead": 2.0}


def test_a_lead_is_in_standard_errors_of_the_days_differences_from_the_start(tmp_path: Path, monkeypatch) -> None:
    traces = []
    real = callbacks.Validator.validate
    monkeypatch.setattr(callbacks.Validator, "validate", lambda *args: (traces.append(real(*args)), traces[-1])[1])
    trained(tmp_path, schedule=replace(SHORT, least_lead=1e9))
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in history] == [0, 64, 128, 192]
    assert [entry["best"] for entry in history] == [True, False, False, False]
    start, *later = (np.diff(np.log(trace.wealth)) for trace in traces)
    for entry, gains in zip(history[1:], later, strict=True):
        expected = stats.ttest_rel(gains, start).statistic
        assert entry["lead"] == pytest.approx(expected)


def test_the_start_that_a_lead_counts_from_outlives_a_kill(tmp_path: Path, monkeypatch) -> None:
    schedule = replace(SHORT, least_lead=0.5)
    whole = trained(tmp_path / "whole", SMALL[6], schedule=schedule)
    kill(tmp_path / "killed", 38, monkeypatch, agent=SMALL[6], schedule=schedule)
    assert trained(tmp_path / "killed", SMALL[6], schedule=schedule) == whole
    assert (tmp_path / "killed" / HISTORY).read_bytes() == (tmp_path / "whole" / HISTORY).read_bytes()


def test_a_finished_training_is_left_alone(tmp_path: Path, monkeypatch) -> None:
    record = trained(tmp_path)
    killed_after(0, monkeypatch)
    assert trained(tmp_path) == record


def test_a_state_of_another_run_is_refused(tmp_path: Path, monkeypatch) -> None:
    kill(tmp_path, 20, monkeypatch)
    with pytest.raises(ValueError, match="started with agent 'PPO', now 'SAC'"):
        trained(tmp_path, SMALL[3])
    with pytest.raises(ValueError, match="started with seed 0, now 1"):
        trained(tmp_path, seed=1)


def test_a_continued_training_draws_the_same_curves(tmp_path: Path, monkeypatch) -> None:
    """Episodes that were running when the process died count with all their days."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(tmp_path / "whole")
    kill(tmp_path / "killed", 38, monkeypatch)
    trained(tmp_path / "killed")
    curves = []
    for name in ("whole", "killed"):
        events = EventAccumulator(str(tmp_path / name / "tensorboard"))
        events.Reload()
        curves.append(
            [(event.step, event.value) for event in events.Scalars("agent 3 episodes (train)/ep_rew_mean")][-2:]
        )
    assert curves[0] == curves[1]


def test_tensorboard_has_curves_figures_and_settings(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    for name in (
        "agent 3 episodes (train)/ep_rew_mean",
        "agent 4 loss (train)/value_loss",
        "agent 1 wealth (valid)/agent",
        "agent 2 trading (valid)/turnover",
        "agent 8 result (valid)/agent",
    ):
        assert name in tags["scalars"]
    assert len(tags["images"]) == 2
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert [event.step for event in events.Scalars("agent 1 wealth (valid)/agent")] == [64, 128, 192]


def test_the_exact_gradient_shows_its_objective_every_ten_updates(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    agent = next(one for one in SMALL if type(one).__name__ == "APG")
    a_step = task_for(agent).n_envs * agent.segment_days
    trained(tmp_path, agent, schedule=replace(SHORT, total_steps=25 * a_step, validate_every=10 * a_step))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("agent 5 policy (train)/objective")] == [10 * a_step, 20 * a_step]


def test_fit_end_is_the_last_valid_day(tmp_path: Path) -> None:
    record = trained(tmp_path)
    task = task_for(SMALL[0])
    assert record["fit_end"] == str(max(task.train.dates[-1], task.valid.dates[-1]))


@pytest.mark.parametrize("part", ["train", "valid"])
def test_an_agent_does_not_learn_on_days_that_its_states_have_learnt(part: str, tmp_path: Path) -> None:
    task = task_for(SMALL[0])
    tape = getattr(task, part)
    fit_end = np.repeat(tape.dates[0] - np.timedelta64(1, "D"), len(tape))
    fit_end[7] = tape.dates[7]
    seen = replace(task, **{part: replace(tape, fit_end=fit_end)})
    other = "valid" if part == "train" else "train"
    with pytest.raises(ValueError, match=f"^1 of {len(tape)} {part} days are in-sample: the states of {tape.dates[7]}"):
        train_agent(SMALL[0], seen, SHORT, 0, tmp_path, SETTINGS)
    assert not list(tmp_path.iterdir())
    allowed = train_agent(SMALL[0], replace(seen, in_sample="allow"), SHORT, 0, tmp_path, SETTINGS)
    assert allowed["in_sample_days"] == {part: 1, other: 0}
    assert json.loads((tmp_path / RECORD).read_text())["in_sample_days"] == {part: 1, other: 0}


def test_honest_states_need_no_permission(tmp_path: Path) -> None:
    assert trained(tmp_path)["in_sample_days"] == {"train": 0, "valid": 0}


def test_a_ruined_account_stays_as_it_is() -> None:
    from envs import LongShort, Tape
    from tests.envs.markets import panel_of

    tape = Tape.from_panel(panel_of(np.array([10.0, 10, 25, 25, 25])[:, None]), fill="next_close")
    market = BatchMarket(tape, 1, action=LongShort(), observation="compact", autoreset=False)

    class Short:
        def predict(self, *args, **kwargs):
            return np.array([[-1.0]]), None

    path = trace_episode(Short(), market)
    assert path.wealth[-1] == path.wealth[2] < 1e-3
    assert path.weights[-1].tolist() == [1.0, 0.0]


def test_a_schedule_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        TrainingConfig(validate_every=0)
    with pytest.raises(ValueError, match="must be at least 1"):
        TrainingConfig(patience=0)
    with pytest.raises(ValueError, match="least_lead is -1"):
        TrainingConfig(least_lead=-1)


def test_the_replay_memory_of_a_million_steps_is_small() -> None:
    """30 assets x 64-wide states; full observations would take 15 GB."""
    tape = noise_tape(days=20, assets=30, width=64)
    market = BatchMarket(tape, 1, observation="compact", action=task_for(SAC()).action)
    numbers = 2 * (2 * 1 + 31) + 31 + 3  # two observations (a day of 8 bytes, an account), an action, three flags
    one = market.reset()[0]
    size = 2 * sum(part.nbytes for part in one.values()) + 4 * (31 + 3)
    assert size == 4 * numbers
    assert size * 1_000_000 < 1e9


def test_a_record_names_agent_and_environment(tmp_path: Path) -> None:
    trained(tmp_path, PPO(n_steps=8, batch_size=16))
    record = json.loads((tmp_path / RECORD).read_text())
    assert (record["agent"], record["portfolio"], record["seed"]) == ("PPO", True, 0)
    assert record["asset_width"] == 8
    assert record["settings"] == SETTINGS
