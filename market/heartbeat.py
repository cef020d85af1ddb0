"""A line now and then about something long, for logs in which no progress bar is drawn."""

import logging
import time

logger = logging.getLogger(__name__)

A_MINUTE = 60.0


class Heartbeat:
    """Logs how far a stage is, at most once in so many seconds; silent where it is not `active`.

    What is left is reckoned from the first step that was seen, since what came before it (compiling, a first rule to
    learn) does not come again.

    Args:
        title: Of the stage.
        total: Steps of the whole of it.
        done: Steps taken before.
        every: Seconds between two lines.
        active: False where a progress bar is drawn, or another process speaks.
    """

    def __init__(self, title: str, total: int, done: int = 0, every: float = A_MINUTE, active: bool = True) -> None:
        self._title, self._total, self._first, self._every, self._active = title, total, done, every, active
        self._last = time.monotonic()
        self._seen: tuple[float, int] | None = None

    def beat(self, step: int) -> None:
        """Takes note that `step` steps are done, and logs a line where the last one is long enough ago."""
        now = time.monotonic()
        began, first = self._seen = self._seen or (now, step)
        if not self._active or now - self._last < self._every or not self._first < step < self._total:
            return
        if step == first:
            logger.info("%s: %d of %d", self._title, step, self._total)
        else:
            left = (now - began) / (step - first) * (self._total - step)
            logger.info("%s: %d of %d, about %.0f minutes left", self._title, step, self._total, left / 60)
        self._last = now
