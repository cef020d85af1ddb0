"""A frame of yfinance, with fields above tickers, saved in any of pandas' ways: right, or refused, nothing between."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from market.preparation.prepare import prepared
from market.preparation.quality import Rules
from market.sources.tables import Tables

DAYS = pd.DatetimeIndex(pd.bdate_range("2020-01-01", periods=30), name="Date")
FIELDS = {"Close": 1.0, "High": 1.01, "Low": 0.99, "Open": 1.001}
TICKERS = ("BRK-B", "LOW", "005930.KS")


def frame(by: str, tickers: tuple[str, ...] = TICKERS) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, (len(DAYS), len(tickers))), axis=0))
    volume = rng.integers(10_000, 90_000, close.shape)
    columns = pd.MultiIndex.from_product([[*FIELDS, "Volume"], tickers], names=["Price", "Ticker"])
    made = pd.DataFrame(np.hstack([*(close * scale for scale in FIELDS.values()), volume]), DAYS, columns)
    return made if by == "field" else made.swaplevel(axis=1).sort_index(axis=1)


def joined(made: pd.DataFrame, separator: str) -> pd.DataFrame:
    return made.set_axis([separator.join(pair) for pair in made.columns], axis=1)


def stacked(made: pd.DataFrame, *names: str | None) -> pd.DataFrame:
    """Returns a row for each ticker and day, as `pd.concat` of a dictionary does, under an index with these names."""
    return made.stack(level="Ticker", future_stack=True).swaplevel().rename_axis(names).sort_index()


def read_again(made: pd.DataFrame) -> pd.DataFrame:
    text = io.StringIO()
    made.to_csv(text)
    text.seek(0)
    return pd.read_csv(text)


RIGHT: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "csv": lambda made, path: made.to_csv(path),
    "csv without a name of the index": lambda made, path: made.rename_axis(None).to_csv(path),
    "csv without any names": lambda made, path: made.rename_axis(None).rename_axis([None, None], axis=1).to_csv(path),
    "csv after reset_index": lambda made, path: made.reset_index().to_csv(path),
    "csv after reset_index, no index": lambda made, path: made.reset_index().to_csv(path, index=False),
    "csv with semicolons": lambda made, path: made.to_csv(path, sep=";"),
    "csv with tuples": lambda made, path: made.set_axis(made.columns.to_flat_index(), axis=1).to_csv(path),
    "csv of New York's midnights": lambda made, path: made.tz_localize("America/New_York").to_csv(path),
    "csv read and written again": lambda made, path: read_again(joined(made, "_")).to_csv(path),
    "csv with a joined date": lambda made, path: joined(made.reset_index(), "_").to_csv(path),
    "a dictionary of frames": lambda made, path: stacked(made, None, "Date").to_csv(path),
    "stacked, nothing named": lambda made, path: stacked(made, None, None).swaplevel().to_csv(path),
    "stacked after reset_index": lambda made, path: stacked(made, None, None).reset_index().to_csv(path),
    "stacked parquet, nothing named": lambda made, path: stacked(made, None, None).to_parquet(
        path.with_suffix(".parquet")
    ),
    "parquet": lambda made, path: made.to_parquet(path.with_suffix(".parquet")),
    "parquet without a name": lambda made, path: made.rename_axis(None).to_parquet(path.with_suffix(".parquet")),
    "parquet after reset_index": lambda made, path: made.reset_index().to_parquet(path.with_suffix(".parquet")),
} | {
    f"joined by {separator!r}": lambda made, path, separator=separator: joined(made, separator).to_csv(path)
    for separator in ("_", " ", ".", "-", ":", "__")
}

REFUSED: dict[str, tuple[Callable[[pd.DataFrame, Path], None], str]] = {
    "joined by nothing": (lambda made, path: joined(made, "").to_csv(path), "write them apart, as Close_AAPL"),
    "without the index": (
        lambda made, path: joined(made, "_").to_parquet(path.with_suffix(".parquet"), index=False),
        "no column holds the date; save the frame with its index",
    ),
    "stacked without the tickers": (
        lambda made, path: stacked(made, None, "Date").droplevel(0).to_csv(path),
        "60 of 90 rows are of days that stand more than once.*call it 'symbol'",
    ),
    "without the tickers": (lambda made, path: made.droplevel("Ticker", axis=1).to_csv(path), "save frame.stack"),
    "without some closes": (
        lambda made, path: joined(made.drop(columns=[("Close", "LOW")]), "_").to_csv(path),
        "1 symbols, first LOW, have columns but no closes",
    ),
    "with a column that is none": (
        lambda made, path: joined(made, "_").assign(Sector=1.0).to_csv(path),
        "'Sector' does not",
    ),
    "without its days": (
        lambda made, path: joined(made, "_").reset_index(drop=True).to_csv(path),
        "row numbers, no days; save the frame with its index",
    ),
    "volumes alone": (lambda made, path: joined(made[["Volume"]], "_").to_csv(path), "have columns but no closes"),
    "volumes under bare tickers": (
        lambda made, path: made["Volume"][["BRK-B", "005930.KS"]].to_csv(path),
        "as volumes do and closes do not",
    ),
}


@pytest.mark.parametrize("by", ["field", "ticker"])
@pytest.mark.parametrize("way", RIGHT)
def test_every_way_of_saving_gives_the_right_prices(way: str, by: str, tmp_path: Path) -> None:
    RIGHT[way](frame(by), tmp_path / "saved.csv")
    bars = Tables(str(next(tmp_path.iterdir()))).read()
    truth = frame("field")
    assert set(bars["symbol"]) == set(TICKERS)
    for ticker in TICKERS:
        one = bars[bars["symbol"] == ticker]
        for field in FIELDS:
            np.testing.assert_allclose(one[field.lower()], truth[(field, ticker)])
        np.testing.assert_array_equal(one["volume"], truth[("Volume", ticker)])
    assert set(prepared(bars, Rules())[0].assets) == set(TICKERS)


@pytest.mark.parametrize("way", REFUSED)
def test_what_has_lost_its_meaning_is_refused_with_the_remedy(way: str, tmp_path: Path) -> None:
    save, message = REFUSED[way]
    save(frame("field"), tmp_path / "saved.csv")
    with pytest.raises(ValueError, match=message):
        Tables(str(next(tmp_path.iterdir()))).read()


def test_a_single_ticker_keeps_its_name(tmp_path: Path) -> None:
    joined(frame("field", ("AAPL",)), "_").to_csv(tmp_path / "one.csv")
    assert set(Tables(str(tmp_path / "one.csv")).read()["symbol"]) == {"AAPL"}


def test_tickers_that_are_spelled_like_fields_stay_a_wide_table(tmp_path: Path) -> None:
    closes = frame("field")["Close"].set_axis(["LOW.AX", "OPEN.DE", "SAP.DE"], axis=1)
    closes.to_csv(tmp_path / "closes.csv")
    assert set(Tables(str(tmp_path / "closes.csv"), layout="wide").read()["symbol"]) == set(closes.columns)


def test_tickers_that_follow_each_other_are_not_joined_into_one(tmp_path: Path) -> None:
    made = stacked(frame("field"), None, "Date")
    days = made.index.get_level_values("Date")
    early, late = made[days < DAYS[15]].loc[["LOW"]], made[days >= DAYS[15]].loc[["BRK-B"]]
    pd.concat([early, late]).to_csv(tmp_path / "prices.csv")
    bars = Tables(str(tmp_path / "prices.csv")).read()
    assert bars.groupby("symbol").size().to_dict() == {"BRK-B": 15, "LOW": 15}
