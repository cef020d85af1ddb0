"""Alpha158: ours beside pandas, and beside qlib where it is installed.

    python -m benchmarks features [--tickers 500] [--days 4000] [--threads 2] [--blocks]

Every implementation runs in a process of its own on the same random bars: once on a small panel, so that compilation
and imports do not count, then three times, of which the median is shown. Peak memory is that of the whole process, its
input included. pandas runs on fewer tickers and its time, which is linear in them, is scaled up; the table says so.
"""

import dataclasses
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from rich.console import Console
from rich.table import Table

from market.features import compute_to
from market.features.alpha158 import Alpha158
from market.panel import Panel

FIELDS = ("open", "high", "low", "close", "volume", "vwap")
REPEATS = 3
TINY = 1e-12


@dataclasses.dataclass(frozen=True)
class Options:
    """Sizes and options of the measurement."""

    tickers: int = 500
    """Number of assets."""
    days: int = 4000
    """Number of trading days."""
    threads: int = 2
    """Threads (ours) or worker processes (qlib)."""
    pandas_tickers: int = 10
    """Assets that pandas computes; its time is scaled up to all of them."""
    blocks: bool = False
    """Measure 7,000 x 4,000 straight into a file instead; takes minutes and 18 GB of disk."""


@dataclasses.dataclass(frozen=True)
class FeatureTiming:
    """Time and memory of one implementation."""

    seconds: float
    peak_gb: float
    tickers: int


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    if argv and argv[0] == "run":  # the child process of one implementation
        print(json.dumps(dataclasses.asdict(_measure(argv[1], *map(int, argv[2:4])))))
        return
    options = tyro.cli(Options, args=argv, prog="python -m benchmarks features")
    if options.blocks:
        _show({"ours, into a file": _in_own_process("file", 7000, 4000, options.threads)}, 7000, 4000, options.threads)
        return
    tickers, days, threads = options.tickers, options.days, options.threads
    results = {"ours": _in_own_process("ours", tickers, days, threads)}
    if importlib.util.find_spec("qlib"):
        results["qlib"] = _in_own_process("qlib", tickers, days, threads)
    results["pandas"] = _in_own_process("pandas", min(options.pandas_tickers, tickers), days, threads)
    _show(results, tickers, days, threads)


def _in_own_process(name: str, tickers: int, days: int, threads: int) -> FeatureTiming:
    command = [sys.executable, "-m", "benchmarks.features", "run", name, str(tickers), str(days)]
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return FeatureTiming(**json.loads(done.stdout.splitlines()[-1]))


def _show(results: dict[str, FeatureTiming], tickers: int, days: int, threads: int) -> None:
    title = f"Alpha158, {tickers:,} tickers x {days:,} days, {threads} threads, {platform.machine()}"
    table = Table(title=title, title_justify="left", caption_justify="left")
    for column in ("implementation", "seconds", "peak memory", "times ours"):
        table.add_column(column, justify="left" if column == "implementation" else "right")
    ours = next(iter(results.values())).seconds
    for name, result in results.items():
        seconds = result.seconds * tickers / result.tickers
        scaled = "" if result.tickers == tickers else f" (scaled from {result.tickers} tickers)"
        memory = f"{result.peak_gb:.2f} GB" if result.tickers == tickers else "-"
        table.add_row(name + scaled, f"{seconds:.2f}", memory, f"{seconds / ours:.1f}")
    Console().print(table)


def _measure(name: str, tickers: int, days: int) -> FeatureTiming:
    with tempfile.TemporaryDirectory() as folder:
        if name == "file":
            _into_file(Path(folder))(random_bars(4, 100))
            seconds = _seconds(_into_file(Path(folder)), random_bars(tickers, days))
        elif name == "qlib":
            seconds = _qlib_seconds(Path(folder), random_bars(tickers, days))
        else:
            run = {"ours": Alpha158().compute, "pandas": pandas_alpha158}[name]
            run(random_bars(2, 100))
            panel = random_bars(tickers, days)
            seconds = statistics.median(_seconds(run, panel) for _ in range(REPEATS))
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return FeatureTiming(seconds, max(usage) / 2**20, tickers)


def _seconds(run: Callable[[Panel], object], panel: Panel) -> float:
    started = time.perf_counter()
    run(panel)
    return time.perf_counter() - started


def _into_file(folder: Path) -> Callable[[Panel], object]:
    return lambda panel: compute_to(Alpha158(), panel, folder / "features.safetensors")


def random_bars(tickers: int, days: int) -> Panel:
    """Returns a panel of random bars, every ticker listed on every day."""
    generator = np.random.default_rng(0)
    values = np.empty((days, tickers, len(FIELDS)))
    for n in range(tickers):
        close = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, days)))
        opened = close * np.exp(generator.normal(0, 0.003, days))
        high = np.maximum(opened, close) * (1 + generator.uniform(0, 0.01, days))
        low = np.minimum(opened, close) * (1 - generator.uniform(0, 0.01, days))
        volume, vwap = generator.lognormal(13, 0.5, days), (opened + high + low + close) / 4
        values[:, n] = np.stack([opened, high, low, close, volume, vwap], axis=1)
    listed = np.ones((days, tickers), dtype=bool)
    dates = pd.bdate_range("2005-01-03", periods=days).to_numpy().astype("datetime64[D]")
    return Panel(dates, tuple(f"S{n:04d}" for n in range(tickers)), FIELDS, values, listed, listed)


