"""The shipped files of accelerate: as many processes as they say, and the run of one process from several."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from setuptools import Distribution

from configs.files import source_text
from configs.schema.pretrain import Pretrain
from encoders.baselines.gru import GRU
from market.panel import Panel
from market.sources.synthetic.source import NO_EVENTS, Synthetic
from market.storage.array_file import read_arrays
from tests.pipeline.test_stages import encoder

ROOT = Path(__file__).parents[2]
FILES = ROOT / "configs" / "accelerate"


@pytest.fixture
def experiment(tmp_path: Path) -> Pretrain:
    """Without dropout or sampling, so that its numbers depend on no process's own draws, and always all assets listed.

    Rank losses are means over days, so where days list different assets the sum of two parts is not that of the whole:
    in float64 as in float32 the first loss then differs by 0.3 %. With all listed it differs by 2e-16 in float64.
    """
    panel = tmp_path / "panel.safetensors"
    Panel.from_frame(Synthetic(stocks=8, days=270, events=NO_EVENTS).read()).save(panel)
    base = encoder(panel)
    optim = replace(base.optim, epochs=2, batch_size=16, precision="auto")
    return replace(base, name="gru", encoder=GRU(lookback=4, hidden=4, layers=1, dropout=0.0), optim=optim)


def started(experiment: Pretrain, workdir: Path, *launcher: str) -> subprocess.Popen[str]:
    workdir.mkdir(exist_ok=True)
    (workdir / "config.py").write_text(source_text(experiment))
    command = [sys.executable, "-m", "accelerate.commands.launch", *launcher, "-m", "tools.pretrain"]
    return subprocess.Popen(
        [*command, "--config", str(workdir / "config.py"), "--workdir", str(workdir), "--test"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> None:
    said, _ = process.communicate()
    assert process.returncode == 0, said


def result(workdir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the metrics of a run, and the recipe that its state holds."""
    folder = workdir / "pretrain" / "gru"
    _, header = read_arrays(folder / "last" / "state.safetensors", "pretrain-state", 1)
    return json.loads((folder / "metrics.json").read_text()), header["recipe"]


def numbers(measures: Any, name: str = "") -> dict[str, float]:
    if isinstance(measures, dict):
        return {key: value for part, each in measures.items() for key, value in numbers(each, f"{name}/{part}").items()}
    return {name: measures} if isinstance(measures, int | float) else {}


def assert_same_measures(one: dict[str, Any], other: dict[str, Any]) -> None:
    found, expected = numbers(one), numbers(other)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)  # found: 1.3e-7
    for part in ("valid", "test"):
        assert one[part]["n_days"] == other[part]["n_days"] > 0


@pytest.mark.slow
def test_two_processes_on_cpus_and_two_machines_leave_what_one_process_leaves(
    experiment: Pretrain, tmp_path: Path
) -> None:
    """Two machines are two launchers on this one; the second run is told another arithmetic, which wins."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = started(experiment, tmp_path / "two", "--config_file", str(FILES / "cpu_2_processes.yaml"))
    finished(run)
    nodes = ["--config_file", str(FILES / "multi_node.yaml"), "--main_process_port", str(port), "--machine_rank"]
    runs = [started(experiment, tmp_path / "nodes", "--mixed_precision", "no", *nodes, str(rank)) for rank in range(2)]
    for one in runs:
        finished(one)
    alone = started(
        experiment,
        tmp_path / "one",
        "--config_file",
        str(FILES / "single_gpu.yaml"),
        "--cpu",
        "--mixed_precision",
        "no",
    )
    finished(alone)
    expected, recipe = result(tmp_path / "one")
    assert (recipe["processes"], recipe["precision"]) == (1, "fp32")
    for workdir in ("two", "nodes"):
        found, recipe = result(tmp_path / workdir)
        assert (recipe["processes"], recipe["precision"]) == (2, "fp32")
        assert_same_measures(found, expected)


@pytest.mark.parametrize(
    ("name", "processes", "machines"),
    [("cpu_2_processes", 2, 1), ("single_gpu", 1, 1), ("multi_gpu", 2, 1), ("multi_node", 2, 2)],
)
def test_accelerate_reads_each_file_as_it_is_meant(name: str, processes: int, machines: int) -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    words = ["--config_file", str(FILES / f"{name}.yaml"), "-m", "tools.pretrain"]
    args, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
    assert (args.num_processes, args.num_machines) == (processes, machines)
    assert args.multi_gpu == (processes > 1), "torchrun starts several processes; accelerate alone starts one"
    assert args.mixed_precision == ("no" if name == "cpu_2_processes" else "bf16")


def test_the_files_are_in_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    distribution = Distribution()
    distribution.parse_config_files(["pyproject.toml"])
    distribution.include_package_data = False  # what a source checkout holds beside the packages does not matter here
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    packed = {name for package, _, _, names in build.data_files for name in names if package == "configs.accelerate"}
    assert packed == {path.name for path in FILES.iterdir()}
