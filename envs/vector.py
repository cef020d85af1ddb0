"""The faces of many episodes: native Gymnasium vector environments, no processes and no copies of the tape."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.actions.portfolio import Action, LongOnly
from envs.actions.single_asset import SellHoldBuy
from envs.batch import BatchMarket, Info
from envs.costs import Costs
from envs.episodes import Episodes
from envs.observations import View
from envs.rebalancing import Rebalance
from envs.rewards import LogGrowth, Reward
from envs.single_stock import single_asset
from envs.tape import Tape
from market.arrays import AnyArray, BoolArray, FloatArray


class MarketVectorEnv(VectorEnv[Any, Any, AnyArray]):
    """The episodes of `market` as a Gymnasium vector environment that resets within the finishing step.

    Sub-environment ``k`` equals a single environment with seed ``seed + k`` to the bit. As in Gymnasium's own
    ``SAME_STEP`` mode, ``infos["final_obs"]`` and ``infos["final_info"]`` hold what finished episodes returned last,
    and each key has a mask under ``_key``.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared so by the base class
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": [],
    }

    def __init__(self, market: BatchMarket) -> None:
        self.market = market
        self.tape = market.tape
        self.num_envs = market.n_envs
        self.single_action_space, self.single_observation_space = market.action_space, market.observation_space
        self.action_space = batch_space(market.action_space, market.n_envs)
        self.observation_space = batch_space(market.observation_space, market.n_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, Info]:
        """Starts all episodes; arguments are those of `BatchMarket.reset`."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        observation, info = self.market.reset(seed, options)
        return observation, self._masked(info)

    def step(self, actions: AnyArray) -> tuple[Any, FloatArray, BoolArray, BoolArray, Info]:
        """Trades one day in every episode; errors are those of `BatchMarket.step`."""
        observation, reward, terminated, truncated, info = self.market.step(actions)
        rows, final = info.pop("final_rows", None), info.pop("final_obs", None)
        if rows is None:
            return observation, reward, terminated, truncated, self._masked(info)
        fresh = self.market.standing(rows)
        last = {name: np.zeros_like(values) for name, values in info.items()}
        for name, values in info.items():
            last[name][rows] = values[rows]
            values[rows] = fresh[name]
        over = terminated | truncated
        infos = self._masked(info)
        infos["final_obs"], infos["_final_obs"] = self._objects(rows, final), over
        infos["final_info"] = last | {f"_{name}": over.copy() for name in last}
        infos["_final_info"] = over.copy()
        return observation, reward, terminated, truncated, infos

    def _masked(self, info: Info) -> Info:
        return info | {f"_{name}": np.ones(self.num_envs, np.bool_) for name in info}

    def _objects(self, rows: AnyArray, final: Any) -> AnyArray:
        observations = np.full(self.num_envs, None, dtype=object)
        for j, k in enumerate(rows):
            observations[k] = {name: part[j] for name, part in final.items()} if isinstance(final, dict) else final[j]
        return observations


class PortfolioVectorEnv(MarketVectorEnv):
    """`num_envs` episodes of ``FactorGym/Portfolio-v0``; arguments are those of `PortfolioEnv`."""

    def __init__(
        self,
        tape: Tape,
        num_envs: int = 1,
        costs: Costs = Costs(),  # noqa: B008 - frozen
        action: Action = LongOnly(),  # noqa: B008
        reward: Reward = LogGrowth(),  # noqa: B008
        observation: View = "full",
        episode_days: int | tuple[int, int] | None = None,
        initial_weights: Sequence[float] | None = None,
        rebalance: Rebalance = 1,
    ) -> None:
        episodes = Episodes.of(episode_days, initial_weights)
        market = BatchMarket(tape, num_envs, costs, action, reward, observation, episodes, rebalance=rebalance)
        super().__init__(market)


class SingleStockVectorEnv(MarketVectorEnv):
    """`num_envs` episodes of ``FactorGym/SingleStock-v0``; arguments are those of `SingleStockEnv`."""

    def __init__(
        self,
        tape: Tape,
        num_envs: int = 1,
        asset: str | None = None,
        costs: Costs = Costs(),  # noqa: B008 - frozen
        action: Action = SellHoldBuy(),  # noqa: B008
        reward: Reward = LogGrowth(),  # noqa: B008
        observation: View = "full",
        episode_days: int | tuple[int, int] | None = None,
        initial_weights: Sequence[float] | None = None,
        rebalance: Rebalance = 1,
    ) -> None:
        episodes = Episodes.of(episode_days, initial_weights)
        one = single_asset(tape, asset)
        options: dict[str, Any] = {"one_asset": True, "rebalance": rebalance}
        super().__init__(BatchMarket(one, num_envs, costs, action, reward, observation, episodes, **options))
