"""The health of inputs names what is constant, infinite, cut off or missing, and says nothing of the rest."""

from dataclasses import replace

import numpy as np

from market.features.health import HealthCheck, health_json, health_rows
from market.panel import Panel
from market.scaling.scalers import RobustZScore
from tests.encoders.tiny import bars


def features() -> Panel:
    rng, panel = np.random.default_rng(0), bars(late=False)
    names = ("good", "infinite", "clipped", "missing", "absent", "constant", "market", "still")
    values = rng.normal(size=(*panel.shape[:2], len(names))).astype(np.float32)
    values[5, 2, 1] = np.inf
    values[:, :, 2] = np.where(rng.random(panel.shape[:2]) < 0.3, 50.0, values[:, :, 2])
    values[:60, :, 3] = np.nan
    values[:, 4, 4] = np.nan
    values[:40, :, 5] = 0.0
    values[:, :, 6] = rng.normal(size=len(panel))[:, None]
    values[:, :, 7] = 2.0
    return replace(panel, fields=names, values=values)


def complaints(raw: Panel) -> dict[str, list[str]]:
    check = HealthCheck(raw)
    scaler = RobustZScore().fit(raw, slice(0, 100))
    found: dict[str, list[str]] = health_json(check.after(scaler.transform(raw).values, scaler.clip))["complaints"]
    return found


def test_each_fault_is_named_and_the_rest_is_not() -> None:
    told = complaints(features())
    assert set(told) == {"infinite", "clipped", "missing", "absent", "constant", "still"}
    for name in ("infinite", "clipped", "missing", "absent", "constant"):
        assert any(line.startswith(name) for line in told[name]), name
    assert told["still"] == ["constant 100.0%"]


def test_cells_that_cannot_be_traded_do_not_count() -> None:
    raw = features()
    tradable = np.array(raw.tradable)
    tradable[5, 2] = False
    assert "infinite" not in complaints(replace(raw, tradable=tradable))


def test_healthy_features_take_one_line() -> None:
    raw = features().select(fields=["good", "market"])
    check = HealthCheck(raw)
    content = health_json(check.after(RobustZScore().fit(raw, slice(0, 100)).transform(raw).values, 3.0))
    assert health_rows(content) == [("features", "all 2 are within their limits")]
