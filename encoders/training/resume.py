"""The state of an interrupted run: one file that holds everything the next step depends on, without pickle."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from encoders.training.early_stopping import TrainingProgress
from encoders.training.optim import Optim
from market.arrays import AnyArray
from market.storage.array_file import read_arrays, write_arrays
from market.storage.json_diff import first_difference

KIND, VERSION = "pretrain-state", 1


@dataclass(frozen=True, eq=False)
class Learner:
    """Everything that changes while learning: encoder, optimiser and, where wanted, averaged weights."""

    encoder: nn.Module
    optimizer: Optimizer
    average: AveragedModel | None

    def tensors(self) -> dict[str, Tensor]:
        """Returns all tensors by name."""
        named = {f"encoder/{name}": value for name, value in self.encoder.state_dict().items()}
        if self.average is not None:
            named |= {f"average/{name}": value for name, value in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            named |= {f"optimizer/{index}/{name}": value for name, value in moments.items()}
        return named

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` returned."""
        self.encoder.load_state_dict(_under("encoder/", tensors))
        if self.average is not None:
            self.average.load_state_dict(_under("average/", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer/", tensors).items():
            index, _, moment = name.partition("/")
            state.setdefault(int(index), {})[moment] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def save_state(path: Path, learner: Learner, progress: TrainingProgress, recipe: Mapping[str, Any]) -> None:
    """Writes the state, aside and renamed: a run killed meanwhile keeps the one before.

    Args:
        path: File to write.
        learner: What learns.
        progress: Where it stands.
        recipe: Everything that a continuation must have in common with the run, as JSON.
    """
    header = {"kind": KIND, "version": VERSION, "progress": asdict(progress), "recipe": dict(recipe)}
    write_arrays(path, to_arrays(learner.tensors()), header)


def load_state(
    path: Path,
    learner: Learner,
    recipe: Mapping[str, Any],
    upgraded: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> TrainingProgress:
    """Restores the learner from the state at `path` and returns where the run stood.

    Args:
        path: File to read.
        learner: What learns.
        recipe: Everything that a continuation must have in common with the run, as JSON.
        upgraded: Returns settings that an earlier version wrote as today's version writes them.

    Raises:
        ValueError: The file is damaged, or the run was started with another recipe; the message names what differs.
    """
    arrays, header = read_arrays(path, KIND, VERSION)
    differing = first_difference(_of_today(header["recipe"], upgraded), dict(recipe))
    if differing:
        raise ValueError(f"{path}: this run was started with {differing}; use the same, or --overwrite to start again")
    learner.restore(to_tensors(arrays))
    return TrainingProgress(**header["progress"])


def _of_today(recipe: Mapping[str, Any], upgraded: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    """The recipe of an earlier version as this one writes it; a new field of `Optim` has its default."""
    defaults = {one.name: one.default for one in fields(Optim)}
    settings = upgraded(recipe["settings"]) if recipe["settings"] else {}
    return {**recipe, "optim": {**defaults, **recipe["optim"]}, "settings": settings}


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, AnyArray]:
    """Returns the tensors as arrays, on the host."""
    return {name: value.detach().cpu().numpy() for name, value in tensors.items()}


def to_tensors(arrays: Mapping[str, AnyArray]) -> dict[str, Tensor]:
    """Returns copies of the arrays as tensors."""
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
