"""Tables in the layouts of the wild load exactly; broken ones are refused with the place, never read wrongly."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.panel import Panel
from market.sources import Source
from market.sources.tables import Tables

DAYS = pd.bdate_range("2017-01-02", periods=30)
NSE = (
    (0, "date"), (1, "open"), (2, "high"), (3, "low"), (4, "close"), (5, "amount"), (6, "volume"), (7, "trades"),
)  # fmt: skip


def bars(symbol: str, days: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    """Bars with distinct prices of two decimals, so that a shifted cell cannot go unseen."""
    base = 1000 + 10.0 * np.arange(len(days)) + 0.25 * (sum(map(ord, symbol)) % 7)
    return pd.DataFrame(
        {
            "date": days.to_numpy().astype("datetime64[s]"),
            "symbol": symbol,
            "open": base + 1,
            "high": base + 4.5,
            "low": base - 2.75,
            "close": base + 2.5,
            "volume": 1_000_000.0 + np.arange(len(days)),
        }
    )


def render(header: str | None, rows: list[list[object]], delimiter: str = ",", quote: str = "") -> str:
    lines = [] if header is None else [header]
    lines += [delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    return "\n".join(lines) + "\n"


def records(frame: pd.DataFrame, fields: tuple[str, ...], date_format: str = "%Y-%m-%d") -> list[list[object]]:
    text = frame.assign(date=frame["date"].dt.strftime(date_format), volume=frame["volume"].astype(int))
    return text[list(fields)].to_numpy().tolist()


OHLCV = ("date", "open", "high", "low", "close", "volume")
AAA, BBB = bars("AAA"), bars("BBB")
BOTH = pd.concat([AAA, BBB], ignore_index=True)


def yahoo() -> str:
    rows = [[*row[:5], row[4], row[5]] for row in records(AAA, OHLCV)]
    return render("Date,Open,High,Low,Close,Adj Close,Volume", rows)


def fmp() -> str:
    rows = [[*r[:5], r[4], r[5], r[5], -1.5, -0.1, 9.5, "January 03, 17", 0.0] for r in records(AAA, OHLCV)[::-1]]
    return render(
        "date,open,high,low,close,adjClose,volume,unadjustedVolume,change,changePercent,vwap,label,changeOverTime",
        [[f'"{cell}"' if "," in str(cell) else cell for cell in row] for row in rows],
    )


def alpha_vantage() -> str:
    return render("timestamp,1. open,2. high,3. low,4. close,5. volume", records(AAA, OHLCV)[::-1])


def kaggle() -> str:
    return render("Date,Open,High,Low,Close,Volume,Name", records(BOTH, (*OHLCV, "symbol")))


def baostock() -> str:
    rows = [[r[0], "AAA", *r[1:], 2, int(k != 3), 0.5, 0] for k, r in enumerate(records(AAA, OHLCV))]
    return render("date,code,open,high,low,close,volume,adjustflag,tradestatus,pctChg,isST", rows)


def netease() -> str:
    fields = ("date", "close", "high", "low", "open", "volume")
    rows = [[r[0], "'AAA", "沪深", *r[1:], "None" if k == 29 else "1.5"] for k, r in enumerate(records(AAA, fields))]
    return render("日期,股票代码,名称,收盘价,最高价,最低价,开盘价,成交量,涨跌额", rows[::-1])


def yfinance_levels() -> str:
    fields = ("close", "high", "low", "open", "volume")
    left, right = records(AAA, ("date", *fields)), records(BBB, fields)
    top = "Price," + ",".join(f.title() for f in fields * 2)
    tickers = "Ticker," + ",".join(["AAA"] * 5 + ["BBB"] * 5)
    return render(f"{top}\n{tickers}\nDate" + "," * 10, [a + b for a, b in zip(left, right, strict=True)])


def nse() -> str:
    rows = [[*r[:5], "1763016191.20", r[5], k] for k, r in enumerate(records(AAA, OHLCV, "%d%m%y"))]
    return render(None, rows, quote='"')


def wide() -> str:
    rows = list(zip(AAA["date"].dt.strftime("%Y-%m-%d"), AAA["close"], BBB["close"], strict=True))
    return render("date,AAA,BBB", [list(row) for row in rows])


def thousands() -> str:
    rows = [[r[0], *(f"${p:,.2f}" for p in r[1:5]), f"{r[5]:,}"] for r in records(AAA, OHLCV, "%d/%m/%Y")]
    return render("Date,Open,High,Low,Close,Volume", rows, quote='"')


LAYOUTS = {
    "yahoo": (yahoo, "utf-8-sig", ()),
    "fmp": (fmp, "utf-8", ()),
    "alpha_vantage": (alpha_vantage, "utf-16", ()),
    "kaggle": (kaggle, "latin-1", ()),
    "baostock": (baostock, "utf-8", ()),
    "netease": (netease, "gbk", ()),
    "yfinance": (yfinance_levels, "utf-8", ()),
    "nse": (nse, "utf-8", NSE),
    "wide": (wide, "utf-8", ()),
    "thousands": (thousands, "utf-8", ()),
}


def check_equal(frame: pd.DataFrame, truth: pd.DataFrame) -> None:
    names = [name for name in truth.columns if name in frame.columns]
    assert {"date", "symbol", "close"} <= set(names)
    pd.testing.assert_frame_equal(frame[names].reset_index(drop=True), truth[names], check_dtype=False, rtol=0, atol=0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_the_wild_loads_exactly(layout: str, tmp_path: Path) -> None:
    write, encoding, columns = LAYOUTS[layout]
    path = tmp_path / "AAA.csv"
    path.write_bytes(write().encode(encoding))
    source = Tables(str(path), columns=columns)
    assert isinstance(source, Source)
    frame = source.read()
    check_equal(frame, BOTH if frame["symbol"].nunique() == 2 else AAA)
    assert Panel.from_frame(frame).shape[0] == len(DAYS)
    if layout == "baostock":
        assert np.flatnonzero(~frame["tradable"]).tolist() == [3]
        assert (frame["is_st"] == 0).all()
    if layout == "netease":
        assert np.isnan(frame["change"].iloc[-1])
        assert "name" not in frame.columns


def test_parquet_loads_like_csv_typed_or_as_text(tmp_path: Path) -> None:
    typed, text = tmp_path / "typed.parquet", tmp_path / "text.parquet"
    BOTH.assign(trade_status=np.int8(1), source="yahoo").to_parquet(typed)
    BOTH.assign(date=BOTH["date"].dt.strftime("%Y-%m-%d"), close=BOTH["close"].map("{:,.2f}".format)).to_parquet(text)
    frame = Tables(str(typed)).read()
    check_equal(frame, BOTH)
    assert frame["tradable"].all()
    assert "source" not in frame.columns
    check_equal(Tables(str(text)).read(), BOTH)


def test_wide_parquet_with_an_unnamed_date_index(tmp_path: Path) -> None:
    table = BOTH.pivot(index="date", columns="symbol", values="close")
    table.index.name = None
    table.loc[DAYS[4], "BBB"] = np.nan
    table.to_parquet(tmp_path / "closes.parquet")
    check_equal(Tables(str(tmp_path / "closes.parquet")).read(), BOTH.drop(34).reset_index(drop=True))


def test_a_panel_written_as_csv_keeps_its_masks(tmp_path: Path) -> None:
    frame = BOTH.assign(listed=True, tradable=np.arange(len(BOTH)) != 7)
    panel = Panel.from_frame(frame)
    panel.to_frame().to_csv(tmp_path / "panel.csv", index=False)
    back = Panel.from_frame(Tables(str(tmp_path / "panel.csv")).read())
    assert back.fingerprint == panel.fingerprint


def test_folder_of_tickers_takes_symbols_from_column_or_file_name(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text(render("Date,Open,High,Low,Close,Volume", records(AAA, OHLCV)))
    BBB.drop(columns="symbol").to_parquet(tmp_path / "BBB.parquet")
    (tmp_path / ".hidden.csv").write_text("junk")
    check_equal(Tables(str(tmp_path)).read(), BOTH)


def write(tmp_path: Path, text: str, name: str = "AAA.csv") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_explicit_columns_leave_out_rename_and_name_the_symbol(tmp_path: Path) -> None:
    rows = [[*r, r[4], "x"] for r in records(AAA, OHLCV)]
    path = write(tmp_path, render("When,Open,High,Low,Closing,Volume,Close*,Note", rows), "prices.csv")
    columns = (("When", "date"), ("Closing", "close"), ("Close*", ""))
    check_equal(Tables(path, columns=columns, symbol="AAA").read(), AAA)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{\nError Message\n}\n", ["AAA.csv", "API error message, not a table", "Error Message"]),
        ('{"Information": "limit"}', ["API error message"]),
        ("<!DOCTYPE html>\n<p>a,b</p>\n", ["API error message"]),
        ("", ["AAA.csv", "empty"]),
        ("Thank you\nplease wait\n", ["AAA.csv", "not a table", "Thank you"]),
        ("Date,Close\n", ["AAA.csv", "no row of data"]),
        ("Date,Close,close*\n2017-01-02,1,2\n", ["'Close'", "'close*'", "both mean 'close'", "columns="]),
        ("Date,Open,High\n2017-01-02,1,2\n", ["no column 'close'", "columns="]),
        ("Day1,Close\n2017-01-02,1\n", ["no column 'date'"]),
        ("Date,Close\n2017-01-02,1\n2017-01-03,x1\n", ["line 3", "'Close'", "'x1'"]),
        ("Date,Close\n\n2017-01-02,1\n\n2017-01-03,inf\n", ["line 5", "'Close'", "'inf'"]),
        ("Date,Close\n2017-01-02,1\n2017-01-03\n", ["line 3", "1 cells, expected 2"]),
        ("Date,Close\n2017-01-02,1\n2017-01-03,1,5\n", ["line 3", "3 cells, expected 2"]),
        ("Date,Close\n2017-01-02,1\nyesterday,2\n", ["line 3", "'yesterday'"]),
        ("Date,Close\n2017-01-02,1\n2017-02-30,2\n", ["line 3", "'2017-02-30'"]),
        ("Date,Close\n2017-01-02,1\n,2\n", ["line 3", "date"]),
        ("Date,Close\n2017-01-02 09:30:00,1\n", ["line 2", "time within the day"]),
        ("Date,Close\n03/04/2017,1\n05/04/2017,2\n", ["%d/%m/%Y or %m/%d/%Y", "date_format"]),
        ("Date,Close\n030417,1\n050417,2\n", ["%d%m%y", "date_format"]),
        ("Date;Close\n2017-01-02;1,084\n", ["line 2", "'1,084'", "decimal=','"]),
        ("Date;Close;Change\n2017-01-02;1.084;0,35 %\n", ["'Change'", "'0,35 %'", "decimal=','"]),
        ("Date,Close,Name\n2017-01-02,1,A\n2017-01-03,1,\n", ["line 3", "symbol is empty"]),
        ("Date,Close,tradestatus\n2017-01-02,1,1\n2017-01-03,1,2\n", ["line 3", "trade_status", "'2'"]),
        ("date,AAA,AAA\n2017-01-02,1,2\n", ["'AAA' stands twice"]),
        ('Date,Close,Note\n2017-01-02,1,"a\n2017-01-03,1,b"\n', ["quoted cell runs over several lines"]),
        ("2017-01-02,1,2\n2017-01-03,1,2\n", ["no header", "columns=((0, 'date')"]),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_place_and_remedy(text: str, parts: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"AAA\.csv") as refusal:
        Tables(write(tmp_path, text)).read()
    for part in parts:
        assert part in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_ambiguity_ends_with_a_stated_format_or_with_evidence(tmp_path: Path) -> None:
    path = write(tmp_path, "Date,Close\n03/04/2017,1\n05/04/2017,2\n")
    assert Tables(path, date_format="%d/%m/%Y").read()["date"].dt.month.tolist() == [4, 4]
    assert Tables(path, date_format="%m/%d/%Y").read()["date"].dt.month.tolist() == [3, 5]
    path = write(tmp_path, "Date,Close\n03/04/2017,1\n13/04/2017,2\n")
    assert Tables(path).read()["date"].dt.month.tolist() == [4, 4]
    path = write(tmp_path, "Date;Close\n2017-01-02;1.084,50\n2017-01-03;12,5\n")
    assert Tables(path, decimal=",").read()["close"].tolist() == [1084.5, 12.5]


def test_one_damaged_cell_does_not_change_the_meaning_of_all_dates(tmp_path: Path) -> None:
    path = write(tmp_path, nse().replace('"020117"', '"420117"'))  # now only yymmdd reads every cell
    with pytest.raises(ValueError, match=r"line 1: column 'date' holds '420117', which is no day in the format %d%m%y"):
        Tables(path, columns=NSE).read()
    path = write(tmp_path, thousands().replace('"31/01/2017"', '"31/31/2017"'))
    with pytest.raises(ValueError, match=r"'31/31/2017', which is no day in the format %d/%m/%Y"):
        Tables(path).read()


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>", "spd0ohlcv0"),  # stooq
        ("Date,Close/Last,Volume,Open,High,Low", "mcvohl"),  # nasdaq.com
        ("日期,开盘,收盘,最高,最低,成交量,成交额,涨跌幅,换手率", "dochlv000"),  # akshare
        ("ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount", "sdohlc000v0"),  # tushare
        ("Unnamed: 0,datetime,open,high,low,close,volume,adjClose", "0dohlcvc"),
    ],
)
def test_more_spellings(header: str, order: str, tmp_path: Path) -> None:
    cells = {name[0]: name for name in ("symbol", "open", "high", "low", "close", "volume")}
    rows = []
    for record in AAA.to_dict("records"):
        special = {"d": f"{record['date']:%Y%m%d}", "m": f"{record['date']:%m/%d/%Y}", "p": "D", "0": "0"}
        rows.append([special.get(letter) or record[cells[letter]] for letter in order])
    path = tmp_path / "AAA.csv"
    path.write_text(render(header, rows), encoding="utf-8")
    frame = Tables(str(path)).read()
    check_equal(frame, AAA)
    assert set(OHLCV) <= set(frame.columns)
    assert not {"unnamed_0", "per", "adjclose"} & set(frame.columns)


def test_a_wrong_column_name_says_what_was_meant(tmp_path: Path) -> None:
    path = write(tmp_path, "Date,Closing Price\n2017-01-02,1\n")
    with pytest.raises(ValueError, match="did you mean 'Closing Price'"):
        Tables(path, columns=(("Closing Prices", "close"),)).read()
    with pytest.raises(ValueError, match="position 7"):
        Tables(path, columns=((7, "close"),)).read()


def test_a_folder_names_every_bad_file_and_differing_fields(tmp_path: Path) -> None:
    good = "Date,Close\n2017-01-02,1\n"
    write(tmp_path, good)
    write(tmp_path, "{\nError Message\n}\n", "BF.B.csv")
    write(tmp_path, "Date,Close\n2017-01-02,?\n", "CCC.csv")
    with pytest.raises(ValueError, match="2 of 3 files") as refusal:
        Tables(str(tmp_path)).read()
    assert "BF.B.csv" in str(refusal.value)
    assert "CCC.csv, line 2" in str(refusal.value)
    (tmp_path / "BF.B.csv").unlink()
    write(tmp_path, "Date,Close,Volume\n2017-01-02,1,5\n", "CCC.csv")
    write(tmp_path, good, "DDD.csv")
    with pytest.raises(ValueError, match=r"CCC.csv add \['volume'\]"):
        Tables(str(tmp_path)).read()
    write(tmp_path, "Date,Ticker,Close\n2017-01-02,AAA,1\n", "CCC.csv")
    with pytest.raises(ValueError, match=r"AAA\.csv and CCC\.csv both hold AAA on 2017-01-02"):
        Tables(str(tmp_path)).read()


def test_paths_and_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for path, options, part in [
        ("nowhere", {}, "no such file"),
        (".", {}, "no .csv"),
        (".", {"layout": "long"}, "single files"),
    ]:
        with pytest.raises(ValueError, match=part):
            Tables(str(tmp_path / path), **options).read()
    path = write(tmp_path, "Date,Close\n2017-01-02,1\n")
    with pytest.raises(ValueError, match="this is a file"):
        Tables(path, layout="folder").read()
    with pytest.raises(ValueError, match="encoding='klingon'"):
        Tables(path, encoding="klingon").read()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ValueError, match="not a readable Parquet"):
        Tables(str(tmp_path / "broken.parquet")).read()
    with pytest.raises(ValueError, match="layout is 'tall'"):
        Tables(path, layout="tall")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave out columns and symbol"):
        Tables(path, layout="wide", symbol="AAA")


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, bytes, set[int]]:
    """A layout, its bytes after random damage, and the lines that were left alone."""
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    write_layout, encoding, _ = LAYOUTS[layout]
    encoding = "utf-8" if encoding == "utf-16" else encoding  # one line is one run of bytes
    lines = write_layout().encode(encoding).split(b"\n")
    touched: set[int] = set()
    for _ in range(draw(st.integers(1, 3))):
        k = draw(st.integers(0, len(lines) - 2))
        kind = draw(st.sampled_from(["byte", "flip", "insert", "delete", "drop", "repeat", "delimiter"]))
        line = lines[k]
        at = draw(st.integers(0, max(0, len(line) - 1)))
        byte = bytes([draw(st.integers(0, 255))])
        if kind == "byte":
            line = line[:at] + byte + line[at + 1 :]
        elif kind == "flip" and line:
            line = line[:at] + bytes([line[at] ^ (1 << draw(st.integers(0, 7)))]) + line[at + 1 :]
        elif kind == "insert":
            line = line[:at] + draw(st.sampled_from([b'"', b",", b"\r", b"0", b"-", byte])) + line[at:]
        elif kind == "delete":
            line = line[:at] + line[at + 1 :]
        elif kind == "drop":
            line = b""
        elif kind == "repeat":
            line = line + b"\n" + line
        else:
            line = line.replace(b",", draw(st.sampled_from([b";", b"\t", b"."])))
        lines[k] = line
        touched.add(k)
    return layout, b"\n".join(lines), touched


def read_or_refusal(path: Path, columns: tuple[tuple[str | int, str], ...]) -> tuple[pd.DataFrame | None, str]:
    try:
        return Tables(str(path), columns=columns).read(), ""
    except ValueError as error:
        return None, str(error)


@settings(max_examples=300)
@given(damage=mutations())
def test_damage_is_refused_or_leaves_the_other_rows_exact(damage: tuple[str, bytes, set[int]]) -> None:
    layout, content, touched = damage
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "AAA.csv"
        path.write_bytes(content)
        frame, refusal = read_or_refusal(path, LAYOUTS[layout][2])
    if frame is None:
        assert "AAA.csv" in refusal
        assert "\n" not in refusal
        return
    header = {"yfinance": 3, "nse": 0}.get(layout, 1)
    if any(k < header for k in touched):
        return  # a damaged header may rename a symbol or leave a field out
    truth = BOTH if layout in ("kaggle", "yfinance", "wide") else AAA
    order = np.arange(len(truth))
    if layout in ("fmp", "alpha_vantage", "netease"):
        order = order[::-1]
    if layout in ("yfinance", "wide"):
        order = order % len(DAYS)
        safe = ~np.isin(order, [k - header for k in touched])
    else:
        line_of_row = np.empty(len(truth), dtype=int)
        line_of_row[order] = np.arange(len(truth))
        safe = ~np.isin(line_of_row, [k - header for k in touched])
    kept = truth[safe]
    merged = kept.merge(frame, on=["date", "symbol"], suffixes=("", "_read"))
    assert set(zip(kept["date"], kept["symbol"], strict=True)) <= set(
        zip(merged["date"], merged["symbol"], strict=True)
    )
    for name in ("open", "high", "low", "close", "volume"):
        if f"{name}_read" in merged:
            exact = merged.groupby(["date", "symbol"])[[name, f"{name}_read"]].apply(
                lambda group, name=name: (group[name] == group[f"{name}_read"]).any()
            )
            assert exact.all()
