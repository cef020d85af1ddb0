"""Trained policies on disk: arrays and JSON, rebuilt from the agent's configuration; nothing in them is executed."""

import ast
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy

from agents.algorithms.base import AgentConfig
from agents.networks.extractors import StateTable, with_moments
from envs import BatchMarket, Tape
from market.arrays import AnyArray
from market.storage.array_file import read_arrays, write_arrays, write_json

KIND, VERSION = "policy", 1
POLICY, RECORD = "policy.safetensors", "agent.json"


class TrainedAgent:
    """A trained policy behind ``predict``, interchangeable with the classical ones.

    Attributes:
        name: Name in tables.
        policy: What decides.
        about: What the file says of it: agent, environment, ``fit_end``, ``reward_scale``, validation, seed.
    """

    def __init__(self, name: str, policy: BasePolicy, about: Mapping[str, Any]) -> None:
        self.name, self.policy, self.about = name, policy, about

    @property
    def fit_end(self) -> np.datetime64:
        """Last day that the agent, or the choice of it, learnt from."""
        return np.datetime64(self.about["fit_end"], "D")

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the action for an observation and the memory to pass in with the next one."""
        return self.policy.predict(observation, state, episode_start, deterministic)


def describe(config: AgentConfig, market: BatchMarket, portfolio: bool) -> dict[str, Any]:
    """Returns what a policy and an environment must have in common, as JSON."""
    tape = market.tape
    return {
        "agent": type(config).__name__,
        "portfolio": portfolio,
        "action": _named(market.action),
        "asset_width": tape.asset_width,
        "market_width": tape.market_width,
        "channels": list(tape.channels),
        "market_channels": list(tape.market_channels),
        "assets": list(tape.assets),
        "fill": tape.fill,
    }


def save_agent(folder: Path, policy: BasePolicy, about: Mapping[str, Any]) -> None:
    """Writes ``policy.safetensors`` and ``agent.json``, which names the policy file it belongs to."""
    arrays = {name: value.detach().cpu().numpy() for name, value in policy.state_dict().items()}
    fingerprint = write_arrays(folder / POLICY, arrays, {"kind": KIND, "version": VERSION, "about": dict(about)})
    write_json(folder / RECORD, {**about, "policy_fingerprint": fingerprint})


def load_agent(folder: str | Path, config: AgentConfig, market: BatchMarket, name: str | None = None) -> TrainedAgent:
    """Returns the agent saved in `folder`, ready to trade `market`.

    On a portfolio the number of assets may differ from training. Observations of `market` may be compact or full.

    Args:
        folder: Folder of one seed, as training left it.
        config: Configuration that the agent was trained with.
        market: What it is to trade; of a Gymnasium environment, ``env.unwrapped.market``.
        name: Name in tables; that of the agent by default.

    Raises:
        ValueError: The file is missing or damaged, belongs to another environment, or holds other networks.
    """
    path = Path(folder) / POLICY
    arrays, header = read_arrays(path, KIND, VERSION)
    about = header.get("about")
    if not isinstance(about, dict) or type(about.get("portfolio")) is not bool:
        raise ValueError(f"{path}: its header does not say what it was trained for; train the agent again")
    trained = {**about, "action": completed(str(about.get("action")), market.action)}
    _check_environment(path, trained, describe(config, market, about["portfolio"]))
    space = market.observation_space
    is_compact = isinstance(space, spaces.Dict) and "day" in space.spaces
    table = StateTable(market.tape) if is_compact else None
    policy = config.policy(space, market.action_space, table, about["portfolio"])
    _load_weights(path, policy, arrays)
    return TrainedAgent(name or about["agent"], policy, about)


def last_day(train: Tape, valid: Tape) -> str:
    """Returns the last day that training on these tapes uses, the encoder's included."""
    fits = [tape.fit_end.max() for tape in (train, valid) if tape.fit_end is not None]
    days = [train.dates[-1], valid.dates[-1], *fits]
    return str(max(days))


def _named(action: Any) -> str:
    """An action as text, whole numbers like all others: a data file does not tell 1 from 1.0, and neither may this."""
    terms = ", ".join(f"{one.name}={_text(getattr(action, one.name))}" for one in fields(action))
    return f"{type(action).__name__}({terms})"


def completed(text: str, action: Any) -> str:
    """Returns how an action was recorded, with the defaults of fields that its class did not have then."""
    try:
        return _completed(ast.parse(text, mode="eval").body, action)
    except (SyntaxError, ValueError):
        return text  # that no version wrote; whoever compares it refuses it


def _completed(call: ast.expr, action: Any) -> str:
    own = {one.name: one.default for one in fields(action)}
    kind = type(action).__name__
    given = {one.arg or "": one.value for one in call.keywords} if isinstance(call, ast.Call) else {}
    if ast.unparse(call).partition("(")[0] != kind or not set(given) <= set(own):
        raise ValueError(f"{ast.unparse(call)} is no {kind}")
    known = {name: _text(default) for name, default in own.items() if default is not MISSING}
    for name, value in given.items():
        inner = getattr(action, name)
        known[name] = _completed(value, inner) if is_dataclass(inner) else repr(_alike(ast.literal_eval(value)))
    return f"{kind}({', '.join(f'{name}={known[name]}' for name in own if name in known)})"


def _text(value: Any) -> str:
    return _named(value) if is_dataclass(value) else repr(_alike(value))


def _alike(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_alike, value))
    return float(value) if type(value) is int else value


def _check_environment(path: Path, trained: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    binding = [name for name in here if not (name == "assets" and trained["portfolio"])]
    binding = [name for name in binding if name in trained or not name.endswith("channels")]  # older files name none
    for name in binding:
        if trained.get(name) != here[name]:
            raise ValueError(
                f"{path}: {name} was {trained.get(name)!r} in training, here it is {here[name]!r}; use the environment "
                "that the agent was trained for"
            )


def _load_weights(path: Path, policy: BasePolicy, arrays: Mapping[str, AnyArray]) -> None:
    saved = with_moments(
        {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}, policy.state_dict()
    )
    own = {name: tuple(value.shape) for name, value in policy.state_dict().items()}
    for name in [*own, *(name for name in saved if name not in own)]:
        theirs = tuple(saved[name].shape) if name in saved else None
        if own.get(name) != theirs:
            raise ValueError(
                f"{path}: network '{name}' has shape {theirs}, the configuration builds {own.get(name)}; use the "
                "configuration and the number of assets that the agent was trained with"
            )
    policy.load_state_dict(saved)
