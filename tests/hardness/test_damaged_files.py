"""Panels, states, models and policies that were cut, altered, aged or swapped are refused by the name of the file."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from market.storage.array_file import write_arrays
from tests.hardness.artifacts import KINDS, Artifact, artifacts

FLIPS, CUTS = 40, 25
"""Damages of each region and file."""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return artifacts(tmp_path_factory.mktemp("artifacts"))


def refusal(artifact: Artifact, path: Path) -> str:
    """Returns the message with which the reader refuses the file at `path`."""
    with pytest.raises(ValueError, match=r".+") as caught:
        artifact.read(path)
    message = str(caught.value)
    assert path.name in message or path.stem in message, message
    assert "\n" not in message
    return message


def refused_or_read(artifact: Artifact, path: Path) -> str | None:
    """Returns the message with which the reader refuses a file, None where it takes it; anything else fails."""
    try:
        artifact.read(path)
    except ValueError as error:
        return str(error)
    return None


def regions(content: bytes) -> dict[str, range]:
    """Returns the bytes of the length, of the header, and of the data's start, middle and end."""
    data = 8 + int.from_bytes(content[:8], "little")
    end, sixth = len(content), (len(content) - data) // 6
    return {
        "length": range(8),
        "header": range(8, data),
        "first data": range(data, data + sixth),
        "middle data": range(data + sixth, end - sixth),
        "last data": range(end - sixth, end),
        "last byte": range(end - 1, end),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_read(kind: str, known: dict[str, Artifact]) -> None:
    known[kind].read(known[kind].path)


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_refused_in_every_region(kind: str, known: dict[str, Artifact], tmp_path: Path) -> None:
    content, chance = known[kind].path.read_bytes(), random.Random(kind)
    path = tmp_path / "flipped.safetensors"
    for region in regions(content).values():
        for _ in range(FLIPS):
            damaged = bytearray(content)
            place = chance.choice(region)
            damaged[place] ^= 1 << chance.randrange(8)
            if bytes(damaged[8:]).lower() == content[8:].lower() and damaged[:8] == content[:8]:
                continue  # the case of a letter in an escape of the JSON, which means the same
            path.write_bytes(damaged)
            refusal(known[kind], path)


@pytest.mark.parametrize("kind", KINDS)
def test_files_cut_short_or_grown_are_refused(kind: str, known: dict[str, Artifact], tmp_path: Path) -> None:
    content, chance = known[kind].path.read_bytes(), random.Random(kind)
    path = tmp_path / "cut.safetensors"
    lengths = {0, 1, 7, 8, 9, len(content) - 1} | {chance.randrange(len(content)) for _ in range(CUTS)}
    for length in lengths:
        path.write_bytes(content[:length])
        refusal(known[kind], path)
    for more in (b"\0", b"x" * 4096, content):
        path.write_bytes(content + more)
        refusal(known[kind], path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [0, 99, "1", None, 1.5, [1]])
def test_another_version_is_refused_although_all_else_fits(
    kind: str, version: Any, known: dict[str, Artifact], tmp_path: Path
) -> None:
    path = tmp_path / "aged.safetensors"
    write_arrays(path, known[kind].arrays, {**known[kind].header, "version": version})
    assert "version is" in refusal(known[kind], path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_of_another_kind_is_refused(kind: str, known: dict[str, Artifact], tmp_path: Path) -> None:
    for other in KINDS:
        if other != kind:
            path = tmp_path / f"{other}.safetensors"
            path.write_bytes(known[other].path.read_bytes())
            assert f"kind is '{other}', expected '{kind}'" in refusal(known[kind], path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_forged_header_with_a_good_fingerprint_is_refused(
    kind: str, known: dict[str, Artifact], tmp_path: Path
) -> None:
    path, header = tmp_path / "forged.safetensors", known[kind].header
    for name in sorted(set(header) - {"kind", "version", "fingerprint"}):
        for value in (None, 7, "x", [], ["x", "x"], {}, {"x": 1}, -1):
            forged = {**header, name: value}
            write_arrays(path, known[kind].arrays, forged)
            said = refused_or_read(known[kind], path)
            assert said is None or ("forged" in said and "\n" not in said), (name, value, said)
        without = {key: entry for key, entry in header.items() if key != name}
        write_arrays(path, known[kind].arrays, without)
        refusal(known[kind], path)


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_that_do_not_fit_are_refused(kind: str, known: dict[str, Artifact], tmp_path: Path) -> None:
    path, arrays = tmp_path / "arrays.safetensors", known[kind].arrays
    optional = {"codes"}
    for name in arrays:
        if name in optional or kind == "model":  # a model is put together with its encoder, which refuses; see below
            continue
        write_arrays(path, {key: array for key, array in arrays.items() if key != name}, known[kind].header)
        refusal(known[kind], path)
        for wrong in (arrays[name][:-1] if arrays[name].ndim else np.zeros(2, np.float32), np.zeros(3, np.int16)):
            write_arrays(path, {**arrays, name: wrong}, known[kind].header)
            refusal(known[kind], path)
