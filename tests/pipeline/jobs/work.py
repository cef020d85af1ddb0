"""Runs of seconds on a small market, and what they leave."""

from dataclasses import replace
from pathlib import Path

from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.baselines.gru import GRU
from envs import SellHoldBuy
from market.panel import Panel
from market.sources.synthetic.source import Synthetic
from tests.pipeline.test_stages import encoder, trade


def bars(path: Path) -> str:
    """Writes a small panel and returns its path."""
    Panel.from_frame(Synthetic(stocks=8, days=270).read()).save(path)
    return str(path)


def encoders(panel: str) -> list[Pretrain]:
    """Returns two encoders that train in a second."""
    ridge = encoder(Path(panel))
    gru = replace(ridge, name="gru", encoder=GRU(lookback=4, hidden=4, layers=1))
    return [ridge, replace(gru, optim=replace(gru.optim, epochs=3, save_every=2))]


def agents(panel: str) -> list[Trade]:
    """Returns two agents on the states of the first encoder, on one stock each."""
    base = replace(trade(Path(panel), Path("ridge")), seeds=(0, 1))
    names = Panel.load(panel).assets
    return [replace(base, name=f"ppo_{name}", asset=name, action=SellHoldBuy()) for name in names[:2]]


def made(workdir: Path) -> dict[str, bytes]:
    """Returns what runs left below a working directory, without what tells the time or the process."""
    skipped = ("events.out", ".lock", "ledger.jsonl", "trials.journal")
    return {
        str(path.relative_to(workdir)): path.read_bytes()
        for path in sorted(workdir.rglob("*"))
        if path.is_file() and not any(word in path.name for word in skipped)
    }
