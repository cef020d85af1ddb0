"""Table that `make bench` prints: ours beside others', and where each figure of the others is from.

    python -m benchmarks summary [--only features envs] [--threads 2]

A ratio is shown only where both were measured in this call, on this machine. A figure that was measured elsewhere is
in a column of its own, with the day on which it was noted and the machine. Peers that are not installed are named as
such (`pip install -r benchmarks/requirements.txt`). The parts by themselves (`python -m benchmarks features`, ...) show
more of each.
"""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks import agents, encoders, envs, features, pretrain, quantizers

Part = Literal["features", "envs", "agents", "quantizers", "pretrain", "encoders"]
HERE = "this call"
ELSEWHERE = "public implementation, two cores of another machine"


@dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    only: tuple[Part, ...] = ("features", "envs", "agents", "quantizers", "pretrain", "encoders")
    """Parts."""
    threads: int = 2
    """Threads of features, pretrain and encoders."""


@dataclass(frozen=True)
class SpeedComparison:
    """One row: a speed of ours, and of a peer.

    Attributes:
        what: What is measured, with its size.
        unit: Of both figures.
        ours: Our figure.
        peer: Who stands beside.
        theirs: Its figure, measured in this call; None where it was not.
        quoted: Its figure as somebody measured it elsewhere, with day and machine.
    """

    what: str
    unit: str
    ours: float
    peer: str
    theirs: float | None = None
    quoted: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster ours is; None where the peer was not measured in this call."""
        if self.theirs is None:
            return None
        return self.theirs / self.ours if self.unit in ("s", "ms") else self.ours / self.theirs

    @property
    def source(self) -> str:
        """Where the figure of the peer is from."""
        return HERE if self.theirs is not None else "quoted" if self.quoted else "not installed"

    def cells(self) -> tuple[str, ...]:
        """Returns the cells of its row."""
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        theirs = "" if self.theirs is None else f"{self.theirs:,.4g} {self.unit}"
        return self.what, f"{self.ours:,.4g} {self.unit}", self.peer, theirs, ratio, self.source, self.quoted


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks summary")
    Console().print(table(row for part in options.only for row in PARTS[part](options)))


def table(rows: Iterator[SpeedComparison]) -> Table:
    """Returns the table of all rows."""
    title = f"FactorGym beside others, {platform.machine()}, torch {torch.__version__}"
    found = Table("what", "ours", "beside", "theirs", "times", "from", "measured elsewhere", title=title)
    for row in rows:
        print(" | ".join(row.cells()), flush=True)
        found.add_row(*row.cells())
    return found


def feature_rows(options: Options) -> Iterator[SpeedComparison]:
    """Alpha158 beside pandas."""
    tickers, days = 500, 4000
    ours = features._in_own_process("ours", tickers, days, options.threads)
    pandas = features._in_own_process("pandas", 10, days, options.threads)
    what = f"Alpha158, {tickers} stocks x {days:,} days"
    yield SpeedComparison(what, "s", ours.seconds, "pandas, 10 stocks scaled up", pandas.seconds * tickers / 10)


def env_rows(options: Options) -> Iterator[SpeedComparison]:
    """Environments beside those of others, whose single asset is easier."""
    settings = envs.Options(seconds=0.5, memory=False)
    panel = envs.random_panel(4027, 29)
    rates = {f"{name}, {how}": rate for name, how, rate in envs.ours(panel, settings)}
    theirs = {name: rate for name, _, rate in envs.peers(panel, settings.seconds)}
    unit = "steps / cpu s"
    for words, peer in (("BatchMarket", "gym-anytrading"), ("make, one episode", "gym-trading-env")):
        what, ours = next((name, rate) for name, rate in rates.items() if words in name)
        assert ours is not None
        yield SpeedComparison(f"{what}, 29 stocks", unit, ours, f"{peer}, one asset", theirs[peer])


def agent_rows(options: Options) -> Iterator[SpeedComparison]:
    """Training of PPO beside stable-baselines3's defaults on the same market, and beside FinRL."""
    torch.set_num_threads(1)
    panel = envs.random_panel(4027, 29)
    what, _, ours = agents.ours(panel)[0]
    assert ours is not None
    for name, _, theirs in agents.peers(panel):
        if "single" not in name:
            yield SpeedComparison(what, "steps / cpu s", ours, name, theirs)


def quantizer_rows(options: Options) -> Iterator[SpeedComparison]:
    """The affine codebook beside vector-quantize-pytorch's."""
    found = quantizers.measured(quantizers.Options())
    peer = "vector-quantize-pytorch, affine"
    yield SpeedComparison(
        "affine codebook, 4,096 x 64 x 512, forward and backward", "ms", found["Affine"], peer, found[peer]
    )


def step_rows(options: Options) -> Iterator[SpeedComparison]:
    """A training step of STORM; its reference is not installed from an index."""
    for name, case in pretrain.CASES.items():
        settings = pretrain.Options(threads=options.threads)
        found = pretrain._in_own_process(name, "fp32", settings)
        what = f"STORM step, {name}, {case.n_assets} stocks, batch {case.batch}"
        yield SpeedComparison(
            what, "s", found.step, "STORM", quoted=f"{case.reference} ({ELSEWHERE}, noted 2026-11-21)"
        )


def encoder_rows(options: Options) -> Iterator[SpeedComparison]:
    """Training of FactorVAE and FactorVQVAE; their references are not installed from an index."""
    settings = encoders.Options(threads=options.threads)
    for name, (config, _, reference) in encoders.CASES.items():
        wall, _ = encoders.measured(config, settings)
        quoted = f"{reference} days / s ({ELSEWHERE}, noted 2026-11-25)"
        yield SpeedComparison(
            f"{name}, 300 stocks", "days / s", settings.batch / wall, "the paper's code", quoted=quoted
        )


PARTS: dict[Part, Callable[[Options], Iterator[SpeedComparison]]] = {
    "features": feature_rows,
    "envs": env_rows,
    "agents": agent_rows,
    "quantizers": quantizer_rows,
    "pretrain": step_rows,
    "encoders": encoder_rows,
}


if __name__ == "__main__":
    main()
