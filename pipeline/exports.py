"""Tables of an evaluation or a comparison for other programs: CSV files, one Excel workbook, or LaTeX."""

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from evaluation.backtest import Backtest
from evaluation.encoder_comparison import PARTS
from evaluation.reports.encoder_rows import forecast_rows, trading_rows
from market.artifacts import ACCOUNTS, EXPORT, METRICS, POLICIES
from market.storage.array_file import atomic_write, read_json, write_text
from pipeline.results import AblationResult, ComparisonResult
from pipeline.trained_run import open_run

Format = Literal["csv", "xlsx", "latex"]
"""Formats of a written table."""
SHEET_ROWS, SHEET_COLUMNS, SHEET_NAME = 1_048_576, 16_384, 31
"""Limits of a sheet of Excel: rows with the header, columns, and letters of its name."""
MATHS = {"−": "$-$", "–": "--", "…": r"\dots{}"}
"""Signs that LaTeX has no letter for."""


def export_evaluation(folder: Path, formats: Sequence[Format], run: str | Path | None = None) -> list[Path]:
    """Writes what an evaluation found as tables into its folder ``export``, and returns the files.

    ``returns``: net simple returns of every policy, a column each. ``weights_<account>``: weights after each day's
    trade, cash first, of each agent and each of its seeds. ``trades``: every purchase and sale of theirs, in units of
    the starting wealth. ``forecasts``: the forecast of the encoder and what came true, where agents saw one.

    Args:
        folder: Folder of a finished evaluation.
        formats: ``csv`` writes a file a table, ``xlsx`` one workbook with a sheet a table.
        run: Directory of the trading run; needed for its forecasts.

    Raises:
        ValueError: The folder holds no evaluation, or one from before accounts were kept; or a table is too long for
            a sheet.
    """
    return write_tables(evaluation_tables(folder, run), folder / EXPORT, formats, "evaluation")


def evaluation_tables(folder: Path, run: str | Path | None = None) -> dict[str, pd.DataFrame]:
    """Returns the tables of `export_evaluation` by name; dates are columns of days without a time."""
    paths = sorted((folder / ACCOUNTS).rglob("*.parquet"))
    if not paths:
        if not (folder / POLICIES).exists():
            raise ValueError(f"{folder}: nothing has been evaluated there; run tools.evaluate first")
        raise ValueError(f"{folder / ACCOUNTS}: no accounts of an evaluation; evaluate the run again with --overwrite")
    returns = pd.read_parquet(folder / POLICIES)
    returns.index = pd.DatetimeIndex(returns.index).strftime("%Y-%m-%d")
    tables = {"returns": returns.rename_axis("date").reset_index()}
    trades = []
    for path in paths:
        account = Backtest.load(path)
        tables[f"weights_{path.stem}"] = _weights(account)
        trades.append(account.trade_list().assign(account=path.stem))
    joined = pd.concat(trades, ignore_index=True)
    tables["trades"] = joined.assign(date=joined["date"].astype("datetime64[s]").dt.strftime("%Y-%m-%d"))
    forecasts = None if run is None else _forecasts(Path(run))
    return tables if forecasts is None else tables | {"forecasts": forecasts}


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path, formats: Sequence[Format], book: str) -> list[Path]:
    """Writes tables into `folder`, a file each or as sheets of the workbook ``<book>.xlsx``, and returns the files.

    Raises:
        ValueError: A table does not fit a sheet, or the library that writes workbooks is missing.
    """
    written: list[Path] = []
    for form in dict.fromkeys(formats):
        if form == "xlsx":
            written.append(_write_book(tables, folder / f"{book}.xlsx"))
            continue
        write, suffix = (_write_latex, "tex") if form == "latex" else (_write_csv, "csv")
        for name, table in tables.items():
            path = folder / f"{file_name(name)}.{suffix}"
            write(table, path)
            written.append(path)
    return written


