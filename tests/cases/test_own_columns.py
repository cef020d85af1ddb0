"""A user's own features beside prices, in whatever table they come, and without prices."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.files import load_python
from configs.own_features import with_own_features
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.walk import Walk
from market.features import Formulas
from market.features.external import WithColumns
from market.features.table import Feature
from market.features.union import FeatureUnion
from market.panel import Panel
from market.sources.tables import Tables
from tools.cli import configured
from tools.pretrain import Options

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
