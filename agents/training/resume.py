"""The state of an interrupted training run, without pickle: what follows is the same to the bit, for every algorithm.

A state is taken where a rollout begins. It holds networks, optimisers and their moments, the temperature, counters, the
replay memory, every generator of random numbers, the accounts and clocks of all episodes, and the running scale of
rewards.
"""

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer
from torch import Tensor

from agents.networks.extractors import with_moments
from agents.training.reward_scaling import reward_scale, scaled
from market.arrays import AnyArray
from market.storage.array_file import read_arrays, write_arrays
from market.storage.json_diff import first_difference

KIND, VERSION = "training-state", 1
COUNTERS = (
    "num_timesteps",
    "_episode_num",
    "_n_updates",
    "_n_calls",
    "exploration_rate",
    "_current_progress_remaining",
)
REPLAYED = ("actions", "rewards", "dones", "timeouts")
LATER = ("in_sample_days", "channels", "market_channels")
"""Entries of a recipe that files of earlier versions lack."""
Arrays = dict[str, AnyArray]


def save_state(path: Path, model: BaseAlgorithm, progress: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Writes the state, aside and renamed: a run killed meanwhile keeps the one before.

    Args:
        path: File to write.
        model: What learns; its environment is a `VecNormalize` over a `MarketVecEnv`.
        progress: Where the run stands beyond what the model knows, as JSON.
        recipe: Everything that a continuation must have in common with the run, as JSON.
    """
    env_arrays, env_facts = _environment(model)
    random_arrays, random_facts = _randomness(model)
    arrays = _networks(model) | _last(model) | _memory(model) | env_arrays | random_arrays
    facts = {
        "counters": {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)},
        "episodes": list(model.ep_info_buffer or ()),
        "environment": env_facts,
        "random": random_facts,
    }
    header = {"kind": KIND, "version": VERSION, "facts": facts, "progress": dict(progress), "recipe": dict(recipe)}
    write_arrays(path, arrays, header)


def load_state(
    path: Path,
    model: BaseAlgorithm,
    recipe: Mapping[str, Any],
    of_today: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> dict[str, Any]:
    """Restores the model from the state at `path` and returns where the run stood.

    Args:
        path: File to read.
        model: What learns.
        recipe: Everything that a continuation must have in common with the run, as JSON.
        of_today: Returns a recipe that an earlier version wrote as today's version writes it.

    Raises:
        ValueError: The file is damaged, or the run was started with another recipe; the message names what differs.
    """
    mapped, header = read_arrays(path, KIND, VERSION)
    absent = {name: recipe.get(name) for name in LATER}
    differing = first_difference(absent | dict(of_today(header["recipe"])), dict(recipe))
    if differing:
        raise ValueError(f"{path}: this run was started with {differing}; use the same, or --overwrite to start again")
    arrays, facts = {name: np.array(array) for name, array in mapped.items()}, header["facts"]
    _restore_networks(model, arrays)
    _restore_last(model, arrays)
    _restore_memory(model, arrays)
    _restore_environment(model, arrays, facts["environment"])
    for name, value in facts["counters"].items():
        setattr(model, name, value)
    model.ep_info_buffer = deque(facts["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    _restore_randomness(model, arrays, facts["random"])
    progress: dict[str, Any] = header["progress"]
    return progress


def _networks(model: BaseAlgorithm) -> Arrays:
    tensors: dict[str, Tensor] = {}
    for name, state in model.get_parameters().items():
        if "param_groups" in state:
            for index, moments in state["state"].items():
                tensors |= {f"{name}/{index}/{moment}": value for moment, value in moments.items()}
        else:
            tensors |= {f"{name}/{key}": value for key, value in state.items()}
    for name in model._get_torch_save_params()[1]:
        tensors[f"variable/{name}"] = getattr(model, name)
    return {f"networks/{name}": value.detach().cpu().numpy() for name, value in tensors.items()}


def _restore_networks(model: BaseAlgorithm, arrays: Arrays) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in _under("networks/", arrays).items()}
    states: dict[str, Any] = {}
    for name, state in model.get_parameters().items():
        mine = _under(f"{name}/", tensors)
        if "param_groups" not in state:
            states[name] = with_moments(mine, state) if mine.keys() != state.keys() else mine
            continue
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in mine.items():
            index, _, moment = key.partition("/")
            moments.setdefault(int(index), {})[moment] = value
        states[name] = {"state": moments, "param_groups": state["param_groups"]}
    model.set_parameters(states, exact_match=True, device=model.device)
    for name in model._get_torch_save_params()[1]:
        variable: Tensor = getattr(model, name)
        variable.data.copy_(tensors[f"variable/{name}"])


def _last(model: BaseAlgorithm) -> Arrays:
    assert isinstance(model._last_obs, dict)
    arrays = {f"last/observation/{name}": array for name, array in model._last_obs.items()}
    arrays["last/starts"] = np.asarray(model._last_episode_starts)
    for part, states in zip(("pi", "vf"), getattr(model, "_last_lstm_states", ()), strict=False):
        arrays |= {f"last/lstm/{part}/{k}": one.cpu().numpy() for k, one in enumerate(states)}
    return arrays


def _restore_last(model: BaseAlgorithm, arrays: Arrays) -> None:
    model._last_obs = _under("last/observation/", arrays)
    model._last_original_obs = model._last_obs  # observations are not scaled
    model._last_episode_starts = arrays["last/starts"]
    lstm = _under("last/lstm/", arrays)
    if lstm:
        state = {name: torch.from_numpy(array).to(model.device) for name, array in lstm.items()}
        memory = RNNStates(*((state[f"{part}/0"], state[f"{part}/1"]) for part in ("pi", "vf")))
        model._last_lstm_states = memory  # type: ignore[attr-defined]


def _memory(model: BaseAlgorithm) -> Arrays:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return {}
    filled = slice(0, buffer.size())
    arrays = {f"memory/{name}": array[filled] for name, array in _parts(buffer).items()}
    return arrays | {"memory/pos": np.array(buffer.pos), "memory/full": np.array(buffer.full)}


def _restore_memory(model: BaseAlgorithm, arrays: Arrays) -> None:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return
    for name, array in _parts(buffer).items():
        saved = arrays[f"memory/{name}"]
        array[: len(saved)] = saved
    buffer.pos, buffer.full = int(arrays["memory/pos"]), bool(arrays["memory/full"])


def _parts(buffer: DictReplayBuffer) -> Arrays:
    arrays = {name: getattr(buffer, name) for name in REPLAYED}
    for kind, observations in (("now", buffer.observations), ("next", buffer.next_observations)):
        arrays |= {f"{kind}/{name}": array for name, array in observations.items()}
    return arrays


def _environment(model: BaseAlgorithm) -> tuple[Arrays, dict[str, Any]]:
    scale, env = scaled(model)
    accounts, generators = env.market.snapshot()
    arrays = {f"market/{name}": array for name, array in accounts.items()}
    arrays |= {"market/discounted": scale.returns, **{f"market/{name}": array for name, array in env.sums().items()}}
    return arrays, {"generators": generators, "reward_scale": reward_scale(model)}


def _restore_environment(model: BaseAlgorithm, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    scale, env = scaled(model)
    mine = _under("market/", arrays)
    env.market.restore(mine, facts["generators"])
    env.restore_sums(mine)
    scale.returns = mine["discounted"]
    for name, value in facts["reward_scale"].items():
        setattr(scale.ret_rms, name, np.float64(value))


def _randomness(model: BaseAlgorithm) -> tuple[Arrays, dict[str, Any]]:
    arrays: Arrays = {"random/torch": torch.get_rng_state().numpy()}
    if model.device.type == "cuda":
        arrays["random/cuda"] = torch.cuda.get_rng_state(model.device).numpy()
    name, keys, *rest = np.random.get_state(legacy=True)
    arrays["random/numpy"] = np.asarray(keys).astype(np.int64)
    return arrays, {"numpy": [name, *rest], "actions": dict(model.action_space.np_random.bit_generator.state)}


def _restore_randomness(model: BaseAlgorithm, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    torch.set_rng_state(torch.from_numpy(arrays["random/torch"]))
    if "random/cuda" in arrays:
        torch.cuda.set_rng_state(torch.from_numpy(arrays["random/cuda"]), model.device)
    name, *rest = facts["numpy"]
    np.random.set_state((name, arrays["random/numpy"].astype(np.uint32), *rest))
    model.action_space.np_random.bit_generator.state = facts["actions"]


def _under(prefix: str, named: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
