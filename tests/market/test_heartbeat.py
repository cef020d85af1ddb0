"""A line a minute about long stages, with the time that is left."""

import logging

import pytest

from market import heartbeat
from market.heartbeat import Heartbeat


def test_a_line_a_minute_says_how_far_and_how_long(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    clock = iter([0.0, 30.0, 61.0, 90.0, 130.0, 600.0])
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: next(clock))
    beats = Heartbeat("pretraining", total=100, done=10)
    with caplog.at_level(logging.INFO):
        for step in (20, 40, 50, 55, 100):
            beats.beat(step)
    assert [record.message for record in caplog.records] == [
        "pretraining: 40 of 100, about 2 minutes left",
        "pretraining: 55 of 100, about 2 minutes left",
    ]


def test_a_slow_start_does_not_count(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    clock = iter([0.0, 120.0, 181.0])
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: next(clock))
    beats = Heartbeat("training", total=1000)
    with caplog.at_level(logging.INFO):
        beats.beat(10)
        beats.beat(110)
    told = [record.message for record in caplog.records]
    assert told == ["training: 10 of 1000", "training: 110 of 1000, about 9 minutes left"]


def test_a_bar_or_another_process_keeps_it_silent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Heartbeat("pretraining", 100, every=0.0, active=False).beat(50)
    assert not caplog.records
