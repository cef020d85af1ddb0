"""Computing in blocks: causal, the same however it is shared out, and the same in memory and in a file."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.features import Feature, Formulas, blocks, compute_to
from market.features.alpha158 import Alpha158
from market.features.operators import ALPHABET, Operator
from market.panel import Panel

FEATURES = Alpha158(
    extra=(Feature("EMA", "ema(close, 12) / close"), Feature("WHERE", "where(close > open, volume, -1)"))
)


def market(days: int = 700, assets: int = 7) -> Panel:
    """Bars with late listings, an early delisting, a spell outside the index, halts without a bar, and odd bars."""
    rng = np.random.default_rng(5)
    close = 30 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, assets)), axis=0))
    opened = close * np.exp(rng.normal(0, 0.01, close.shape))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    volume = rng.lognormal(12, 0.4, close.shape) * (rng.random(close.shape) > 0.03)
    values = np.stack([opened, high, low, close, volume], axis=2)
    values[rng.random((days, assets)) < 0.02] = np.nan
    values[100:140, 0] = values[99, 0]
    listed = np.ones((days, assets), dtype=bool)
    listed[:200, 1], listed[400:, 2], listed[300:330, 3], listed[:, 4] = False, False, False, False
    return Panel(
        dates=np.datetime64("2010-01-04") + np.arange(days),
        assets=tuple(f"S{n}" for n in range(assets)),
        fields=("open", "high", "low", "close", "volume"),
        values=values,
        listed=listed,
        tradable=listed & ~np.isnan(values[:, :, 3]),
    )


@pytest.fixture(scope="module")
def panel() -> Panel:
    return market()


@pytest.fixture(scope="module")
def whole(panel: Panel) -> Panel:
    return FEATURES.compute(panel)


@settings(max_examples=12)
@given(days=st.integers(0, 700))
def test_causal_by_truncation(panel: Panel, whole: Panel, days: int) -> None:
    np.testing.assert_array_equal(FEATURES.compute(panel[:days]).values, whole.values[:days])


def test_causal_by_a_rewritten_future(panel: Panel, whole: Panel) -> None:
    rng = np.random.default_rng(6)
    changed = panel.values.copy()
    changed[350:] = rng.lognormal(3, 2, changed[350:].shape)
    other = Panel(panel.dates, panel.assets, panel.fields, changed, panel.listed, panel.tradable)
    features = FEATURES.compute(other)
    np.testing.assert_array_equal(features.values[:350], whole.values[:350])
    assert not np.array_equal(features.values[350:], whole.values[350:], equal_nan=True)


def test_truncation_sees_a_centred_operator(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def centred(operands: list, windows: np.ndarray, statistics: list, start: np.ndarray) -> np.ndarray:
        rolled = [pd.DataFrame(operands[0].T).rolling(w, min_periods=1, center=True).mean().T for w in windows]
        return np.array(rolled)[None]

    monkeypatch.setitem(ALPHABET, "mean", Operator(1, ("window",), sweep=centred))
    features = Formulas((Feature("MA5", "mean(close, 5) / close"),))
    days = 300
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(features.compute(panel[:days]).values, features.compute(panel).values[:days])


@pytest.mark.parametrize(("block", "threads"), [(1, 1), (3, 2), (16, 1)])
def test_the_partition_changes_nothing(
    panel: Panel, whole: Panel, block: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", block)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
    np.testing.assert_array_equal(FEATURES.compute(panel).values, whole.values)


def test_the_threads_of_torch_are_left_alone() -> None:
    code = (
        "import torch; torch.set_num_threads(1); from market.features.alpha158 import Alpha158;"
        "from market.panel import Panel; from market.sources.synthetic.source import Synthetic;"
        "Alpha158().compute(Panel.from_frame(Synthetic(stocks=4, days=80).read())); print(torch.get_num_threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_NUM_THREADS": "2"},
    )
    assert done.stdout == "1\n"


def test_an_asset_alone_has_the_same_features(panel: Panel, whole: Panel) -> None:
    for n, name in enumerate(panel.assets):
        alone = FEATURES.compute(panel.select(assets=[name]))
        np.testing.assert_array_equal(alone.values[:, 0], whole.values[:, n])


def test_a_formula_alone_has_the_same_values(panel: Panel, whole: Panel) -> None:
    for entry in FEATURES.table()[13::17]:
        alone = Formulas((entry,)).compute(panel)
        np.testing.assert_array_equal(alone.values[:, :, 0], whole[entry.name], err_msg=entry.name)


def test_a_series_begins_with_its_first_close_or_listed_day(panel: Panel) -> None:
    values = panel.values.copy()
    values[:200, 1] = np.nan
    late = replace(panel, values=values)
    found, newcomer = FEATURES.compute(late), FEATURES.compute(late[200:].select(assets=["S1"]))
    np.testing.assert_array_equal(newcomer.values[:, 0], found.values[200:, 1])
    assert found["CNTP60"][202, 1] in np.float32([0, 1 / 3, 2 / 3, 1])  # of three days, not of sixty
    assert found["IMAX5"][200, 1] == np.float32(0.2)


def test_unlisted_cells_are_missing(panel: Panel, whole: Panel) -> None:
    assert np.isnan(whole.values[~panel.listed]).all()
    assert np.isfinite(whole["MA5"][panel.tradable]).all()


def test_what_was_known_before_an_asset_joined_enters(panel: Panel, whole: Panel) -> None:
    """Membership decides what may be traded and evaluated, not what was known."""
    always = replace(panel, listed=np.ones_like(panel.listed), tradable=panel.tradable | ~panel.listed)
    everywhere = FEATURES.compute(always).values
    np.testing.assert_array_equal(whole.values[panel.listed], everywhere[panel.listed])
    close = np.linspace(1, 2, 120)[:, None, None]
    listed = np.arange(120)[:, None] >= 80
    joined = Panel(panel.dates[:120], ("A",), ("close",), close, listed, listed)
    average = Formulas((Feature("MA60", "mean(close, 60) / close"),)).compute(joined).values[80, 0, 0]
    assert average == pytest.approx(close[21:81].mean() / close[80, 0, 0])


def test_a_halted_bar_is_missing_to_every_operator(panel: Panel) -> None:
    closed = replace(panel, tradable=panel.tradable & (np.random.default_rng(1).random(panel.tradable.shape) > 0.1))
    halted = closed.listed & ~closed.tradable
    flat = np.array(closed.values)
    flat[halted] = 7.0  # what a vendor writes for a day without trades
    flat[halted, 4] = 0.0
    holes = np.where(halted[..., None], np.nan, closed.values)
    written, missing = (FEATURES.compute(replace(closed, values=values)) for values in (flat, holes))
    np.testing.assert_array_equal(written.values, missing.values)
    assert np.isnan(written["KMID"][halted]).all()


def test_nothing_counts_a_halted_day() -> None:
    close = np.array([1.0, 2, 99, 3, 4])[:, None]
    halted = np.array([False, False, True, False, False])[:, None]
    listed = np.ones_like(halted)
    panel = Panel(
        np.datetime64("2020-01-01") + np.arange(5), ("A",), ("close",), close[..., None], listed, listed & ~halted
    )
    up = Formulas((Feature("UP", "mean(close > delay(close, 1), 5)"), Feature("MEAN", "mean(close, 5)"))).compute(panel)
    np.testing.assert_array_equal(up["UP"][:, 0], np.array([np.nan, 1, 1, 1, 1], np.float32))
    np.testing.assert_array_equal(up["MEAN"][:, 0], np.array([1, 1.5, 1.5, 2, 2.5], np.float32))


def test_infinities_become_missing(panel: Panel) -> None:
    features = Formulas((Feature("a", "close / (close - close)"), Feature("b", "close * 1e300 * 1e300 / open")))
    assert np.isnan(features.compute(panel).values).all()


def test_masks_dates_and_assets_are_kept(panel: Panel, whole: Panel) -> None:
    assert whole.assets == panel.assets
    for ours, theirs in ((whole.dates, panel.dates), (whole.listed, panel.listed), (whole.tradable, panel.tradable)):
        np.testing.assert_array_equal(ours, theirs)
    assert whole.values.dtype == np.float32
    assert whole.values.flags.c_contiguous


def test_a_file_holds_what_memory_would(
    panel: Panel, whole: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "STRIPE", 3)  # several stripes, the last one short
    path = tmp_path / "features.safetensors"
    written = compute_to(FEATURES, panel, path)
    assert isinstance(written.values, np.memmap)
    for loaded in (written, Panel.load(path)):
        np.testing.assert_array_equal(loaded.values, whole.values)
        np.testing.assert_array_equal(loaded.listed, whole.listed)
        assert (loaded.fields, loaded.assets, loaded.source) == (whole.fields, whole.assets, whole.source)
        assert loaded.fingerprint == whole.fingerprint


def test_a_failed_computation_leaves_no_file(panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("broken on purpose")

    monkeypatch.setattr(blocks, "_work", broken)
    with pytest.raises(ArithmeticError, match="on purpose"):
        compute_to(FEATURES, panel, tmp_path / "features.safetensors")
    assert not list(tmp_path.iterdir())


def test_constants_broadcast(panel: Panel) -> None:
    features = Formulas((Feature("a", "where(close > 0, 2, 3) + 0 * open"), Feature("b", "mean(1 + 0 * close, 5)")))
    computed = features.compute(panel)
    assert set(np.unique(computed["a"][np.isfinite(computed["a"])])) == {2}
    assert set(np.unique(computed["b"][np.isfinite(computed["b"])])) == {1}


def test_an_empty_panel_has_empty_features(panel: Panel) -> None:
    assert FEATURES.compute(panel[:0]).values.shape == (0, 7, 159)
