"""Ledger: every run that looked at the valid or test days of a panel, kept beside the panel, whoever looked.

A result is worth the less the more was tried before it, and what was tried does not lie in one working directory. So
each run that chooses on valid days or is evaluated on test days leaves a line in ``ledger.jsonl`` in the folder of its
panel, with what it saw: a hash of the closes of every month. Runs belong together where they saw the same closes in any
month, so appending days, moving a split, or another working directory starts no count anew. Nothing is ever removed.
What the ledger cannot know is a copy of the panel in another folder.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from market.panel import Panel
from market.storage.system import lock_file

FILE = "ledger.jsonl"
DIGITS = 16  # of a hash

Part = Literal["valid", "test"]


@dataclass(frozen=True)
class Look:
    """One training of one run, looking at days of a panel.

    Attributes:
        stage: ``pretrain``, ``sweep``, ``train``, ``evaluate``, ``compare`` or ``discover``.
        part: Whether it looked at the days it chooses on or at those it is evaluated on.
        run: Name of the run's directory.
        config: Hash of its configuration, see `config_hash`.
        seed: Of the training.
        months: Hashes of the closes of its valid and test months, see `month_hashes`.
        asset: The one asset that is traded; None where it looks at all of them.
        command: The command that looked; the looks of one command share it.
        sharpe: Annual Sharpe ratio on the test days, None where it is not known.
    """

    stage: str
    part: Part
    run: str
    config: str
    seed: int
    months: tuple[str, ...]
    asset: str | None
    command: str
    sharpe: float | None = None

    @property
    def trial(self) -> tuple[str, str, int]:
        """Run, configuration and seed: two looks with the same key are looks of the same training."""
        return self.run, self.config, self.seed


@dataclass(frozen=True)
class Ledger:
    """The looks at the panels of one folder.

    Attributes:
        path: The file; it need not exist yet.
    """

    path: Path

    @staticmethod
    def beside(panel: str | Path) -> "Ledger":
        """Returns the ledger of the folder in which a panel file lies."""
        return Ledger(Path(panel).resolve().parent / FILE)

    def looks(self, months: Sequence[str] | None = None) -> list[Look]:
        """Returns all looks, oldest first, or those that share one of `months`.

        Raises:
            ValueError: A line is damaged.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        found = [self._read(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
        wanted = None if months is None else set(months)
        return [one for one in found if wanted is None or not wanted.isdisjoint(one.months)]

    def enter(self, looks: Iterable[Look]) -> None:
        """Appends looks, all of them or none; processes take turns.

        Raises:
            ValueError: The folder cannot be written.
        """
        text = "".join(json.dumps(asdict(one)) + "\n" for one in looks)
        try:
            with open(self.path, "ab", buffering=0) as handle:
                lock_file(handle.fileno())
                _append(handle, text.encode())
        except OSError as error:
            raise ValueError(
                f"{self.path}: looks at valid and test days are counted beside the panel, but it cannot be written "
                f"({error.strerror}); make the folder writable or prepare the panel into one that is"
            ) from None

    def _read(self, number: int, line: str) -> Look:
        try:
            data: Mapping[str, Any] = json.loads(line)
            return Look(**{**data, "months": tuple(data["months"])})
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise ValueError(
                f"{self.path}: line {number} is damaged ({error}); correct it, it counts what was tried"
            ) from None


def _append(handle: FileIO, data: bytes) -> None:
    size = os.fstat(handle.fileno()).st_size
    try:
        while data:  # a disk that is nearly full takes a part before it refuses the rest
            data = data[handle.write(data) :]
    except OSError:
        handle.truncate(size)
        raise


def month_hashes(panel: Panel, first: str, last: str) -> tuple[str, ...]:
    """Returns a hash of each month's closes, in the order of time, of the days from `first` to `last`.

    Equal where assets, days and closes are, to the bit; fields that are computed, masks and the source do not matter.
    A month that begins or ends outside of these days is hashed whole, so that moving a split changes none.

    Raises:
        ValueError: The panel has no closes.
    """
    rows = panel.rows(first, last)
    months = panel.dates.astype("datetime64[M]")
    order = np.argsort(np.array(panel.assets))
    names = "\n".join(panel.assets[n] for n in order).encode()
    close, found = panel["close"], []
    for month in np.unique(months[rows]):
        days = np.flatnonzero(months == month)
        closes = np.ascontiguousarray(close[days][:, order], dtype=np.float64)
        digest = hashlib.sha256(names)
        digest.update(panel.dates[days].astype("datetime64[D]").astype(np.int64).tobytes())
        digest.update(closes.tobytes())
        found.append(digest.hexdigest()[:DIGITS])
    return tuple(found)


def new_command() -> str:
    """Returns a name that the looks of one command share and no other command has."""
    return secrets.token_hex(DIGITS // 2)


def config_hash(data: Any) -> str:
    """Returns the hash of a configuration as JSON data; the order of keys does not count, and 5.0 is 5."""
    return hashlib.sha256(json.dumps(_canonical(data), sort_keys=True).encode()).hexdigest()[:DIGITS]


def _canonical(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _canonical(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_canonical(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data
