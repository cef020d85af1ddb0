"""One episode: a Gymnasium environment over a BatchMarket of one."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.batch import BatchMarket, Info
from envs.built import Built
from envs.observations import Observation
from envs.rendering import Canvas, EpisodeHistory
from envs.specs import Specified
from market.arrays import AnyArray, BoolArray

RENDER_FPS = 4


class SingleEnv(Built, Specified, gymnasium.Env[Any, Any]):
    """One episode of `market`, which must hold exactly one and not start anew by itself.

    The subclasses say what is traded and what is shown; this class only takes the batch axis away and keeps the record
    that `render` draws.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - declared so by the base class
        "render_modes": ["rgb_array", "human"],
        "render_fps": RENDER_FPS,
    }

    def __init__(self, market: BatchMarket, render_mode: str | None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode is '{render_mode}', expected None, 'rgb_array' or 'human'")
        self.market = market
        self.tape = market.tape
        self.render_mode = render_mode
        self.action_space = market.action_space
        self.observation_space = market.observation_space
        self._screen = Canvas(render_mode) if render_mode is not None else None
        self._record: EpisodeHistory | None = None
        self._built = True

    def __repr__(self) -> str:
        """Names the market that is traded."""
        return f"{type(self).__name__}({self.market!r})"

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, Info]:
        """Starts an episode; the generator is seeded by `seed` alone.

        Args:
            seed: Seed of the generator that draws random starts; None goes on with it.
            options: ``day``, the first decision day by row or by date; ``days``, the length, from a random day where
                none is given; ``weights``, the initial position ``[1 + N]``.

        Raises:
            ValueError: An option is unknown or does not fit the tape.
        """
        super().reset(seed=seed)
        self.market.clock.generators[0] = self.np_random
        observation, info = self.market.reset(options=options)
        first = _single(info)
        if self._screen is not None:
            self._record = EpisodeHistory(self.tape, int(self.market.clock.day[0]), first)
            self._show()
        return self._only(observation), first

    def step(self, action: AnyArray | int) -> tuple[Any, float, bool, bool, Info]:
        """Trades one day.

        Raises:
            ValueError: The action has the wrong shape, is not finite, or does not exist; the account is untouched.
            ResetNeeded: The episode is over or has not begun.
        """
        batch = np.asarray(action)[None]
        observation, reward, terminated, truncated, info = self.market.step(batch)
        taken = _single(info)
        if self._record is not None:
            self._record.add(taken)
            self._show()
        return self._only(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), taken

    def render(self) -> Any:
        """Draws wealth against the benchmark, weights and drawdown since `reset`.

        Returns an image ``[height, width, 3]`` uint8 for ``rgb_array``; ``human`` draws a window by itself.
        """
        if self._screen is None or self._record is None:
            return None
        if self.render_mode == "human":
            self._show()
            return None
        return self._screen.image(self._record)

    def action_masks(self) -> BoolArray:
        """Returns ``[A]``, true where a choice of a discrete action can do something now, as MaskablePPO asks."""
        masks: BoolArray = self.market.action_masks()[0]
        return masks

    def close(self) -> None:
        """Closes the window, if there is one; may be called twice."""
        if self._screen is not None:
            self._screen.close()

    def _show(self) -> None:
        if self.render_mode == "human" and self._screen is not None and self._record is not None:
            self._screen.show(self._record)

    @staticmethod
    def _only(observation: Observation) -> Any:
        if isinstance(observation, dict):
            return {name: array[0] for name, array in observation.items()}
        return observation[0]


def _single(info: Info) -> Info:
    return {name: value[0] if value.ndim > 1 else value[0].item() for name, value in info.items() if name != "date"} | {
        "date": info["date"][0]
    }
