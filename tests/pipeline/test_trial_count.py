"""What was tried is counted by what it saw: other workdirs, overwritten runs and paths make no difference."""

import numpy as np
import pytest

from market.splits import Split
from market.storage.array_file import write_json
from market.storage.ledger import Ledger
from pipeline.trial_count import Question, other_trials
from tests.market.test_ledger import panel

SPLIT = Split(train=("2020-01-01", "2020-04-30"), valid=("2020-05-04", "2020-07-31"), test=("2020-08-03", "2020-11-30"))


@pytest.fixture
def question(tmp_path):
    path = tmp_path / "data" / "panel.safetensors"
    path.parent.mkdir()
    panel().save(path)
    return Question.of(path, panel(), SPLIT)


def run(workdir, name, **config):
    folder = workdir / "trade" / name
    folder.mkdir(parents=True)
    write_json(folder / "config.json", {"name": name, **config})
    return folder


def test_every_training_that_looked_counts_wherever_it_ran(question, tmp_path) -> None:
    own = run(tmp_path / "one", "own", lr=1)
    question.enter("train", "valid", "own", {"name": "own", "lr": 1}, (0, 1))
    question.enter("train", "valid", "own", {"name": "own", "lr": 2}, (0, 1))  # what --overwrite replaced
    question.enter("train", "valid", "other", {"name": "other"}, (0, 1, 2))
    question.enter("pretrain", "valid", "encoder", {"name": "encoder"}, (0,))
    question.enter("sweep", "valid", "trial_0", {"name": "trial_0"}, (0,))
    found = other_trials(question, [own])
    assert found.sharpes == [None] * 7
    assert found.configurations == 4
    assert found.runs == {"run own": 2, "run other": 3, "encoder encoder": 1, "run trial_0": 1}
    assert sum(found.runs.values()) == len(found.sharpes)
    more = other_trials(question, [own], deleted=3)
    assert len(more.sharpes) == sum(more.runs.values()) == 10
    assert more.runs["runs that were deleted"] == 3


def test_a_run_that_goes_on_counts_once_and_each_look_at_test_days_counts(question) -> None:
    for _ in range(3):
        question.enter("train", "valid", "own", {"name": "own"}, (0, 1))
    assert len(question.looks) == 2
    assert question.test_looks() == 0
    for _ in range(3):
        question.enter("evaluate", "test", "own", {"name": "own"}, (0, 1))
    assert question.test_looks() == 3


def test_sharpe_ratios_of_evaluated_runs_are_known_to_others(question, tmp_path) -> None:
    own = run(tmp_path, "own")
    question.enter("train", "valid", "other", {"name": "other"}, (0, 1))
    question.enter("evaluate", "test", "other", {"name": "other"}, (0, 1), "command")
    question.enter_sharpes("other", {"name": "other"}, {0: 0.7, 1: None}, "command")
    assert other_trials(question, [own]).sharpes == [0.7, None]
    assert question.test_looks() == 1


def test_another_market_is_another_question(question, tmp_path) -> None:
    one = Question(question.panel, question.months, "A")
    one.enter("train", "valid", "single", {"name": "single"}, (0,))
    question.enter("compare", "test", "encoder", {"name": "encoder"}, (0,))
    own = run(tmp_path, "own")
    assert len(other_trials(question, [own]).sharpes) == 1, "the encoder, not the run of one stock"
    assert len(other_trials(one, [own]).sharpes) == 2
    later = Question.of(question.panel, panel(seed=5), SPLIT)
    assert later.looks == [], "other prices in the same folder"


def test_runs_of_before_there_were_ledgers_count_by_their_folders(question, tmp_path) -> None:
    own = run(tmp_path, "own", panel=str(question.panel), asset=None)
    old = run(tmp_path, "old", panel=str(question.panel.parent / ".." / "data" / "panel.safetensors"), asset=None)
    for seed in range(3):
        (old / f"seed_{seed}").mkdir()
    foreign = run(tmp_path, "foreign", panel="elsewhere.safetensors", asset=None)
    (foreign / "seed_0").mkdir()
    assert other_trials(question, [own]).sharpes == [None] * 3
    assert not Ledger.beside(question.panel).path.exists(), "reading enters nothing"


def test_trials_enter_the_deflated_sharpe_ratio() -> None:
    from evaluation.deflation import deflated_sharpe

    returns = 0.01 * (np.random.default_rng(0).normal(size=756) + 0.12)
    sharpe = returns.mean() / returns.std(ddof=1) * np.sqrt(252)
    alone = deflated_sharpe(returns, [sharpe])
    assert alone > 0.95
    assert deflated_sharpe(returns, [sharpe] + [None] * 49) < alone - 0.1
