"""Pictures: the newest now and then, and the last in any case."""

import pytest

from market import pictures
from market.pictures import Pictures


def test_the_newest_is_drawn_now_and_then_and_the_last_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(pictures.time, "monotonic", lambda: now[0])
    drawn: list[int] = []
    album = Pictures(every=30.0)
    for number in range(9):
        album.offer(lambda number=number: drawn.append(number))
        now[0] += 10.0
    assert drawn == [3, 6]
    album.finish()
    album.finish()
    assert drawn == [3, 6, 8]
