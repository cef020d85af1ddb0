"""Runs that an earlier version made open, evaluate and continue.

``old_runs`` holds what commit d1b26ef wrote: a panel, an encoder (finished) and another (stopped in its second epoch),
states, an agent (finished) and another (stopped at its first validation), an evaluation; configs of every kind; and
where that version ended when it continued the two runs.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from configs import files
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from configs.values import to_data
from market.storage.array_file import read_json
from tools import compare, evaluate, extract_state, prepare, pretrain, train

OLD = Path(__file__).parent / "old_runs"
CONFIGS: dict[str, Any] = json.loads((OLD / "configs.json").read_text())
CONTINUED = json.loads((OLD / "continued.json").read_text())


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(OLD / "runs", tmp_path / "workdir")
    monkeypatch.chdir(tmp_path)
    return Path("workdir")


@pytest.mark.parametrize("name", CONFIGS)
def test_an_old_config_opens_and_survives_as_one_of_today(name: str, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(CONFIGS[name]))
    value = files.load_json(path, object)
    files.write(value, tmp_path)
    assert files.load_json(tmp_path / "config.json", object) == value
    assert files.load_python(tmp_path / "config.py", object) == value
    assert files.difference(path, value) is None
    assert not re.search(r'"class": "\w+\.\w+\.', (tmp_path / "config.json").read_text())  # no module is named


def test_no_file_of_the_library_has_to_stay_where_it_was(tmp_path: Path) -> None:
    for name, data in CONFIGS.items():
        before, after = (tmp_path / f"{when}.json" for when in ("before", "after"))
        before.write_text(json.dumps(data))
        after.write_text(
            re.sub(r'"class": "((?!configs)\w+)\.[\w.]*?(\w+)"', r'"class": "\1.moved.away.\2"', json.dumps(data))
        )
        assert files.load_json(after, object) == files.load_json(before, object), name


def test_old_prices_are_up_to_date_with_their_config(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare.main(["--config", "workdir/data/tiny/config.json"])
    assert "is up to date" in capsys.readouterr().out


def test_an_old_encoder_is_finished_and_another_ends_as_it_would_have(workdir: Path) -> None:
    with pytest.raises(ValueError, match="this run is finished"):
        pretrain.main(["--config", "workdir/pretrain/tiny_storm/config.json"])
    with pytest.raises(ValueError, match=r"started with seed 0, now 1"):
        pretrain.main(["--config", "workdir/pretrain/tiny_gru/config.json", "--seed", "1"])
    pretrain.main(["--config", "workdir/pretrain/tiny_gru/config.json"])
    ended = read_json(workdir / "pretrain" / "tiny_gru" / "metrics.json")
    expected = CONTINUED["tiny_gru"]
    assert ended["n_epochs"] == expected["n_epochs"]
    assert ended["valid"]["rank_ic"] == pytest.approx(expected["valid"], abs=1e-6)
    assert "test" not in ended, "test is looked at by evaluation alone"
    assert read_json(workdir / "pretrain" / "tiny_gru" / "config.json")["format"] == 1


def test_the_states_of_an_old_encoder_are_extracted_again(workdir: Path) -> None:
    extract_state.main(["--run", "workdir/pretrain/tiny_storm"])  # continues the old file
    extract_state.main(["--run", "workdir/pretrain/tiny_storm", "--name", "again"])
    assert read_json(workdir / "states" / "again" / "audit.json")["verdict"] == "passed"


def test_an_old_agent_is_finished_and_another_ends_as_it_would_have(workdir: Path) -> None:
    with pytest.raises(ValueError, match="this run is finished"):
        train.main(["--config", "workdir/trade/tiny_ppo/config.json"])
    train.main(["--config", "workdir/trade/tiny_ppo_half/config.json"])
    ended = read_json(workdir / "trade" / "tiny_ppo_half" / "training.json")["seeds"]["0"]
    assert ended == pytest.approx(CONTINUED["tiny_ppo_half"], abs=1e-6)


def test_an_old_agent_is_evaluated_and_compared(workdir: Path) -> None:
    before = read_json(workdir / "evaluate" / "tiny_ppo" / "metrics.json")
    compare.main(["--runs", "workdir/trade/tiny_ppo"])  # reads the old evaluation
    evaluate.main(["--run", "workdir/trade/tiny_ppo", "--overwrite"])
    after = read_json(workdir / "evaluate" / "tiny_ppo" / "metrics.json")
    growth = {name: found["final_wealth"] for name, found in before["performance"].items()}
    assert {name: found["final_wealth"] for name, found in after["performance"].items()} == pytest.approx(growth)


def test_a_field_that_came_later_does_not_stop_an_old_run(workdir: Path) -> None:
    for name, schema in (("pretrain/tiny_gru", Pretrain), ("trade/tiny_ppo_half", Trade)):
        path = workdir / name / "config.json"
        data = read_json(path)
        for newer in ("costs", "label", "reward", "lookback"):  # as if the version that wrote it did not know them
            data.pop(newer, None)
        path.write_text(json.dumps(data))
        assert to_data(files.load_json(path, schema))["costs"]["class"] == "envs.Costs"
