"""The audit passes over average prices, bars as a sequence, a user's columns and labels of several horizons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from encoders.bars import BarHistory
from encoders.base import EncoderConfig
from encoders.baselines.gru import GRU
from encoders.data import FrozenEncoder, Pipeline, prepare
from encoders.factor_vae import FactorVAE
from encoders.states.audit import Audit, TrainingFacts
from encoders.states.extraction import AuditError, Extraction, extract
from encoders.states.inputs import inputs_fingerprint, inputs_record, prove_inputs
from market.features import FeatureSet
from market.features.alpha158 import Alpha158
from market.features.external import WithColumns
from market.features.union import FeatureUnion
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.scalers import CrossSectionalZScore
from market.splits import Split
from tests.encoders.test_audit import PROVENANCE
from tests.encoders.tiny import Moves, bars

LABEL = Label(fill="next_close", horizon=1, transform="rank", horizons=(1, 2, 3))
SPLIT = Split(train=("2020-01-01", "2020-04-07"), valid=("2020-04-12", "2020-05-06"), test=("2020-05-12", "2020-06-05"))


def with_amount() -> Panel:
    panel = bars()
    paid = panel["volume"] * (panel["high"] + 2 * panel["low"]) / 3
    values = np.concatenate([panel.values, paid[..., None]], -1)
    return replace(panel, fields=(*panel.fields, "amount"), values=values)


def table(folder: Path, panel: Panel) -> str:
    frame = pd.DataFrame(panel["volume"], panel.dates, panel.assets).rename_axis("date").reset_index()
    path = folder / "own.parquet"
    frame.melt("date", var_name="symbol", value_name="OWN").to_parquet(path)
    return str(path)


def verdict(features: FeatureSet, encoder: EncoderConfig, folder: Path) -> str:
    panel = with_amount()
    data = prepare(panel, features, CrossSectionalZScore(), encoder.lookback, LABEL, SPLIT)
    torch.manual_seed(0)
    built = encoder.build(data.store.shape).eval().requires_grad_(False)
    how = Extraction(
        PROVENANCE,
        data.fit_end,
        TrainingFacts(LABEL, CrossSectionalZScore(), data.days.train),
        batch_size=16,
        audit=Audit(cuts=2, days=8),
    )
    frozen = FrozenEncoder(data.pipeline, built, 1.3)
    return str(extract(frozen, panel, folder / "states.safetensors", how).to_json()["verdict"])


def test_average_prices_and_bars_pass(tmp_path: Path) -> None:
    assert (
        verdict(FeatureUnion(), GRU(lookback=4, hidden=8, layers=1, bars=BarHistory(hidden=8, patch=20)), tmp_path)
        == "passed"
    )


def test_average_prices_alone_pass(tmp_path: Path) -> None:
    assert verdict(Alpha158(), FactorVAE(lookback=4, hidden=8, portfolios=4, factors=3), tmp_path) == "passed"


def test_columns_of_the_user_pass(tmp_path: Path) -> None:
    features = WithColumns(table(tmp_path, with_amount()), lag=1, base=Moves())
    assert verdict(features, GRU(lookback=4, hidden=8, layers=1), tmp_path) == "passed"


def test_features_of_tomorrow_beside_columns_of_the_user_fail(tmp_path: Path) -> None:
    features = WithColumns(table(tmp_path, with_amount()), lag=1, base=Moves(shift=1))
    with pytest.raises(AuditError, match="future"):
        verdict(features, GRU(lookback=4, hidden=8, layers=1), tmp_path)


def piped(features: FeatureSet, panel: Panel) -> Pipeline:
    data = prepare(panel, features, CrossSectionalZScore(), 4, LABEL, SPLIT)
    return data.pipeline


def test_proven_inputs_cover_their_first_days_and_nothing_else() -> None:
    panel = with_amount()
    pipeline = piped(Alpha158(), panel)
    proven = prove_inputs(pipeline, panel)
    assert proven.cover(Alpha158(), pipeline.store(panel))
    assert proven.cover(Alpha158(), pipeline.store(panel[:90]))
    assert not proven.cover(Moves(), pipeline.store(panel))
    assert not prove_inputs(pipeline, panel[:90]).cover(Alpha158(), pipeline.store(panel))
    values = panel.values.copy()
    values[80, 0, :4] *= 1.01
    other = replace(panel, values=values)
    assert proven.cover(Alpha158(), pipeline.store(other[:80]))
    assert not proven.cover(Alpha158(), pipeline.store(other[:81]))


def test_inputs_that_are_not_proven_are_audited_as_ever() -> None:
    panel = with_amount()
    proven = prove_inputs(piped(Moves(), panel), panel)
    leaky = piped(Moves(shift=1), panel)
    with pytest.raises(AuditError, match="future"):
        inputs_record(leaky, panel, leaky.store(panel), proven)
    with pytest.raises(AuditError, match="future"):
        prove_inputs(leaky, panel)


def test_proven_inputs_are_recorded_with_the_fingerprint_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = with_amount()
    pipeline = piped(Moves(), panel)
    proven = prove_inputs(pipeline, panel)
    monkeypatch.setattr("encoders.states.inputs.audit_columns", None)  # nothing is audited a second time
    store = pipeline.store(panel[:90])
    record = inputs_record(pipeline, panel[:90], store, proven)
    assert record["inputs_fingerprint"] == inputs_fingerprint(store)
    assert record["verdict"] == "passed"
    assert record["coverage"]["days"] == len(panel)
