"""Alpha158 and Alpha360 against pandas, ticker by ticker."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from market.features.alpha158 import Alpha158
from market.features.alpha360 import Alpha360
from market.panel import Panel

TINY = 1e-12
WINDOWS = (5, 10, 20, 30, 60)


def bars(seed: int, days: int = 220) -> pd.DataFrame:
    """A ticker with drifting prices, ties, unchanged days and days without volume change."""
    rng = np.random.default_rng(seed)
    close = np.round(20 * np.exp(np.cumsum(rng.normal(0, 0.02, days) * (rng.random(days) > 0.1))), 2)
    opened = np.round(close * np.exp(rng.normal(0, 0.01, days)), 2)
    frame = pd.DataFrame({"open": opened, "close": close})
    frame["high"] = np.round(frame.max(axis=1) * (1 + rng.uniform(0, 0.02, days)), 1).clip(lower=frame.max(axis=1))
    frame["low"] = np.round(frame.min(axis=1) * (1 - rng.uniform(0, 0.02, days)), 1).clip(upper=frame.min(axis=1))
    frame["volume"] = np.round(rng.lognormal(10, 0.5, days), -2)
    frame["vwap"] = frame[["open", "high", "low", "close"]].mean(axis=1)
    frame["date"] = pd.bdate_range("2015-01-01", periods=days)
    frame["symbol"] = f"S{seed}"
    return frame


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.concat([bars(seed) for seed in range(6)])


@pytest.fixture(scope="module")
def panel(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(frame)


def line(y: np.ndarray) -> tuple[float, float, float]:
    """Slope, squared correlation and last residual of the least-squares line, NaN for a single value."""
    if len(y) < 2:
        return np.nan, np.nan, np.nan
    days = np.arange(len(y))
    slope, level = np.polyfit(days, y, 1)
    rsquare = np.corrcoef(days, y)[0, 1] ** 2 if np.ptp(y) > 0 else np.nan
    return slope, rsquare, y[-1] - (level + slope * days[-1])


def alpha158(bar: pd.DataFrame) -> dict[str, pd.Series]:
    """Alpha158 of one ticker by pandas, as the documentation of qlib describes each feature."""
    o, h, low, c = (bar[name] for name in ("open", "high", "low", "close"))
    body, span = bar[["open", "close"]], h - low + TINY
    expected = {
        "KMID": (c - o) / o,
        "KLEN": (h - low) / o,
        "KMID2": (c - o) / span,
        "KUP": (h - body.max(axis=1)) / o,
        "KUP2": (h - body.max(axis=1)) / span,
        "KLOW": (body.min(axis=1) - low) / o,
        "KLOW2": (body.min(axis=1) - low) / span,
        "KSFT": (2 * c - h - low) / o,
        "KSFT2": (2 * c - h - low) / span,
        "OPEN0": o / c,
        "HIGH0": h / c,
        "LOW0": low / c,
        "VWAP0": bar["vwap"] / c,
    }
    by_window = {w: rolling158(bar, w) for w in WINDOWS}
    return expected | {f"{name}{w}": by_window[w][name] for name in by_window[5] for w in WINDOWS}


def rolling158(bar: pd.DataFrame, w: int) -> dict[str, pd.Series]:
    h, low, c, v = (bar[name] for name in ("high", "low", "close", "volume"))
    lines = np.array([line(c.to_numpy()[max(t + 1 - w, 0) : t + 1]) for t in range(len(c))])
    top = h.rolling(w, min_periods=1).apply(np.argmax, raw=True) + 1
    bottom = low.rolling(w, min_periods=1).apply(np.argmin, raw=True) + 1
    highest, lowest = h.rolling(w, min_periods=1).max(), low.rolling(w, min_periods=1).min()
    ratio, volume_ratio = c / c.shift(), np.log(v / v.shift() + 1)
    turmoil = (ratio - 1).abs() * v
    windows = c.rolling(w, min_periods=1)
    return {
        "ROC": c.shift(w) / c,
        "MA": windows.mean() / c,
        "STD": windows.std() / c,
        "BETA": lines[:, 0] / c,
        "RSQR": pd.Series(lines[:, 1], index=c.index),
        "RESI": lines[:, 2] / c,
        "MAX": highest / c,
        "MIN": lowest / c,
        "QTLU": windows.quantile(0.8) / c,
        "QTLD": windows.quantile(0.2) / c,
        "RANK": windows.rank(pct=True),
        "RSV": (c - lowest) / (highest - lowest + TINY),
        "IMAX": top / w,
        "IMIN": bottom / w,
        "IMXD": (top - bottom) / w,
        "CORR": windows.corr(np.log(v + 1)),
        "CORD": ratio.rolling(w, min_periods=1).corr(volume_ratio),
        **moves("CNT", *rises_and_falls(c), w, lambda x: x.mean(), pd.Series(1.0, c.index)),
        **moves("SUM", c.diff().clip(lower=0), -c.diff().clip(upper=0), w, lambda x: x.sum(), c.diff().abs()),
        "VMA": v.rolling(w, min_periods=1).mean() / (v + TINY),
        "VSTD": v.rolling(w, min_periods=1).std() / (v + TINY),
        "WVMA": turmoil.rolling(w, min_periods=1).std() / (turmoil.rolling(w, min_periods=1).mean() + TINY),
        **moves("VSUM", v.diff().clip(lower=0), -v.diff().clip(upper=0), w, lambda x: x.sum(), v.diff().abs()),
    }


def rises_and_falls(c: pd.Series) -> tuple[pd.Series, pd.Series]:
    known = c.diff().notna()
    return (c.diff() > 0).astype(float).where(known), (c.diff() < 0).astype(float).where(known)


def moves(name: str, up: pd.Series, down: pd.Series, w: int, gather: object, whole: pd.Series) -> dict[str, pd.Series]:
    up, down, whole = (gather(series.rolling(w, min_periods=1)) for series in (up, down, whole))
    whole = whole + TINY
    return {f"{name}P": up / whole, f"{name}N": down / whole, f"{name}D": (up - down) / whole}


def test_alpha158_equals_pandas(frame: pd.DataFrame, panel: Panel) -> None:
    features = Alpha158().compute(panel)
    for asset, (_, bar) in enumerate(frame.groupby("symbol")):
        expected = alpha158(bar.reset_index(drop=True))
        assert features.fields == tuple(expected)  # qlib's spelling and order
        for name, values in expected.items():
            wanted = values.replace([np.inf, -np.inf], np.nan).to_numpy()
            np.testing.assert_allclose(features[name][:, asset], wanted, rtol=2e-6, atol=2e-6, err_msg=name)


def test_alpha158_has_158_features() -> None:
    names = [entry.name for entry in Alpha158().table()]
    assert len(set(names)) == len(names) == 158
    assert names[:14] == [
        *("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2"),
        *("OPEN0", "HIGH0", "LOW0", "VWAP0", "ROC5"),
    ]
    assert names[-1] == "VSUMD60"


def test_alpha360_equals_pandas(frame: pd.DataFrame, panel: Panel) -> None:
    features = Alpha360().compute(panel)
    assert len(features.fields) == 360
    assert features.fields[:2] == ("CLOSE59", "CLOSE58")
    assert features.fields[59:61] == ("CLOSE0", "OPEN59")
    assert features.fields[-1] == "VOLUME0"
    bar = frame[frame.symbol == "S3"].reset_index(drop=True)
    for field in ("close", "open", "high", "low", "vwap", "volume"):
        unit = bar["volume"] + TINY if field == "volume" else bar["close"]
        for k in (59, 7, 1, 0):
            expected = (bar[field].shift(k) / unit).to_numpy()
            np.testing.assert_allclose(features[f"{field.upper()}{k}"][:, 3], expected, rtol=1e-6)


def test_close_only_panels_work(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    features = Alpha158().compute(panel.select(fields=["close"]))
    whole = Alpha158().compute(panel)
    kept = [name.rstrip("0123456789") for name in features.fields[::5]]
    assert kept == [
        *("ROC", "MA", "STD", "BETA", "RSQR", "RESI", "QTLU", "QTLD", "RANK"),
        *("CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD"),
    ]
    for name in features.fields:
        np.testing.assert_array_equal(features[name], whole[name])
    assert len(caplog.records) == 1
    assert "Alpha158: 83 of 158 features dropped" in caplog.text
    assert "no vwap: VWAP0" in caplog.text
    dropped = features.source["dropped_features"]
    assert dropped["high"] == ["HIGH0", *(f"{name}{w}" for name in ("MAX", "IMAX") for w in WINDOWS)]
    assert sum(map(len, dropped.values())) == 83


def test_volumes_beside_a_day_without_volume_are_missing(frame: pd.DataFrame) -> None:
    panel = Panel.from_frame(frame.assign(volume=frame.volume.where(frame.index != 80, 0.0)))
    traded = replace(panel, tradable=panel.listed)  # a market whose volumes say nothing about trading
    ours, history = Alpha158().compute(traded), Alpha360().compute(traded)
    for name in ("VMA5", "VSTD60"):
        assert np.isnan(ours[name][80]).all()
        assert np.isfinite(ours[name][81]).all()
    assert np.isnan(history["VOLUME3"][80]).all()
