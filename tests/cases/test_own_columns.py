"""A user's own features beside prices, in whatever table they come, and without prices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.files import load_python
from configs.own_features import with_own_features
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.walk import Walk
from configs.values import from_data, to_data
from encoders.data import TrainingData, prepare
from market.audit import audit_features
from market.features import Formulas
from market.features.external import WithColumns
from market.features.table import Feature
from market.features.union import FeatureUnion
from market.panel import Panel
from market.prices.labels import Label
from market.scaling.scalers import RobustZScore
from market.sources.tables import Tables
from market.splits import Split
from pipeline.early_columns import early_columns, warn_of_early_columns
from pipeline.results import ExtractResult
from tools.cli import configured
from tools.pretrain import Options
from tools.tables import show_states

DAYS = pd.bdate_range("2020-01-01", periods=30)
NAMES = ("000001", "NA")
BASE = Formulas((Feature("MOVE", "close / delay(close, 1) - 1"),))


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        pd.DataFrame({"date": DAYS, "symbol": name, **{f"F{k}": rng.normal(size=30) for k in range(40)}})
        for name in NAMES
    ]
    return pd.concat(rows, ignore_index=True)


def panel() -> Panel:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"date": DAYS.repeat(2), "symbol": NAMES * 30, "close": rng.uniform(10, 11, 60)})
    return Panel.from_frame(frame)


WAYS = {
    "parquet": lambda frame, path: frame.to_parquet(path.with_suffix(".parquet")),
    "parquet with an index": lambda frame, path: frame.set_index(["date", "symbol"]).to_parquet(
        path.with_suffix(".parquet")
    ),
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "csv with row numbers": lambda frame, path: frame.to_csv(path),
    "vendor's names": lambda frame, path: frame.rename(columns={"date": "trade_date", "symbol": "ts_code"}).to_csv(
        path
    ),
    "european": lambda frame, path: frame.assign(date=frame["date"].dt.strftime("%d.%m.%Y")).to_csv(path, sep=";"),
}


@pytest.mark.parametrize("way", WAYS)
def test_forty_columns_stand_where_they_are_known(way: str, tmp_path: Path) -> None:
    frame = table()
    WAYS[way](frame, tmp_path / "own.csv")
    features = WithColumns(str(next(tmp_path.iterdir())), lag=1, base=BASE)
    found = features.compute(panel())
    assert found.fields == ("MOVE", *(f"F{k}" for k in range(40)))
    assert [one.lag for one in features.external] == [1] * 40
    for n, name in enumerate(NAMES):
        own = frame[frame["symbol"] == name].drop(columns=["date", "symbol"]).to_numpy(dtype=np.float32)
        np.testing.assert_allclose(found.values[1:, n, 1:], own[:-1], rtol=1e-5)


def test_columns_of_a_table_may_stand_alone(tmp_path: Path) -> None:
    table().to_parquet(tmp_path / "own.parquet")
    alone = WithColumns(str(tmp_path / "own.parquet"), lag=1, base=None)
    found, beside = alone.compute(panel()), replace(alone, base=BASE).compute(panel())
    assert found.fields == tuple(f"F{k}" for k in range(40))
    np.testing.assert_array_equal(found.values, beside.values[..., 1:])
    assert len(alone.external) == 40
    assert from_data(to_data(alone), WithColumns) == alone
    found.save(tmp_path / "features.safetensors")
    assert audit_features(alone, panel()).passed


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "own.parquet"
    table().to_parquet(path)
    features = WithColumns(str(path), lag=0, base=BASE)
    before = features.compute(panel())["F0"]
    table().assign(F0=0.0, more=1.0).to_parquet(path)
    assert (features.compute(panel())["F0"] == 0).all()
    assert (before != 0).all()


def test_a_table_without_prices_is_told_what_it_is_for(tmp_path: Path) -> None:
    table().to_parquet(tmp_path / "own.parquet")
    with pytest.raises(ValueError, match=r"40 columns by date and symbol but no price.*--own-features"):
        Tables(str(tmp_path / "own.parquet")).read()


def test_one_option_puts_them_into_an_experiment_and_into_a_walk(tmp_path: Path) -> None:
    option = ["--own-features", "own.parquet:3"]
    experiment, _ = configured(
        Pretrain, Options, ["--config", "configs/pretrain/dj30_ridge.py", *option], "configs/pretrain"
    )
    assert isinstance(experiment.features, WithColumns)
    assert (experiment.features.path, experiment.features.lag) == ("own.parquet", 3)
    walk = with_own_features(load_python("configs/walk/csi300_ridge_walk.py", Walk), "own.parquet")
    assert walk.experiment.features.lag == 1
    with pytest.raises(ValueError, match="Prepare computes no features"):
        with_own_features(load_python("configs/prepare/bundled.py", Prepare), "own.parquet")


def test_columns_of_a_table_are_not_lost_between_formulas() -> None:
    with pytest.raises(ValueError, match="put it outside"):
        FeatureUnion((BASE, WithColumns("own.parquet", lag=1)))


def learnt(tmp_path: Path, lead: int) -> TrainingData:
    """Returns what an encoder learns from, with a column that holds the return of `lead` days later among others."""
    rng, days = np.random.default_rng(2), pd.bdate_range("2020-01-01", periods=120)
    names = [f"S{k}" for k in range(12)]
    close = 10 * np.exp(np.cumsum(rng.normal(0, 0.02, (120, 12)), axis=0))
    frame = pd.DataFrame({"date": days.repeat(12), "symbol": names * 120, "close": close.ravel()})
    moves = np.vstack([np.full((1, 12), np.nan), close[1:] / close[:-1] - 1])
    later = np.vstack([moves[lead:], np.full((lead, 12), np.nan)])
    own = frame[["date", "symbol"]].assign(NOISE=rng.normal(size=1440), LATER=later.ravel())
    own.to_parquet(tmp_path / "own.parquet")
    features = WithColumns(str(tmp_path / "own.parquet"), lag=0, base=BASE)
    first, last = [str(days[k].date()) for k in (0, 59)], [str(days[k].date()) for k in (100, 118)]
    split = Split(
        train=(first[0], first[1]), valid=(str(days[65].date()), str(days[90].date())), test=(last[0], last[1])
    )
    return prepare(Panel.from_frame(frame), features, RobustZScore(), 1, Label("close", 1), split)


def test_a_column_that_knows_the_return_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = early_columns(learnt(tmp_path, lead=1))
    assert list(found) == ["LATER"]
    assert found["LATER"] > 0.95
    warn_of_early_columns(learnt(tmp_path, lead=1))
    assert "LATER forecasts the train days with a rank IC of 1.00" in caplog.text
    assert "0 trading days after its day, which no audit can prove" in caplog.text


def test_columns_of_the_past_are_not_suspected(tmp_path: Path) -> None:
    assert early_columns(learnt(tmp_path, lead=0)) == {}


def test_the_audit_of_states_says_what_it_takes_on_the_users_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "states.safetensors"
    path.write_bytes(b"")
    audit = {"checks": {"future": "passed"}, "external": {f"F{k}": 1 for k in range(40)}}
    show_states(ExtractResult(path, audit, (30, 2)))
    assert "not proven: 40 columns of your tables (F0, F1, F2, ...) are taken to be known 1 trading days after" in (
        capsys.readouterr().out
    )
    show_states(ExtractResult(path, {"checks": {"future": "passed"}, "external": {}}, (30, 2)))
    assert "not proven" not in capsys.readouterr().out
