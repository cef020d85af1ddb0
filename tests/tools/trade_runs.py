"""A small market with states made by hand, and runs trained on it in seconds."""

import json
from dataclasses import replace

import numpy as np

from agents.algorithms.on_policy import PPO
from agents.training.callbacks import TrainingConfig
from configs.files import source_text
from configs.schema.trade import Trade
from envs import Costs, LongOnly, SellHoldBuy
from market.features import Formulas
from market.features.table import Feature
from market.panel import Panel
from market.prices.labels import Label
from market.splits import Split
from market.states import PROVENANCE, MarketStates
from tools import train

SPLIT = {
    "train": ("2018-01-01", "2018-06-29"),
    "valid": ("2018-07-04", "2018-10-31"),
    "test": ("2018-11-05", "2019-02-28"),
}
N_ASSETS = 5


def split():
    """Returns the split of that market."""
    return Split(**SPLIT)


def market(workdir, seed=0, fit_end="2018-10-31", verdict="passed"):
    """Writes a panel and audited states that know a little of tomorrow's ranks, and returns the two paths."""
    rng = np.random.default_rng(seed)
    days = np.arange(np.datetime64("2017-06-01"), np.datetime64("2019-03-01"))
    days = days[np.is_busday(days)]
    close = 50 * np.exp(np.cumsum(rng.normal(0.0003, 0.01, (len(days), N_ASSETS)), axis=0))
    everywhere = np.ones(close.shape, bool)
    names = tuple(f"S{k}" for k in range(N_ASSETS))
    panel = Panel(days, names, ("close",), close[..., None], everywhere, everywhere)
    data = workdir / "data" / "tiny" / "panel.safetensors"
    data.parent.mkdir(parents=True)
    panel.save(data)
    label = np.nan_to_num(Label(fill="next_close", horizon=1).compute(panel))
    mean = (label / label.std() + rng.normal(size=label.shape)).astype(np.float32)
    facts = dict.fromkeys(PROVENANCE, "made by hand") | {"audit": "passed", "fill": "next_close", "horizon": 1}
    states = MarketStates(
        dates=days,
        assets=names,
        asset=np.stack([mean, rng.normal(size=mean.shape).astype(np.float32)], axis=2),
        market=rng.normal(size=(len(days), 2)).astype(np.float32),
        forecast_mean=mean,
        forecast_std=np.ones_like(mean),
        mask=everywhere,
        fit_end=np.datetime64(fit_end),
        codes=rng.integers(0, 8, (*mean.shape, 2)).astype(np.int32),
        provenance=facts | {"split": {part: list(span) for part, span in SPLIT.items()}},
    )
    path = workdir / "states" / "tiny" / "states.safetensors"
    path.parent.mkdir(parents=True)
    states.save(path)
    audit = {"verdict": verdict, "checks": {"future": verdict}, "faults": [], "settings": {}}
    path.with_name("audit.json").write_text(json.dumps(audit))
    return data, path


def trade(workdir, name="tiny_ppo", asset=None, **changes):
    """Returns the configuration of a run of a few hundred steps on that market."""
    tiny = Trade(
        name=name,
        panel=str(workdir / "data" / "tiny" / "panel.safetensors"),
        states=str(workdir / "states" / "tiny" / "states.safetensors"),
        asset=asset,
        agent=PPO(n_steps=16, batch_size=64, n_epochs=1, width=4, net_arch=(4,)),
        action=LongOnly(bound=1, scale=5) if asset is None else SellHoldBuy(),
        costs=Costs(fee_rate=1e-3),
        features=Formulas((Feature("move", "close / delay(close, 1) - 1"),)),
        episode_days=40,
        n_envs=4,
        schedule=TrainingConfig(total_steps=128, validate_every=64),
        seeds=(0, 1),
        in_sample="allow",
    )
    return replace(tiny, **changes)


def trained(workdir, **changes):
    """Trains such a run and returns its directory."""
    experiment = trade(workdir, **changes)
    config = workdir / f"{experiment.name}.py"
    config.write_text(source_text(experiment))
    train.main(["--config", str(config), "--workdir", str(workdir)])
    return workdir / "trade" / experiment.name
