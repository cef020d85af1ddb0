"""The one array file of the project: safetensors with a JSON header, written aside and renamed.

A file holds named arrays and one metadata key ``factorgym`` with a JSON object that names its ``kind``, its format
``version`` and a ``fingerprint``: the sha256 of everything else in the header and of every array. Nothing in such a
file is ever executed. Reading maps the arrays into memory; they are read-only.

Format: https://github.com/huggingface/safetensors#format
"""

import hashlib
import json
import math
import mmap
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from market.arrays import AnyArray, DateArray
from market.calendar import parse_day
from market.storage.system import exchange, flush_file

METADATA_KEY = "factorgym"
PLACEHOLDER = "0" * 64
_CODES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_NAMES = {np.dtype(code): name for name, code in _CODES.items()}


@dataclass(frozen=True)
class ArraySpec:
    """The shape and type of an array that is about to be written."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(math.prod(self.shape)) * self.dtype.itemsize


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it to `path` when the block ends without an error.

    The final name therefore never shows a half-written file, and an existing file survives any failure.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}.part")
    try:
        yield aside
        flush_file(aside)
        exchange(aside, final)
    except OSError as error:  # a full disk does not say which file it had no room for
        error.filename = error.filename or str(final)
        raise
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` as UTF-8, aside and renamed."""
    with atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Writes `value` as indented JSON, aside and renamed; NaN and infinity are refused, use None."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Returns the JSON value in the file at `path`.

    Raises:
        ValueError: The file is missing, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; write it first or correct the path") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}); run the stage that writes it again") from None


def write_arrays(path: str | Path, arrays: Mapping[str, AnyArray], header: Mapping[str, Any]) -> str:
    """Writes `arrays` under `header` and returns the fingerprint.

    Args:
        path: Final name of the file.
        arrays: Arrays by name; any order in memory.
        header: JSON object with at least ``kind`` and ``version``.
    """
    specs = {name: ArraySpec(array.shape, array.dtype) for name, array in arrays.items()}
    with arrays_in_place(path, specs, header) as mapped:
        for name, array in arrays.items():
            mapped[name][...] = array
    return read_header(path)["fingerprint"]  # type: ignore[no-any-return]


@contextmanager
def arrays_in_place(
    path: str | Path, specs: Mapping[str, ArraySpec], header: Mapping[str, Any]
) -> Iterator[dict[str, AnyArray]]:
    """Yields writable arrays mapped onto a file that becomes `path` when the block ends without an error.

    What is written to the arrays goes to disk, not to memory, so a file may be larger than memory. Its room on the disk
    is taken before anything is written: a full disk is an error here, not the end of the process at some later byte.
    """
    with atomic_write(path) as aside:
        offset = _write_frame(aside, specs, header, PLACEHOLDER)
        order = _file_order(specs)
        mapped: dict[str, AnyArray] = {}
        for name in order:
            spec = specs[name]
            shape = spec.shape if spec.nbytes else (0,)
            if spec.nbytes:
                mapped[name] = np.memmap(aside, dtype=spec.dtype, mode="r+", offset=offset, shape=shape)
            else:
                mapped[name] = np.zeros(spec.shape, spec.dtype)
            offset += spec.nbytes
        yield mapped  # the pages need no flush of their own: they belong to the file that is synchronised at the end
        _write_frame(aside, specs, header, fingerprint(header, mapped))
        mapped.clear()  # a mapped file cannot be renamed on Windows


def fingerprint(header: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> str:
    """Returns the sha256 over the header (without its ``fingerprint``) and the arrays in name order."""
    plain = {key: value for key, value in header.items() if key != "fingerprint"}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {_NAMES[array.dtype]} {array.shape}".encode())
        flat = array.reshape(-1)
        for start in range(0, flat.size, 1 << 24):
            digest.update(np.ascontiguousarray(flat[start : start + (1 << 24)]).view(np.uint8).data)
            release_pages(array)
    return digest.hexdigest()


def release_pages(array: AnyArray) -> None:
    """Takes the pages of a mapped array out of this process; the file keeps them, so a file may be larger than memory.

    What was written stays written, and what is read again is read from the file. An array in memory is left alone.
    """
    file: object = array
    while isinstance(file, np.ndarray):
        file = file.base
    if isinstance(file, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # absent on Windows
        file.madvise(mmap.MADV_DONTNEED)


def read_header(path: str | Path) -> dict[str, Any]:
    """Returns the JSON header of an array file.

    Raises:
        ValueError: The file is missing, is not safetensors, or carries no header of ours.
    """
    try:
        with safe_open(path, framework="np") as opened:
            text = (opened.metadata() or {}).get(METADATA_KEY)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; write it first or correct the path") from None
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error}); write it again") from None
    if text is None:
        raise ValueError(f"{path}: safetensors without a '{METADATA_KEY}' header; it was not written by FactorGym")
    try:
        header = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: header is not JSON ({error}); write the file again") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path}: header is {type(header).__name__}, expected a JSON object; write the file again")
    return header


