"""BatchMarket as a stable-baselines3 VecEnv: thousands of episodes in one process, without a copy of the tape."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from envs.batch import BatchMarket, Info
from envs.vector import EpisodePictures
from market.arrays import AnyArray


class MarketVecEnv(VecEnv):
    """The episodes of `market` as stable-baselines3 steps them.

    Finished episodes start anew within the step; their last observation is ``info["terminal_observation"]``,
    ``info["TimeLimit.truncated"]`` says whether they ended without ruin, and ``info["episode"]`` holds the sum of
    rewards ``r``, the length ``l`` and the seconds since the start ``t``, as SB3's Monitor writes them, beside the
    final ``wealth``. Every info holds the ``wealth``, ``turnover`` and ``cost`` of the step.

    Episode ``k`` equals a single environment with seed ``seed + k`` to the bit, up to the single precision that SB3
    keeps rewards in.

    Args:
        market: Batch of episodes that starts finished ones anew (`BatchMarket.autoreset`).
        render_mode: ``rgb_array``: `render` tiles an image an episode, as VecVideoRecorder films it; None keeps nothing
            to draw.
    """

    def __init__(self, market: BatchMarket, render_mode: str | None = None) -> None:
        if not market.autoreset:
            raise ValueError("MarketVecEnv: market has autoreset=False, but SB3 expects episodes to start anew")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is '{render_mode}', expected None or 'rgb_array' of many episodes")
        self.market = market
        self._pictures = EpisodePictures(market) if render_mode is not None else None
        self._actions: AnyArray | None = None
        self._began = time.time()
        self._rewards = np.zeros(market.n_envs)
        self._lengths = np.zeros(market.n_envs, np.int64)
        super().__init__(market.n_envs, market.observation_space, market.action_space)

    def __repr__(self) -> str:
        """Names the market that is traded."""
        return f"{type(self).__name__}({self.market!r})"

    def reset(self) -> VecEnvObs:
        """Starts all episodes, with the seeds and options that `seed` and `set_options` have left."""
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observation, info = self.market.reset(seeds, self._options[0])
        self._draw(np.arange(self.num_envs), info)
        self._rewards[:], self._lengths[:] = 0.0, 0
        self.reset_infos = [{} for _ in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: AnyArray) -> None:
        """Takes note of the actions."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Trades one day in every episode."""
        if self._actions is None:
            raise ValueError("MarketVecEnv: step_wait() without step_async(); pass the actions first")
        observation, reward, terminated, truncated, info = self.market.step(self._actions)
        self._actions = None
        self._rewards += reward
        self._lengths += 1
        told = (info["wealth"].tolist(), info["turnover"].tolist(), info["cost"].tolist())
        infos: list[dict[str, Any]] = [
            {"wealth": wealth, "turnover": turnover, "cost": cost} for wealth, turnover, cost in zip(*told, strict=True)
        ]
        self._draw(info.get("final_rows", np.empty(0, np.int64)), info)
        for j, k in enumerate(info.get("final_rows", ())):
            final = info["final_obs"]
            infos[k] |= {
                "terminal_observation": {name: part[j] for name, part in final.items()}
                if isinstance(final, dict)
                else final[j],
                "TimeLimit.truncated": bool(truncated[k]),
                "episode": {
                    "r": float(self._rewards[k]),
                    "l": int(self._lengths[k]),
                    "t": round(time.time() - self._began, 6),
                },
            }
            self._rewards[k], self._lengths[k] = 0.0, 0
        return observation, reward.astype(np.float32), terminated | truncated, infos

    def get_images(self) -> Sequence[AnyArray | None]:
        """Returns an image ``[height, width, 3]`` of each episode since it began; none without a render mode."""
        return [] if self._pictures is None else list(self._pictures.images() or ())

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """Sets the options of the next `reset`; all episodes share them.

        Raises:
            ValueError: A list holds different options.
        """
        if isinstance(options, list) and any(one != options[0] for one in options):
            raise ValueError("MarketVecEnv: options differ between episodes; give the same to all")
        super().set_options(options)

    def sums(self) -> dict[str, AnyArray]:
        """Returns the rewards and lengths so far of the episodes that run, which a continued training needs."""
        return {"rewards": self._rewards.copy(), "lengths": self._lengths.copy()}

    def restore_sums(self, sums: Mapping[str, AnyArray]) -> None:
        """Puts back what `sums` returned."""
        self._rewards[:], self._lengths[:] = sums["rewards"], sums["lengths"]

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Returns an attribute of the market, once for each episode asked for."""
        mine = {"render_mode": None if self._pictures is None else "rgb_array"}
        value = mine[attr_name] if attr_name in mine else getattr(self.market, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuses: episodes of a batch share their attributes; build another BatchMarket."""
        raise AttributeError(f"MarketVecEnv: '{attr_name}' is shared by all episodes; build another BatchMarket")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of the market once and returns its result for each episode asked for.

        Of ``action_masks`` each episode gets its own row.
        """
        result = getattr(self.market, method_name)(*method_args, **method_kwargs)
        rows = self._get_indices(indices)
        return [result[row] for row in rows] if method_name == "action_masks" else [result for _ in rows]

    def env_is_wrapped(self, wrapper_class: type[Env[Any, Any]], indices: VecEnvIndices = None) -> list[bool]:
        """Returns that no episode is wrapped, except in what Monitor does, which this class does itself."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def _draw(self, begun: AnyArray, info: Info) -> None:
        if self._pictures is None:
            return
        fresh, shown = self.market.standing(begun), {}
        for name in ("date", "wealth", "weights"):
            shown[name] = info[name].copy()
            shown[name][begun] = fresh[name]
        self._pictures.add(begun, shown)
