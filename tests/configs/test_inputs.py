"""What every shipped configuration feeds to an encoder or an agent passes the audit, on a twin of its market."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.data import prepare
from encoders.states.inputs import audit_inputs
from market.audit import Scrutiny
from market.features import FeatureSet
from market.features.alpha158 import Alpha158
from market.features.storm import StormFeatures
from market.panel import Panel
from market.scaling.scalers import RobustZScore, Scaling
from market.splits import Split
from tests.configs.test_every_config import CONFIGS, load
from tests.encoders.tiny import bars

DAYS = 240
ENOUGH = Scrutiny(cuts=4, cells=6e6)


@cache
def twin() -> Panel:
    """Returns bars with quoted closes and money traded, a few halts and a late listing, as vendors deliver them."""
    panel = bars(DAYS)
    rng = np.random.default_rng(0)
    close, volume = panel["close"], panel["volume"]
    later = np.ones(close.shape)
    later[: DAYS // 2, 0] = 2.0  # a split, undone in the close
    extra = np.stack([close * later, volume / later, volume * (panel["high"] + 2 * panel["low"]) / 3], axis=-1)
    values = np.concatenate([panel.values, extra], axis=-1)
    listed = np.ones(panel.listed.shape, np.bool_)
    listed[:90, -1] = False
    halted = rng.random(listed.shape) < 0.003
    fields = (*panel.fields, "raw_close", "raw_volume", "amount")
    return replace(panel, values=values, fields=fields, listed=listed, tradable=listed & ~halted)


def inputs_of(experiment: Any) -> tuple[FeatureSet, Scaling] | None:
    if isinstance(experiment, Trade) and experiment.observe != "features":
        return None  # states, which were audited when they were extracted
    return experiment.features, experiment.scaling


def distinct() -> dict[str, tuple[FeatureSet, Scaling]]:
    """Returns the different pairs of features and scaling among all configurations, by the first that has them."""
    found: dict[str, tuple[FeatureSet, Scaling]] = {}
    for path in CONFIGS:
        experiment = load(path)
        if isinstance(experiment, Pretrain | Trade):
            pair = inputs_of(experiment)
            if pair is not None and pair not in found.values():
                found[Path(path).stem] = pair
    return found


PAIRS = distinct()


def verdict_on(features: FeatureSet, scaling: Scaling) -> tuple[str, ...]:
    panel = twin()
    days = [str(day) for day in pd.DatetimeIndex(panel.dates).strftime("%Y-%m-%d")]
    split = Split(train=(days[0], days[150]), valid=(days[160], days[190]), test=(days[200], days[-1]))
    experiment = load(next(path for path in CONFIGS if path.stem == "dj30_ridge"))
    data = prepare(panel, features, scaling, 1, experiment.label, split)
    return audit_inputs(data.pipeline, panel, ENOUGH).faults


@pytest.mark.parametrize("name", PAIRS)
def test_what_a_configuration_feeds_passes_the_audit(name: str) -> None:
    assert verdict_on(*PAIRS[name]) == ()


def test_the_configurations_cover_the_shipped_feature_sets() -> None:
    kinds = {type(features) for features, _ in PAIRS.values()}
    assert {Alpha158, StormFeatures} <= kinds
    assert len(PAIRS) >= 6


def test_the_twin_would_show_a_leak() -> None:
    class Peeking(Alpha158):
        def compute(self, panel: Panel) -> Panel:
            found = super().compute(panel)
            values = np.array(found.values)
            values[:-1, :, 0] = values[1:, :, 0]
            return replace(found, values=values)

    assert any("KMID" in line for line in verdict_on(Peeking(), RobustZScore()))
