"""Stages of the main job that are done once: what is finished is left alone, what was interrupted goes on."""

from pathlib import Path

import torch

from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from market.storage.array_file import read_header
from tools import extract_state, pretrain, train
from tools.runs.directory import claimed, finished, opened


def pretrained_encoder(experiment: Pretrain, workdir: Path) -> Path:
    """Trains an encoder unless that is done, and returns the directory of the run.

    Raises:
        ValueError: The directory holds a run of another configuration.
    """
    folder = workdir / "pretrain" / experiment.name
    if finished(folder, experiment, pretrain.RESULT):
        print(f"{folder} is finished")
        return folder
    with claimed(folder):
        opened(folder, experiment, pretrain.RESULT, overwrite=False)
        pretrain.show(pretrain.learn(experiment, folder), folder)
    return folder


def extracted_states(experiment: Pretrain, workdir: Path) -> Path:
    """Extracts and audits the states of a trained encoder unless they are there, and returns their file."""
    source, target = (workdir / part / experiment.name for part in ("pretrain", "states"))
    states, audit = target / "states.safetensors", target / "audit.json"
    model = read_header(source / "model.safetensors")["fingerprint"]
    if states.exists() and audit.exists() and read_header(states)["checkpoint_sha256"] == model:
        print(f"{target} is finished")
        return states
    extract_state.main(["--run", str(source), "--workdir", str(workdir), "--overwrite"])
    return states


def trained_agents(experiment: Trade, workdir: Path) -> Path:
    """Trains the agents of a run unless that is done, and returns the directory of the run.

    Raises:
        ValueError: The directory holds a run of another configuration.
    """
    folder = workdir / "trade" / experiment.name
    if finished(folder, experiment, train.RESULT):
        print(f"{folder} is finished")
        return folder
    torch.set_num_threads(1)
    train.show(train.train(experiment, folder), folder)
    return folder