def file_name(name: str) -> str:
    """Returns a name as part of a file's name: letters, digits, dots and dashes, the rest as one underscore."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def _weights(account: Backtest) -> pd.DataFrame:
    table = pd.DataFrame(account.weights, columns=["cash", *account.assets])
    table.insert(0, "date", account.dates.astype(str))
    return table


def _forecasts(run: Path) -> pd.DataFrame | None:
    opened = open_run(run)
    forecast, states = opened.forecast(), opened.sources.states
    if forecast is None or states is None:
        return None
    days, columns = forecast.dates.astype(str), np.array(opened.sources.panel.assets, dtype=object)
    parts = []
    for part, rows in forecast.parts.items():
        row, column = np.nonzero(np.isfinite(forecast.mean[rows]))
        values = {"forecast": forecast.mean[rows][row, column], "realised": forecast.label[rows][row, column]}
        parts.append(pd.DataFrame({"date": days[rows][row], "symbol": columns[column], "part": part, **values}))
    return pd.concat(parts, ignore_index=True)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with atomic_write(path) as aside:
        table.to_csv(aside, index=False)


def _write_latex(table: pd.DataFrame, path: Path) -> None:
    source = table.to_latex(index=False, escape=True)
    for sign, maths in MATHS.items():
        source = source.replace(sign, maths)
    write_text(path, source)


def _write_book(tables: Mapping[str, pd.DataFrame], path: Path) -> Path:
    if importlib.util.find_spec("xlsxwriter") is None:
        raise ValueError(f"{path}: the library that writes workbooks is missing; pip install xlsxwriter, or take csv")
    for name, table in tables.items():
        if len(table) >= SHEET_ROWS or table.shape[1] > SHEET_COLUMNS:
            raise ValueError(
                f"{path}: table {name} has {len(table):,} rows and {table.shape[1]:,} columns, more than a sheet "
                "holds; take csv"
            )
    with atomic_write(path) as aside, open(aside, "wb") as handle, pd.ExcelWriter(handle, engine="xlsxwriter") as book:
        for sheet, table in zip(sheet_names(list(tables)), tables.values(), strict=True):
            table.to_excel(book, sheet_name=sheet, index=False, freeze_panes=(1, 1))
    return path


def sheet_names(names: Sequence[str]) -> list[str]:
    """Returns a different name of at most 31 letters for each table, without signs that a sheet may not have."""
    found: list[str] = []
    for name in names:
        whole = re.sub(r"[\[\]:*?/\\]", "_", name)
        numbered: Callable[[int], str] = partial(_numbered, whole)
        found.append(next(one for one in map(numbered, range(len(names) + 1)) if one.lower() not in _lowered(found)))
    return found


def _numbered(whole: str, count: int) -> str:
    tail = f"~{count}" if count else ""
    return whole[: SHEET_NAME - len(tail)] + tail


def _lowered(names: Sequence[str]) -> set[str]:
    return {name.lower() for name in names}


def flat(measures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested measures as one row: keys joined by dots, the bounds of an interval as ``_low`` and ``_high``."""
    row: dict[str, Any] = {}
    for key, value in measures.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            row |= flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(one, float) for one in value):
            row |= {f"{name}_low": value[0], f"{name}_high": value[1]}
        elif not isinstance(value, list | tuple):
            row[name] = value
    return row


def export_comparison(result: ComparisonResult | AblationResult, formats: Sequence[Format]) -> list[Path]:
    """Writes the tables of a comparison into its folder ``export``, and returns the files.

    ``csv`` and ``xlsx`` hold every measure as a number, a row an encoder or agent (``forecasts``, ``trading``), and how
    the candidates differ; ``latex`` holds the tables as they are printed.
    """
    numbers = [one for one in dict.fromkeys(formats) if one != "latex"]
    written = write_tables(_numbers_of(result), result.folder / EXPORT, numbers, "comparison") if numbers else []
    if "latex" in formats:
        written += write_tables(_printed(result), result.folder / EXPORT, ["latex"], "comparison")
    return written


def _numbers_of(result: ComparisonResult | AblationResult) -> dict[str, pd.DataFrame]:
    if isinstance(result, AblationResult):
        return _ours({"trading": _policies({result.folder.name: read_json(result.folder / METRICS)})})
    encoders, agents = result.encoders, result.agents
    tables: dict[str, Sequence[Mapping[str, Any]]] = {}
    if encoders is not None:
        rows = [{"encoder": name, **flat(one)} for name, one in encoders.measures["encoders"].items()]
        tables |= {"forecasts": rows, "differences_of_encoders": encoders.differences}
    if agents is not None:
        tables |= {"trading": _policies(agents.measures), "differences_of_agents": agents.differences}
    return _ours(tables)


def _policies(runs: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each policy of each run: its measures, and the differences of agents from each reference."""
    rows = []
    for run, metrics in runs.items():
        for name, one in metrics["performance"].items():
            against = metrics["comparisons"].get(name, {})
            own = {key: value for key, value in one.items() if key not in ("seeds", "cheats")}
            rows.append({"run": run, "policy": name, **flat(own), **flat(against, "less.")})
    return rows


def _printed(result: ComparisonResult | AblationResult) -> dict[str, pd.DataFrame]:
    if isinstance(result, AblationResult):
        return _ours({"ablation": result.rows})
    encoders, agents = result.encoders, result.agents
    tables: dict[str, Sequence[Mapping[str, Any]]] = {}
    if encoders is not None:
        tables |= {f"forecasts_{part}": forecast_rows(encoders.measures, part) for part in PARTS}
        rules = next(iter(encoders.measures["encoders"].values()))["trading"]
        tables |= {f"trading_{rule}": trading_rows(encoders.measures, rule) for rule in rules}
        tables["differences_of_encoders"] = encoders.differences
    if agents is not None:
        tables |= {"trading": agents.rows, "differences_of_agents": agents.differences}
    return _ours(tables)


def _ours(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, pd.DataFrame]:
    return {name: pd.DataFrame(list(rows)) for name, rows in tables.items() if rows}
