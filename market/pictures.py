"""Pictures of a training, which may cost more than the steps between two of them: the newest now and then."""

import time
from collections.abc import Callable

HALF_A_MINUTE = 30.0


class Pictures:
    """Draws the newest picture at most once in so many seconds, and the last one at the end.

    Args:
        every: Seconds between two pictures, and before the first.
    """

    def __init__(self, every: float = HALF_A_MINUTE) -> None:
        self._every, self._last = every, time.monotonic()
        self._waiting: Callable[[], None] | None = None

    def offer(self, draw: Callable[[], None]) -> None:
        """Calls `draw` where the last picture is long enough ago; else it waits, until the end or a newer one."""
        self._waiting = draw
        if time.monotonic() - self._last >= self._every:
            self.finish()

    def finish(self) -> None:
        """Draws the picture that waits, if one does."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()
            self._last = time.monotonic()
