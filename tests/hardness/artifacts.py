"""One small file of each kind that a stage leaves, and what reads it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.checkpoint import POLICY, load_agent
from agents.training.loop import train_agent
from encoders.checkpoint import Checkpoint, describe
from market.arrays import AnyArray
from market.panel import Panel
from market.states import PROVENANCE, VERSION, MarketStates
from market.storage.array_file import read_arrays
from tests.agents.planted import SHORT, SMALL, task_for
from tests.encoders.tiny import Tiny, bars, tiny_data

KINDS = ("panel", "states", "model", "policy")


class Artifact(NamedTuple):
    """A file and its reader, which takes the path of another file of that kind."""

    path: Path
    read: Callable[[Path], object]

    @property
    def kind(self) -> str:
        """What the file says that it is."""
        return str(self.header["kind"])

    @property
    def header(self) -> dict[str, Any]:
        """Its JSON header."""
        return self._content()[1]

    @property
    def arrays(self) -> dict[str, AnyArray]:
        """Its arrays."""
        return self._content()[0]

    def _content(self) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        for kind in KINDS:
            try:
                return read_arrays(self.path, kind, VERSION if kind == "states" else 1)
            except ValueError:
                continue
        raise AssertionError(f"{self.path} is of no known kind")


def artifacts(folder: Path) -> dict[str, Artifact]:
    """Writes a panel, states, a model and a policy under `folder`."""
    panel = bars()
    panel.save(folder / "panel.safetensors")
    states(panel).save(folder / "states.safetensors")
    data = tiny_data()
    encoder = Tiny().build(data.store.shape)
    about = describe(data, encoder, {"name": "tiny"})
    Checkpoint(encoder.state_dict(), data.pipeline.scaler.arrays(), about).save(folder / "model.safetensors")
    agent, task = SMALL[0], task_for(SMALL[0], True)
    train_agent(agent, task, replace(SHORT, total_steps=16), 0, folder / "seed_0", {})

    def read_policy(path: Path) -> object:
        place = path.parent / f"{path.stem}_folder"
        place.mkdir(exist_ok=True)
        link = place / POLICY
        link.unlink(missing_ok=True)
        link.symlink_to(path)
        return load_agent(place, agent, task.validation())

    return {
        "panel": Artifact(folder / "panel.safetensors", Panel.load),
        "states": Artifact(folder / "states.safetensors", MarketStates.load),
        "model": Artifact(folder / "model.safetensors", Checkpoint.load),
        "policy": Artifact(folder / "seed_0" / POLICY, read_policy),
    }


def states(panel: Panel) -> MarketStates:
    """Returns states of zeros for every day and asset of `panel`."""
    days, assets, _ = panel.shape
    grid = np.zeros((days, assets), np.float32)
    return MarketStates(
        dates=panel.dates,
        assets=panel.assets,
        asset=np.zeros((days, assets, 2), np.float32),
        market=np.zeros((days, 1), np.float32),
        forecast_mean=grid,
        forecast_std=grid + 1,
        mask=np.ones((days, assets), bool),
        fit_end=np.datetime64("2020-03-01"),
        codes=np.zeros((days, assets, 1), np.int32),
        provenance=dict.fromkeys(PROVENANCE, "made by hand") | {"audit": "passed", "fill": "close", "horizon": 1},
    )
