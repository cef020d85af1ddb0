"""Episodes: where they start, how long they last, and with what position, from a seed alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from envs.tape import Tape
from market.arrays import FloatArray, IntArray

OPTIONS = ("day", "days", "weights")


@dataclass(frozen=True)
class Episodes:
    """How episodes are drawn from a tape.

    Attributes:
        days: Steps of an episode, from a random start; a pair draws the length as well, both ends included. None
            replays the whole tape.
        weights: Position at the start ``[1 + N]``, cash first; None is all cash.
        most_steps: Steps after which an episode is truncated, however long it was drawn; None for no such limit.
    """

    days: int | tuple[int, int] | None = None
    weights: tuple[float, ...] | None = None
    most_steps: int | None = None

    def __post_init__(self) -> None:
        if self.most_steps is not None and self.most_steps < 1:
            raise ValueError(f"max_episode_steps is {self.most_steps}, expected at least 1")

    @staticmethod
    def of(
        days: int | tuple[int, int] | None,
        weights: Sequence[float] | FloatArray | None,
        most_steps: int | None = None,
    ) -> "Episodes":
        """Returns the episodes of `days` that start with `weights`, in whatever sequence those come."""
        days = tuple(days) if isinstance(days, list) else days  # JSON has no tuples
        return Episodes(days, None if weights is None else tuple(map(float, weights)), most_steps)

    def check(self, tape: Tape) -> None:
        """Refuses lengths that `tape` does not have, and weights that do not fit it."""
        shortest, longest = self._lengths(tape)
        if not 1 <= shortest <= longest <= len(tape) - 1:
            raise ValueError(
                f"episode_days is {self.days}, but the tape's {len(tape)} days hold episodes of 1 to {len(tape) - 1}; "
                "choose fewer (--episode-days), or None for all of them"
            )
        self.initial_weights(tape, self.weights)

    def draw(self, tape: Tape, generator: np.random.Generator) -> tuple[int, int]:
        """Returns the first and the last row of an episode; only random starts use the generator."""
        if self.days is None:
            return 0, len(tape) - 1
        shortest, longest = self._lengths(tape)
        length = int(generator.integers(shortest, longest + 1)) if longest > shortest else longest
        start = int(generator.integers(0, len(tape) - length))
        return start, start + length

    def chosen(self, tape: Tape, day: Any, days: Any) -> tuple[int, int]:
        """Returns the first and the last row of an episode that starts on `day`, cut at the end of the tape."""
        start = tape.row(day)
        length = days if days is not None else self.days
        if isinstance(length, tuple):
            length = length[1]
        return start, len(tape) - 1 if length is None else min(start + length, len(tape) - 1)

    def initial_weights(self, tape: Tape, weights: Sequence[float] | FloatArray | None) -> FloatArray:
        """Returns the weights ``[1 + N]`` that an episode starts with."""
        if weights is None:
            cash = np.zeros(1 + tape.n_assets)
            cash[0] = 1.0
            return cash
        array = np.array(weights, dtype=np.float64)
        if array.shape != (1 + tape.n_assets,) or not np.isfinite(array).all() or abs(array.sum() - 1) > 1e-6:
            raise ValueError(
                f"initial weights have shape {array.shape} and sum {array.sum()}, expected cash and "
                f"{tape.n_assets} assets summing to 1"
            )
        normalised: FloatArray = array / array.sum()
        return normalised

    def _lengths(self, tape: Tape) -> tuple[int, int]:
        if self.days is None:
            return len(tape) - 1, len(tape) - 1
        return self.days if isinstance(self.days, tuple) else (self.days, self.days)


class EpisodeCursor:
    """The days of B episodes and the generators they are drawn with.

    Episode ``k`` of a batch seeded with ``s`` draws from its own generator seeded with ``s + k``, so it takes the path
    of a single environment with that seed.

    Attributes:
        day: ``[B]`` current rows.
        start: ``[B]`` first rows.
        end: ``[B]`` last rows.
        generators: One for each episode.
    """

    def __init__(self, tape: Tape, episodes: Episodes, n_envs: int, seed: int | None) -> None:
        self._tape, self._episodes = tape, episodes
        self.day: IntArray = np.zeros(n_envs, np.int64)
        self.start: IntArray = np.zeros(n_envs, np.int64)
        self.end: IntArray = np.zeros(n_envs, np.int64)
        self.generators: list[np.random.Generator] = []
        self.seed(seed)

    def seed(self, seed: int | Sequence[int | None] | None) -> None:
        """Gives every episode a fresh generator; None takes entropy from the system."""
        n_envs = len(self.day)
        seeds = [None if seed is None else seed + k for k in range(n_envs)] if not isinstance(seed, Sequence) else seed
        if len(seeds) != n_envs:
            raise ValueError(f"seed holds {len(seeds)} numbers for {n_envs} episodes; give one each, or one in all")
        self.generators = [np.random.default_rng(one) for one in seeds]

    def seed_rows(self, rows: IntArray, seeds: Sequence[int | None]) -> None:
        """Gives some episodes fresh generators; `seeds` has one for every episode of the batch."""
        if len(seeds) != len(self.day):
            raise ValueError(f"seed holds {len(seeds)} numbers for {len(self.day)} episodes; give one each")
        for k in rows:
            self.generators[k] = np.random.default_rng(seeds[k])

    def restart(self, rows: IntArray, options: Mapping[str, Any] | None = None) -> None:
        """Draws a new episode for each of `rows`, or starts it where the options say."""
        day, days = ((options or {}).get(name) for name in ("day", "days"))
        episodes = self._episodes
        if days is not None and day is None:
            episodes = replace(episodes, days=days)
            episodes.check(self._tape)
        for k in rows:
            if day is not None:
                span = episodes.chosen(self._tape, day, days)
            else:
                span = episodes.draw(self._tape, self.generators[k])
            most = self._episodes.most_steps
            self.start[k], self.end[k] = span[0], span[1] if most is None else min(span[1], span[0] + most)
        self.day[rows] = self.start[rows]


def check_options(options: Mapping[str, Any] | None) -> None:
    """Refuses reset options that do not exist, naming those that do, and a length that is no number of days."""
    unknown = [name for name in options or {} if name not in OPTIONS]
    if unknown:
        raise ValueError(f"options: no option '{unknown[0]}'; there are {', '.join(OPTIONS)}")
    days = (options or {}).get("days")
    if days is not None and (not isinstance(days, int | np.integer) or isinstance(days, bool) or days < 1):
        raise ValueError(f"options: days is {days!r}, expected a whole number of at least 1")
