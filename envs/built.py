"""Markets and environments read their arguments when they are built, and refuse to have them set later."""

from typing import Any

BUILT_WITH = frozenset({"tape", "costs", "action", "reward", "observation", "episodes", "episode_days", "rebalance"})
"""Names of the arguments that are read once."""


class Built:
    """Refuses to set what an object was built with, which would change nothing and say nothing."""

    _built = False

    def __setattr__(self, name: str, value: Any) -> None:
        if self._built and name in BUILT_WITH:
            raise AttributeError(f"{type(self).__name__}: '{name}' is fixed once it is built; build another")
        super().__setattr__(name, value)
