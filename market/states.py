"""MarketStates: what a frozen encoder says of every day, the only bridge from deep learning to trading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from market.arrays import AnyArray, BoolArray, CodeArray, DateArray, FeatureArray, check_dates, check_distinct
from market.calendar import parse_day
from market.storage.array_file import (
    fingerprint,
    header_dates,
    header_day,
    header_names,
    read_arrays,
    read_header,
    write_arrays,
)

VERSION = 2
ONE_FIT = 1  # the version whose header has a single fit_end, that of all rows
PROVENANCE = ("encoder", "checkpoint_sha256", "panel_fingerprint", "split", "fill", "horizon", "audit")
RULES = "market_rules"
"""Entry of the provenance with the terms of trading that the forecasts were traded under; older states lack it."""
OPTIONAL = ("folds", RULES)


POOR_FIT = 0.5
"""Share of the first fit's states (R²) below which those of a later fit are in other coordinates."""


@dataclass(frozen=True, eq=False)
class MarketStates:
    """States of N assets and of the market on T days; row ``t`` uses nothing after the close of day ``t``.

    Where `mask` is false the asset's state is zero and its forecast NaN: nothing is known of it that day.

    Rows may come from several fits of an encoder, one after the other (walk forward). A row is `in_sample` where its
    encoder was fitted on that day or on a later one: what it says of that day it may have learnt from that day's label,
    so an agent that learns on such rows learns to trust them too much.

    Attributes:
        dates: ``[T] datetime64[D]``.
        assets: N names.
        asset: ``[T, N, D]`` float32 asset states, finite.
        market: ``[T, M]`` float32 market states, finite.
        forecast_mean: ``[T, N]`` float32 forecast of the return that `provenance` names (fill, horizon).
        forecast_std: ``[T, N]`` float32, its standard deviation.
        mask: ``[T, N]``, true where the asset has a state.
        codes: ``[T, N, K]`` int32 codes of the quantiser, or None.
        tokens: Raw encoder tokens by name, empty unless asked for.
        provenance: What made the states: ``encoder``, ``checkpoint_sha256``, ``panel_fingerprint``, ``split``,
            ``fill``, ``horizon``, ``audit`` (``"passed"`` once the audit has shown that they cannot see the future);
            and, of several fits, ``folds``, an object for each.
        fit_end: ``[T] datetime64[D]``, the last day that the row's encoder learnt from, validation and labels included;
            a single day stands for all rows.
        fold: ``[T]`` int32 number of the row's fit; empty where there is only one. Codes of different folds have
            nothing in common.
    """

    dates: DateArray
    assets: tuple[str, ...]
    asset: FeatureArray
    market: FeatureArray
    forecast_mean: FeatureArray
    forecast_std: FeatureArray
    mask: BoolArray
    fit_end: DateArray
    codes: CodeArray | None = None
    tokens: Mapping[str, FeatureArray] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    fold: CodeArray = field(default_factory=lambda: np.zeros(0, np.int32))

    def __post_init__(self) -> None:
        check_dates("states", self.dates)
        check_distinct("states: assets", self.assets)
        days, names = len(self.dates), len(self.assets)
        object.__setattr__(self, "fit_end", _per_row(self.fit_end, self.dates))
        object.__setattr__(self, "fold", self.fold if len(self.fold) else np.zeros(days, np.int32))
        self._check("fold", self.fold, "i4", (days,))
        self._check("asset", self.asset, "f4", (days, names, "D"))
        self._check("market", self.market, "f4", (days, "M"))
        self._check("forecast_mean", self.forecast_mean, "f4", (days, names))
        self._check("forecast_std", self.forecast_std, "f4", (days, names))
        self._check("mask", self.mask, "?", (days, names))
        if self.codes is not None:
            self._check("codes", self.codes, "i4", (days, names, "K"))
        for label, tokens in self.tokens.items():
            if tokens.shape[:1] != (days,):
                raise ValueError(f"states: tokens {label} have shape {tokens.shape}, expected {days} dates first")
        if np.isnat(self.fit_end).any():
            raise ValueError("states: fit_end is not a day (NaT); it is the last day that the encoder learnt from")
        for label, array in (("asset", self.asset), ("market", self.market)):
            if not np.isfinite(array).all():
                raise ValueError(f"states: {label} holds NaN or infinity in {int((~np.isfinite(array)).sum())} places")

    @property
    def audited(self) -> bool:
        """True where the audit has shown that no row sees the future."""
        return self.provenance.get("audit") == "passed"

    @property
    def unaligned(self) -> tuple[str, ...]:
        """Which of ``asset`` and ``market`` mean something else from one fit to another, see `POOR_FIT`."""
        explained = [fold["explained"] for fold in self.provenance.get("folds") or () if "explained" in fold]
        return tuple(block for block in ("asset", "market") if any(one[block] < POOR_FIT for one in explained))

    @property
    def in_sample(self) -> BoolArray:
        """``[T]``, true where the row's encoder was fitted on that day or on a later one."""
        fitted: BoolArray = self.fit_end >= self.dates
        return fitted

    @cached_property
    def identity(self) -> dict[str, Any]:
        """``states_days`` and ``states_content``, by which an audit and a run name the states that they are of."""
        return {"states_days": len(self.dates), "states_content": self.fingerprint_of(len(self.dates))}

    def is_named_by(self, record: Mapping[str, Any]) -> bool:
        """Returns whether a record is of these very states; true of an older one, which names none."""
        return all(record.get(name, value) == value for name, value in self.identity.items())

    def fingerprint_of(self, days: int) -> str:
        """Returns the sha256 of what the first `days` rows say; neither later rows nor the provenance count."""
        said = {"dates": self.dates[:days].astype(str).tolist(), "fit_end": self.fit_end[:days].astype(str).tolist()}
        arrays = {name: array[:days] for name, array in self.arrays().items()}
        return fingerprint({**said, "assets": list(self.assets)}, arrays)

    def to_frame(self, start: str | None = None, stop: str | None = None) -> pd.DataFrame:
        """Returns the states as one long table, a row for each day and asset that has a state.

        The index is ``(date, symbol)``. Columns: ``state_0 ...`` of the asset, ``market_0 ...`` of the day,
        ``forecast_mean``, ``forecast_std``, ``code_0 ...`` where there are codes, and ``in_sample``.

        Args:
            start: First day (YYYY-MM-DD); None for all.
            stop: Last day, inclusive; None for all.

        Raises:
            ValueError: A day is written in another way, or there is no day of these states from `start` to `stop`.
        """
        asked = self._asked(start, stop)
        day, asset = np.nonzero(self.mask & asked[:, None])
        columns: dict[str, AnyArray] = {f"state_{k}": self.asset[day, asset, k] for k in range(self.asset.shape[2])}
        columns |= {f"market_{k}": self.market[day, k] for k in range(self.market.shape[1])}
        columns["forecast_mean"], columns["forecast_std"] = (
            self.forecast_mean[day, asset],
            self.forecast_std[day, asset],
        )
        if self.codes is not None:
            columns |= {f"code_{k}": self.codes[day, asset, k] for k in range(self.codes.shape[2])}
        columns["in_sample"] = self.in_sample[day]
        dates, names = self.dates[day].astype("datetime64[s]"), np.array(self.assets, dtype=object)[asset]
        return pd.DataFrame(columns, index=pd.MultiIndex.from_arrays([dates, names], names=["date", "symbol"]))

    def _asked(self, start: str | None, stop: str | None) -> BoolArray:
        asked = np.ones(len(self.dates), np.bool_)
        asked &= True if start is None else self.dates >= _day(start)
        asked &= True if stop is None else self.dates <= _day(stop)
        if not asked.any():
            span = "no day" if not len(self.dates) else f"{self.dates[0]} to {self.dates[-1]}"
            raise ValueError(f"states: no day from {start or 'the first'} to {stop or 'the last'}; they hold {span}")
        return asked

    @staticmethod
    def _check(label: str, array: AnyArray, code: str, shape: tuple[int | str, ...]) -> None:
        """Refuses an array of another type or shape; a letter in `shape` stands for any length."""
        fits = array.ndim == len(shape) and all(
            isinstance(want, str) or want == got for want, got in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype != np.dtype(code):
            wanted = f"{np.dtype(code)} ({', '.join(map(str, shape))})"
            raise ValueError(f"states: {label} is {array.dtype} {array.shape}, expected {wanted}")

    def arrays(self) -> dict[str, AnyArray]:
        """Returns the arrays of all days by their names in a file, ``[T, ...]`` each, without raw tokens."""
        found: dict[str, AnyArray] = {
            "asset": self.asset,
            "market": self.market,
            "forecast_mean": self.forecast_mean,
            "forecast_std": self.forecast_std,
            "mask": self.mask,
        }
        return found if self.codes is None else {**found, "codes": self.codes}

    def save(self, path: str | Path) -> str:
        """Writes ``states.safetensors`` (aside, then renamed) and returns its fingerprint."""
        tokens = {f"tokens_{name}": array for name, array in self.tokens.items()}
        return write_arrays(path, {**self.arrays(), **tokens}, self._header())

    @staticmethod
    def load(path: str | Path, verify: bool = True) -> "MarketStates":
        """Reads a states file, mapped into memory and read-only; of version 1 too, whose rows share one fit.

        Raises:
            ValueError: The file is missing, damaged, of another kind or version, or its parts do not fit together.
        """
        arrays, header = read_states(path, verify)
        single = header["version"] == ONE_FIT
        try:
            return MarketStates(
                dates=header_dates(header),
                assets=header_names(header, "assets"),
                asset=arrays["asset"],
                market=arrays["market"],
                forecast_mean=arrays["forecast_mean"],
                forecast_std=arrays["forecast_std"],
                mask=arrays["mask"],
                fit_end=np.asarray(header_day(header, "fit_end")) if single else header_dates(header, "fit_end"),
                codes=arrays.get("codes"),
                tokens={name[7:]: array for name, array in arrays.items() if name.startswith("tokens_")},
                provenance={key: header[key] for key in PROVENANCE}
                | {key: header[key] for key in OPTIONAL if key in header},
                fold=np.zeros(0, np.int32) if single else _numbers(header["fold"]),
            )
        except KeyError as error:
            raise ValueError(f"{path}: {error} is missing; extract the states again") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _header(self) -> dict[str, Any]:
        return states_header(self.dates, self.assets, self.fit_end, self.provenance, self.fold)


def read_states(path: str | Path, verify: bool = True) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Returns the arrays, mapped read-only, and the header of a states file of any version that can be read.

    Raises:
        ValueError: The file is missing, damaged, of another kind or of a version that is not known.
    """
    older = read_header(path).get("version") == ONE_FIT
    return read_arrays(path, "states", ONE_FIT if older else VERSION, verify)


def states_header(
    dates: DateArray,
    assets: Sequence[str],
    fit_end: DateArray,
    provenance: Mapping[str, Any],
    fold: CodeArray | None = None,
) -> dict[str, Any]:
    """Returns the JSON header of a states file; a single `fit_end` stands for all rows, no `fold` for one fit.

    Raises:
        ValueError: The provenance lacks something.
    """
    missing = [key for key in PROVENANCE if key not in provenance]
    if missing:
        raise ValueError(f"states: provenance lacks {', '.join(missing)}; name what made these states")
    return {
        "kind": "states",
        "version": VERSION,
        "dates": dates.astype(str).tolist(),
        "assets": list(assets),
        "fit_end": _per_row(fit_end, dates).astype(str).tolist(),
        "fold": [0] * len(dates) if fold is None else fold.tolist(),
        **{key: provenance[key] for key in PROVENANCE},
        **{key: provenance[key] for key in OPTIONAL if key in provenance},
    }


def _day(text: str) -> np.datetime64:
    day = parse_day(str(text))
    if day is None:
        raise ValueError(f"states: '{text}' is not a day; write it as YYYY-MM-DD")
    return np.datetime64(day)


def _per_row(days: DateArray, dates: DateArray) -> DateArray:
    """Returns one day for each of `dates`, where `days` may be a single one."""
    given = np.asarray(days, dtype="datetime64[D]")
    if given.ndim and given.shape != dates.shape:
        raise ValueError(f"states: fit_end has shape {given.shape}, expected a day for each of the {len(dates)} dates")
    return np.broadcast_to(given, dates.shape)


def _numbers(entries: object) -> CodeArray:
    if not isinstance(entries, list) or not all(type(entry) is int for entry in entries):
        raise ValueError("fold is not a list of whole numbers; write the file again")
    return np.array(entries, dtype=np.int32)
