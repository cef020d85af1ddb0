"""The faces of many episodes: native Gymnasium vector environments, no processes and no copies of the tape."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.actions.portfolio import Action, LongOnly
from envs.actions.single_asset import SellHoldBuy
from envs.arguments import checked_tape
from envs.batch import BatchMarket, Info
from envs.built import Built
from envs.costs import Costs
from envs.env import RENDER_FPS
from envs.episodes import Episodes
from envs.observations import OwnView, View
from envs.rebalancing import Rebalance
from envs.rendering import Canvas, EpisodeHistory
from envs.rewards import LogGrowth, Reward, StepResult
from envs.single_stock import single_asset
from envs.specs import Specified
from envs.tape import Tape
from market.arrays import AnyArray, BoolArray, FloatArray

RESET_MASK = "reset_mask"
"""Reset option of Gymnasium that names the episodes to start."""


class MarketVectorEnv(Built, Specified, VectorEnv[Any, Any, AnyArray]):
    """The episodes of `market` as a Gymnasium vector environment, in each of Gymnasium's three ways to start anew.

    ``SAME_STEP`` starts a finished episode within the step that finished it; ``infos["final_obs"]`` and
    ``infos["final_info"]`` hold what it returned last. ``NEXT_STEP`` starts it in the step after, whose action is
    ignored and whose reward is 0; Gymnasium's vector wrappers of observations expect that mode. ``DISABLED`` starts
    nothing: ``reset(options={"reset_mask": mask})`` does, for the episodes of a mask ``[B]``. Each key of the infos has
    a mask under ``_key``.

    Sub-environment ``k`` equals a single environment with seed ``seed + k`` to the bit.

    Args:
        market: Batch of episodes; with `autoreset` exactly where the mode is ``SAME_STEP``.
        autoreset_mode: One of the three, or its name.
        render_mode: ``rgb_array``: `render` returns an image an episode; None keeps nothing to draw.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared so by the base class
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": RENDER_FPS,
    }

    def __init__(
        self,
        market: BatchMarket,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
    ) -> None:
        mode = resolved_mode(autoreset_mode)
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode is '{render_mode}', expected None or 'rgb_array' of many episodes")
        if market.autoreset != (mode == AutoresetMode.SAME_STEP):
            raise ValueError(f"autoreset_mode is {mode.name}, but the market has autoreset={market.autoreset}")
        self.market, self.tape, self.num_envs = market, market.tape, market.n_envs
        self.metadata = type(self).metadata | {"autoreset_mode": mode}
        self.render_mode, self.autoreset_mode = render_mode, mode
        self._pictures = EpisodePictures(market) if render_mode is not None else None
        self.single_action_space, self.single_observation_space = market.action_space, market.observation_space
        self.action_space = batch_space(market.action_space, market.n_envs)
        self.observation_space = batch_space(market.observation_space, market.n_envs)
        self._built = True

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, Info]:
        """Starts all episodes, or those of ``options["reset_mask"]``; the rest is as in `BatchMarket.reset`.

        Raises:
            ValueError: The mask is not one truth value for each episode, with at least one true.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        others = {name: value for name, value in (options or {}).items() if name != RESET_MASK}
        if options is None or RESET_MASK not in options:
            observation, info = self.market.reset(seed, others)
            self._draw(np.arange(self.num_envs), info)
            return observation, self._masked(info)
        rows = self._asked(options[RESET_MASK])
        if seed is not None:
            seeds = [seed + k for k in range(self.num_envs)] if isinstance(seed, int) else list(seed)
            self.market.clock.seed_rows(rows, seeds)
        self.market.begin(rows, others)
        info = self.market.standing(np.arange(self.num_envs))
        self._draw(rows, info)
        begun = np.isin(np.arange(self.num_envs), rows)
        return self.market.observe(), info | {f"_{name}": begun.copy() for name in info}

    def step(self, actions: AnyArray) -> tuple[Any, FloatArray, BoolArray, BoolArray, Info]:
        """Trades one day in every episode; errors are those of `BatchMarket.step`."""
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and (rows := np.flatnonzero(self.market.finished)).size:
            self.market.begin(rows)
            reward, terminated, truncated, info = self.market.rest(actions, rows)
            self._draw(rows, info)
            return self.market.observe(), reward, terminated, truncated, self._masked(info)
        observation, reward, terminated, truncated, info = self.market.step(actions)
        rows, final = info.pop("final_rows", None), info.pop("final_obs", None)
        if rows is None:
            self._draw(np.empty(0, np.int64), info)
            return observation, reward, terminated, truncated, self._masked(info)
        fresh = self.market.standing(rows)
        last = {name: np.zeros_like(values) for name, values in info.items()}
        for name, values in info.items():
            last[name][rows] = values[rows]
            values[rows] = fresh[name]
        self._draw(rows, info)
        over = terminated | truncated
        infos = self._masked(info)
        infos["final_obs"], infos["_final_obs"] = self._objects(rows, final), over
        infos["final_info"] = last | {f"_{name}": over.copy() for name in last}
        infos["_final_info"] = over.copy()
        return observation, reward, terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """Returns an image ``[height, width, 3]`` of each episode since it began; None without a mode."""
        return None if self._pictures is None else self._pictures.images()

    def action_masks(self) -> BoolArray:
        """Returns the choices ``[B, A]`` that can do something now; errors are those of `BatchMarket.action_masks`."""
        return self.market.action_masks()

    def _draw(self, begun: AnyArray, info: Info) -> None:
        if self._pictures is not None:
            self._pictures.add(begun, info)

    def _asked(self, mask: Any) -> AnyArray:
        wanted = np.asarray(mask)
        if wanted.shape != (self.num_envs,) or wanted.dtype != np.bool_ or not wanted.any():
            raise ValueError(
                f"options: reset_mask has shape {wanted.shape} and type {wanted.dtype}, expected {self.num_envs} truth "
                "values with at least one true"
            )
        return np.flatnonzero(wanted)

    def _masked(self, info: Info) -> Info:
        return info | {f"_{name}": np.ones(self.num_envs, np.bool_) for name in info}

    def _objects(self, rows: AnyArray, final: Any) -> AnyArray:
        observations = np.full(self.num_envs, None, dtype=object)
        for j, k in enumerate(rows):
            observations[k] = {name: part[j] for name, part in final.items()} if isinstance(final, dict) else final[j]
        return observations


class EpisodePictures:
    """Histories of B episodes, drawn when somebody asks."""

    def __init__(self, market: BatchMarket) -> None:
        self._market, self._canvas = market, Canvas("rgb_array")
        self._records: list[EpisodeHistory | None] = [None] * market.n_envs

    def add(self, begun: AnyArray, info: Info) -> None:
        """Appends a step of every episode; those of the rows `begun` start a new picture."""
        fresh = set(begun.tolist())
        for k, record in enumerate(self._records):
            one = {name: info[name][k] for name in ("date", "wealth", "weights")}
            if record is None or k in fresh:
                self._records[k] = EpisodeHistory(self._market.tape, int(self._market.clock.day[k]), one)
            else:
                record.add(one)

    def images(self) -> tuple[Any, ...] | None:
        """Returns the drawing of each episode; None before the first reset."""
        drawn = [self._canvas.image(record) for record in self._records if record is not None]
        return tuple(drawn) if len(drawn) == len(self._records) else None


def resolved_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Returns a mode by itself, by its value (``NextStep``) or by its name (``NEXT_STEP``)."""
    found = [one for one in AutoresetMode if mode in (one, one.value, one.name)]
    if not found:
        names = ", ".join(one.name for one in AutoresetMode)
        raise ValueError(f"autoreset_mode is {mode!r}, expected one of {names}")
    return found[0]


