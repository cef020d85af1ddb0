"""One, two or three assets, with a volume or without one: the whole job ends in numbers."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pipeline
from agents.algorithms.on_policy import PPO
from agents.baselines.simple import TopKDropN
from agents.training.callbacks import TrainingConfig
from configs.schema.evaluate import Evaluate
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.baselines.gru import GRU
from encoders.training.optim import Optim
from envs import LongOnly, SellHoldBuy
from market.features import Formulas
from market.features.table import Feature
from market.panel import Panel
from market.sources.tables.source import Tables
from market.splits import Split

SPLIT = Split(train=("2018-01-02", "2018-09-28"), valid=("2018-10-08", "2019-01-31"), test=("2019-02-11", "2019-05-31"))
EPOCHS = 4


def prices(path: Path, assets: int, volume: float) -> Path:
    """Writes bars of some assets that fall back after each rise, so that there is something to learn."""
    rng = np.random.default_rng(assets)
    days = pd.bdate_range("2017-10-02", "2019-06-05")
    parts = []
    for name in (f"S{n}" for n in range(assets)):
        moves = rng.normal(0, 0.01, len(days))
        moves[1:] -= 0.4 * moves[:-1]
        close = 50 * np.exp(np.cumsum(moves))
        opened = close * np.exp(rng.normal(0, 0.002, len(days)))
        frame = pd.DataFrame({"date": days, "symbol": name, "open": opened, "close": close, "volume": volume})
        parts.append(frame.assign(high=np.maximum(opened, close) * 1.002, low=np.minimum(opened, close) * 0.998))
    pd.concat(parts).to_csv(path, index=False)
    return path


def encoded(workdir: Path, assets: int, volume: float) -> tuple[Path, pipeline.PretrainResult]:
    """Prepares the prices and trains an encoder on them."""
    source = Tables(path=str(prices(workdir / "prices.csv", assets, volume)))
    panel = pipeline.prepare(Prepare(name="few", source=source), workdir).path
    experiment = Pretrain(
        name="few",
        panel=str(panel),
        encoder=GRU(lookback=4, hidden=4, layers=1),
        features=Formulas((Feature("move", "close / delay(close, 1) - 1"),)),
        split=SPLIT,
        portfolio=TopKDropN(k=1, n_drop=1),
        optim=Optim(epochs=EPOCHS, batch_size=16, learning_rate=2e-2, precision="fp32"),
    )
    return panel, pipeline.pretrain(experiment, workdir)


def evaluated(workdir: Path, panel: Path, states: Path, asset: str | None) -> dict[str, Any]:
    """Trains an agent of a few steps and returns the evidence on it."""
    experiment = Trade(
        name="few",
        panel=str(panel),
        states=str(states),
        asset=asset,
        agent=PPO(n_steps=16, batch_size=64, n_epochs=1, width=4, net_arch=(4,)),
        action=LongOnly() if asset is None else SellHoldBuy(),
        episode_days=20,
        n_envs=4,
        schedule=TrainingConfig(total_steps=64, validate_every=64),
        seeds=(0,),
        in_sample="allow",
    )
    folder = pipeline.train(experiment, workdir).folder
    pipeline.evaluate(folder, Evaluate(cost_points=(), hindsight=False), workdir)
    known: dict[str, Any] = json.loads((workdir / "evaluate" / "few" / "metrics.json").read_text())
    return known


@pytest.mark.parametrize(
    ("assets", "asset", "volume"), [(1, None, 1e6), (1, "S0", 0.0), (2, None, 0.0), (3, "S1", 1e6)]
)
def test_few_assets_go_all_the_way(assets: int, asset: str | None, volume: float, tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.WARNING)
    panel, trained = encoded(tmp_path, assets, volume)
    bars = Panel.load(panel)
    assert bars.tradable.mean() == 1, "a volume that is never known halts nothing"
    history = [json.loads(line) for line in (trained.folder / "history.jsonl").read_text().splitlines()]
    assert [entry["valid"]["rank_ic"] is None for entry in history] == [assets < 3] * EPOCHS
    if assets < 3:
        assert "the loss chooses the checkpoint" in caplog.text
        losses = [entry["valid"]["loss"]["total"] for entry in history]
        kept = json.loads((trained.folder / "metrics.json").read_text())["best_epoch"]
        assert kept == int(np.argmin(losses)) > 0
    states = pipeline.extract(trained.folder, workdir=tmp_path).path
    metrics = evaluated(tmp_path, panel, states, asset)
    held = metrics["performance"]["buy_and_hold"]
    assert held["annual_return"] != 0
    assert metrics["performance"]["PPO"]["annual_volatility"] is not None
    assert (tmp_path / "evaluate" / "few" / "report.html").exists()
