"""One process works on a folder; a run begins fresh, continues, or is refused by what differs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from market.artifacts import CONFIG
from market.prices.labels import Label
from market.storage.array_file import write_json
from pipeline.run_directory import begin, is_finished, lock

ROOT = Path(__file__).parents[2]


def test_a_folder_has_one_worker_and_a_dead_one_leaves_it_free(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    script = "\n".join(
        (
            "from pathlib import Path",
            "from pipeline.run_directory import lock",
            f"with lock(Path({str(folder)!r})):",
            "    print('held', flush=True)",
            "    input()",
        )
    )
    holder = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=-1, stdout=-1, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=rf"run: process {holder.pid} works on it"), lock(folder):
        pass
    holder.kill()
    holder.communicate()
    (folder / "last").mkdir(parents=True)
    half, old = folder / "last" / ".state.safetensors.0abc.part", tmp_path / ".run.0abc.old"
    half.write_text("half")
    old.mkdir()
    with lock(folder):
        assert not half.exists()
        assert not old.exists()


def test_a_run_continues_with_its_own_configuration_alone(tmp_path: Path) -> None:
    folder, experiment = tmp_path / "run", Label(horizon=2)
    begin(folder, experiment, "done.json", overwrite=False)
    (folder / "half").write_text("half")
    begin(folder, experiment, "done.json", overwrite=False)
    assert (folder / "half").exists()
    with pytest.raises(ValueError, match="started with horizon 2, now 3"):
        begin(folder, replace(experiment, horizon=3), "done.json", overwrite=False)
    begin(folder, replace(experiment, horizon=3), "done.json", overwrite=True)
    assert {path.name for path in folder.iterdir()} == {"config.py", CONFIG}


def test_a_run_that_failed_before_it_learnt_does_not_hold_its_name(tmp_path: Path) -> None:
    folder, experiment = tmp_path / "run", Label(horizon=2)
    begin(folder, experiment, "done.json", overwrite=False)
    write_json(folder / "audit.json", {})  # of inputs that another configuration may not have
    begin(folder, replace(experiment, horizon=3), "done.json", overwrite=False)
    assert {path.name for path in folder.iterdir()} == {"config.py", CONFIG}
    (folder / "seed_0").mkdir()
    (folder / "seed_0" / "history.jsonl").write_text("{}")
    with pytest.raises(ValueError, match="started with horizon 3, now 2"):
        begin(folder, experiment, "done.json", overwrite=False)


def test_a_finished_run_is_known_by_its_result_and_its_configuration(tmp_path: Path) -> None:
    folder, experiment = tmp_path / "run", Label(horizon=2)
    begin(folder, experiment, "done.json", overwrite=False)
    assert not is_finished(folder, experiment, "done.json")
    write_json(folder / "done.json", {})
    assert is_finished(folder, experiment, "done.json")
    with pytest.raises(ValueError, match="this run is finished, with horizon 2, now 3"):
        is_finished(folder, replace(experiment, horizon=3), "done.json")
    with pytest.raises(ValueError, match="this run is finished; choose another --name"):
        begin(folder, experiment, "done.json", overwrite=False)