class PortfolioVectorEnv(MarketVectorEnv):
    """`num_envs` episodes of ``FactorGym/Portfolio-v0``; arguments are those of `PortfolioEnv`, and further ones.

    Args:
        num_envs: Number of episodes.
        autoreset_mode: How finished episodes start anew, see `MarketVectorEnv`.
        render_mode: ``rgb_array`` or None.
        max_episode_steps: Steps after which an episode is truncated; None for no such limit.
    """

    def __init__(
        self,
        tape: Tape,
        num_envs: int = 1,
        costs: Costs = Costs(),  # noqa: B008 - frozen
        action: Action = LongOnly(),  # noqa: B008
        reward: Reward | Callable[[StepResult], FloatArray] = LogGrowth(),  # noqa: B008
        observation: View | OwnView = "full",
        episode_days: int | tuple[int, int] | None = None,
        initial_weights: Sequence[float] | None = None,
        rebalance: Rebalance = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        episodes = Episodes.of(episode_days, initial_weights, max_episode_steps)
        market = BatchMarket(
            tape,
            num_envs,
            costs,
            action,
            reward,
            observation,
            episodes,
            autoreset=resolved_mode(autoreset_mode) == AutoresetMode.SAME_STEP,
            rebalance=rebalance,
        )
        super().__init__(market, autoreset_mode, render_mode)


class SingleStockVectorEnv(MarketVectorEnv):
    """`num_envs` episodes of ``FactorGym/SingleStock-v0``; arguments are those of `SingleStockEnv`, and further ones.

    The further ones are those of `PortfolioVectorEnv`.
    """

    def __init__(
        self,
        tape: Tape,
        num_envs: int = 1,
        asset: str | None = None,
        costs: Costs = Costs(),  # noqa: B008 - frozen
        action: Action = SellHoldBuy(),  # noqa: B008
        reward: Reward | Callable[[StepResult], FloatArray] = LogGrowth(),  # noqa: B008
        observation: View | OwnView = "full",
        episode_days: int | tuple[int, int] | None = None,
        initial_weights: Sequence[float] | None = None,
        rebalance: Rebalance = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        episodes = Episodes.of(episode_days, initial_weights, max_episode_steps)
        market = BatchMarket(
            single_asset(checked_tape(tape), asset),
            num_envs,
            costs,
            action,
            reward,
            observation,
            episodes,
            autoreset=resolved_mode(autoreset_mode) == AutoresetMode.SAME_STEP,
            one_asset=True,
            rebalance=rebalance,
        )
        super().__init__(market, autoreset_mode, render_mode)