def pandas_alpha158(panel: Panel) -> list[pd.DataFrame]:
    """Returns Alpha158 of each ticker, computed the straightforward way."""
    frames = (pd.DataFrame(panel.values[:, n], columns=list(panel.fields)) for n in range(len(panel.assets)))
    return [_pandas_ticker(frame).astype(np.float32) for frame in frames]


def _pandas_ticker(bar: pd.DataFrame) -> pd.DataFrame:
    opened, high, low, close = (bar[name] for name in FIELDS[:4])
    body, span = bar[["open", "close"]], high - low + TINY
    features = {
        "KMID": (close - opened) / opened,
        "KLEN": (high - low) / opened,
        "KMID2": (close - opened) / span,
        "KUP": (high - body.max(axis=1)) / opened,
        "KUP2": (high - body.max(axis=1)) / span,
        "KLOW": (body.min(axis=1) - low) / opened,
        "KLOW2": (body.min(axis=1) - low) / span,
        "KSFT": (2 * close - high - low) / opened,
        "KSFT2": (2 * close - high - low) / span,
        "OPEN0": opened / close,
        "HIGH0": high / close,
        "LOW0": low / close,
        "VWAP0": bar["vwap"] / close,
    }
    for window in (5, 10, 20, 30, 60):
        features |= {f"{name}{window}": values for name, values in _pandas_window(bar, window).items()}
    return pd.DataFrame(features)


def _pandas_window(bar: pd.DataFrame, window: int) -> dict[str, pd.Series]:
    high, low, close, volume = (bar[name] for name in FIELDS[1:5])
    day = pd.Series(np.arange(len(bar), dtype=float))
    rolled = close.rolling(window, min_periods=1)
    days = day.rolling(window, min_periods=1)
    beta = rolled.cov(day) / days.var()
    move = close.diff()
    highest = high.rolling(window, min_periods=1)
    lowest = low.rolling(window, min_periods=1)
    top, bottom = highest.apply(np.argmax, raw=True) + 1, lowest.apply(np.argmin, raw=True) + 1
    turmoil = ((close / close.shift() - 1).abs() * volume).rolling(window, min_periods=1)
    change = np.log(volume / volume.shift() + 1)
    volumes = volume.rolling(window, min_periods=1)
    return {
        "ROC": close.shift(window) / close,
        "MA": rolled.mean() / close,
        "STD": rolled.std() / close,
        "BETA": beta / close,
        "RSQR": rolled.corr(day) ** 2,
        "RESI": (close - rolled.mean() - beta * (day - days.mean())) / close,
        "MAX": highest.max() / close,
        "MIN": lowest.min() / close,
        "QTLU": rolled.quantile(0.8) / close,
        "QTLD": rolled.quantile(0.2) / close,
        "RANK": rolled.rank(pct=True),
        "RSV": (close - lowest.min()) / (highest.max() - lowest.min() + TINY),
        "IMAX": top / window,
        "IMIN": bottom / window,
        "IMXD": (top - bottom) / window,
        "CORR": rolled.corr(np.log(volume + 1)),
        "CORD": (close / close.shift()).rolling(window, min_periods=1).corr(change),
        **_pandas_moves("CNT", (move > 0) * 1.0 + move * 0, (move < 0) * 1.0 + move * 0, move * 0 + 1, window),
        **_pandas_moves("SUM", close.diff().clip(lower=0), (-close.diff()).clip(lower=0), close.diff().abs(), window),
        "VMA": volumes.mean() / (volume + TINY),
        "VSTD": volumes.std() / (volume + TINY),
        "WVMA": turmoil.std() / (turmoil.mean() + TINY),
        **_pandas_moves(
            "VSUM", volume.diff().clip(lower=0), (-volume.diff()).clip(lower=0), volume.diff().abs(), window
        ),
    }


def _pandas_moves(name: str, up: pd.Series, down: pd.Series, whole: pd.Series, window: int) -> dict[str, pd.Series]:
    up, down, whole = (series.rolling(window, min_periods=1).sum() for series in (up, down, whole))
    return {
        f"{name}P": up / (whole + TINY),
        f"{name}N": down / (whole + TINY),
        f"{name}D": (up - down) / (whole + TINY),
    }


def _qlib_seconds(folder: Path, panel: Panel) -> float:
    """Writes `panel` as a qlib store and times the loading of qlib's own Alpha158 expressions from it."""
    import qlib
    from qlib.contrib.data.loader import Alpha158DL
    from qlib.data import D

    _write_store(folder, panel)
    qlib.init(provider_uri=str(folder), region="us", kernels=int(os.environ["NUMBA_NUM_THREADS"]))
    formulas, _ = Alpha158DL.get_feature_config()
    D.features(list(panel.assets[:2]), formulas, end_time=str(panel.dates[100]))
    started = time.perf_counter()
    D.features(list(panel.assets), formulas)
    return time.perf_counter() - started


def _write_store(folder: Path, panel: Panel) -> None:
    for name in ("calendars", "instruments"):
        (folder / name).mkdir()
    days = panel.dates.astype(str)
    (folder / "calendars" / "day.txt").write_text("\n".join(days) + "\n")
    lines = (f"{asset}\t{days[0]}\t{days[-1]}\n" for asset in panel.assets)
    (folder / "instruments" / "all.txt").write_text("".join(lines))
    for n, asset in enumerate(panel.assets):
        target = folder / "features" / asset.lower()
        target.mkdir(parents=True)
        for k, field in enumerate(panel.fields):
            np.concatenate([[0.0], panel.values[:, n, k]]).astype("<f4").tofile(target / f"{field}.day.bin")


if __name__ == "__main__":
    main(sys.argv[1:])