def read_arrays(
    path: str | Path, kind: str, version: int, verify: bool = True
) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Returns the arrays, mapped read-only, and the header of the file at `path`.

    Args:
        path: File written by `write_arrays` or `arrays_in_place`.
        kind: Kind that the header must state, for example ``panel``.
        version: Format version that the header must state.
        verify: Recompute the fingerprint, so that a single flipped bit is refused.

    Raises:
        ValueError: The file is missing, damaged, of another kind or of another version.
    """
    header = read_header(path)
    for key, wanted in (("kind", kind), ("version", version)):
        if header.get(key) != wanted:
            raise ValueError(
                f"{path}: {key} is {header.get(key)!r}, expected {wanted!r}; write it again with this version"
            )
    arrays = _map_arrays(Path(path))
    if verify and fingerprint(header, arrays) != header.get("fingerprint"):
        raise ValueError(f"{path}: fingerprint does not match the content; the file is damaged, write it again")
    return arrays, header


def header_names(header: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Returns the list of names under `key` of a header that was read; anything else there is an error."""
    names = header[key]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} are not a list of names; write the file again")
    return tuple(names)


def header_dates(header: Mapping[str, Any], key: str = "dates") -> DateArray:
    """Returns the days under `key` of a header that was read, ``[T] datetime64[D]``; all but ISO days is an error."""
    names = header_names(header, key)
    for name in names:
        _check_day(key, name)
    return np.array(names, dtype="datetime64[D]")


def header_day(header: Mapping[str, Any], key: str) -> np.datetime64:
    """Returns the day under `key` of a header that was read; anything but an ISO day is an error."""
    _check_day(key, header[key])
    return np.datetime64(header[key], "D")


def _check_day(key: str, day: object) -> None:
    if parse_day(day) is None:
        raise ValueError(f"{key} holds '{day}', expected a day as YYYY-MM-DD; write the file again")


def header_object(header: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Returns the JSON object under `key` of a header that was read; anything else there is an error."""
    value = header[key]
    if not isinstance(value, dict):
        raise ValueError(f"{key} is a {type(value).__name__}, expected a JSON object; write the file again")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}")


def _map_arrays(path: Path) -> dict[str, AnyArray]:
    with open(path, "rb") as handle:  # structure and bounds were checked by the library in read_header
        size = int.from_bytes(handle.read(8), "little")
        entries = json.loads(handle.read(size))
    arrays: dict[str, AnyArray] = {}
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _CODES:
            raise ValueError(f"{path}: array '{name}' has type {entry['dtype']}, which this format does not use")
        dtype, shape = np.dtype(_CODES[entry["dtype"]]), tuple(entry["shape"])
        start, stop = (8 + size + offset for offset in entry["data_offsets"])
        try:
            empty = start == stop
            arrays[name] = np.zeros(shape, dtype) if empty else np.memmap(path, dtype, "r", offset=start, shape=shape)
        except ValueError as error:  # more axes than numpy has, or an empty array of absurd size
            raise ValueError(f"{path}: array '{name}' has no possible shape ({error}); write the file again") from None
    return arrays


def take_room(file: int, size: int) -> None:
    """Gives an open file its size, and takes the room on the disk, so that a full one is told of at once."""
    os.truncate(file, size)
    if hasattr(os, "posix_fallocate"):  # absent on macOS and Windows
        os.posix_fallocate(file, 0, size)


def _file_order(specs: Mapping[str, ArraySpec]) -> list[str]:
    return sorted(specs, key=lambda name: (-specs[name].dtype.itemsize, name))  # keeps every array aligned


def _write_frame(path: Path, specs: Mapping[str, ArraySpec], header: Mapping[str, Any], digest: str) -> int:
    """Writes the safetensors header, sizes the file, and returns where the data starts."""
    entries: dict[str, Any] = {
        "__metadata__": {METADATA_KEY: json.dumps({**header, "fingerprint": digest}, allow_nan=False)}
    }
    end = 0
    for name in _file_order(specs):
        spec = specs[name]
        if spec.dtype not in _NAMES:
            raise ValueError(
                f"{path}: array '{name}' has type {spec.dtype}, which safetensors files of ours do not hold"
            )
        entries[name] = {
            "dtype": _NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [end, end + spec.nbytes],
        }
        end += spec.nbytes
    encoded = json.dumps(entries).encode()
    encoded += b" " * (-len(encoded) % 8)
    with open(path, "r+b" if path.exists() else "wb") as handle:
        handle.write(len(encoded).to_bytes(8, "little") + encoded)
        handle.flush()
        take_room(handle.fileno(), 8 + len(encoded) + end)
    return 8 + len(encoded)
