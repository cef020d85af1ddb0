import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.numpy import save_file

from market.storage import (
    ArraySpec,
    arrays_in_place,
    fingerprint,
    header_dates,
    header_names,
    read_arrays,
    read_header,
    write_arrays,
    write_json,
    write_text,
    written_aside,
)

HEADER = {"kind": "thing", "version": 1, "note": "ünïcode \u2603"}
DTYPES = st.sampled_from(
    [np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_]
)
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)


def sample() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "mask": rng.random((3, 5)) < 0.5,
        "values": rng.normal(size=(3, 5, 2)),
        "codes": np.arange(7, dtype=np.int32),
    }


def forged(path: Path, text: str, **tensors: np.ndarray) -> Path:
    """A well-formed safetensors file whose header text is anything."""
    save_file({"values": np.zeros(3), **tensors}, path, metadata={"factorgym": text})
    return path


@settings(max_examples=60)
@given(arrays=st.dictionaries(st.text("abcxyz_", min_size=1, max_size=6), ARRAYS, max_size=4))
def test_arrays_come_back_as_they_were(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("arrays") / "a.safetensors"
    digest = write_arrays(path, arrays, HEADER)
    back, header = read_arrays(path, "thing", 1)
    assert header == {**HEADER, "fingerprint": digest}
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_any_order_in_memory_and_any_nesting_of_slices():
    values = np.random.default_rng(0).normal(size=(6, 4, 3))
    for view in (np.asfortranarray(values), values.transpose(2, 0, 1), values[::2, ::-1]):
        assert fingerprint(HEADER, {"v": view}) == fingerprint(HEADER, {"v": view.copy(order="C")})


def test_the_library_itself_reads_the_file(tmp_path):
    arrays = sample()
    write_arrays(tmp_path / "a", arrays, HEADER)
    with safe_open(tmp_path / "a", framework="np") as opened:
        assert json.loads(opened.metadata()["factorgym"])["note"] == HEADER["note"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(opened.get_tensor(name), array)


def test_arrays_are_mapped_aligned_and_read_only(tmp_path):
    write_arrays(tmp_path / "a", sample(), HEADER)
    back, _ = read_arrays(tmp_path / "a", "thing", 1)
    for array in back.values():
        assert isinstance(array, np.memmap)
        assert array.ctypes.data % array.dtype.itemsize == 0
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_in_place_equals_at_once(tmp_path):
    arrays = sample()
    digest = write_arrays(tmp_path / "once", arrays, HEADER)
    specs = {name: ArraySpec(array.shape, array.dtype) for name, array in arrays.items()}
    with arrays_in_place(tmp_path / "place", specs, HEADER) as mapped:
        for name, array in arrays.items():
            for row in range(len(array)):
                mapped[name][row] = array[row]
    assert (tmp_path / "place").read_bytes() == (tmp_path / "once").read_bytes()
    assert read_header(tmp_path / "place")["fingerprint"] == digest


def test_the_fingerprint_moves_with_every_part_of_the_content():
    arrays = sample()
    digest = fingerprint(HEADER, arrays)
    assert digest == fingerprint({**HEADER, "fingerprint": "old"}, arrays)
    assert digest != fingerprint({**HEADER, "version": 2}, arrays)
    assert digest != fingerprint(HEADER, {**arrays, "codes": arrays["codes"].reshape(7, 1)})
    assert digest != fingerprint(HEADER, {**arrays, "codes": arrays["codes"].view(np.float32)})
    renamed = {("code" if name == "codes" else name): array for name, array in arrays.items()}
    assert digest != fingerprint(HEADER, renamed)


@settings(max_examples=300)
@given(st.data())
def test_a_single_flipped_bit_is_refused_with_the_name_of_the_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    write_arrays(path, sample(), HEADER)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) * 8 - 1))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    try:
        back, header = read_arrays(path, "thing", 1)
    except ValueError as error:
        refusal = str(error)
    else:  # the case of a letter in an escape of the JSON, which means the same
        assert header == {**HEADER, "fingerprint": fingerprint(HEADER, sample())}
        assert fingerprint(header, back) == header["fingerprint"]
        return
    assert refusal.startswith(f"{path}: ")
    assert "\n" not in refusal


@given(st.data())
def test_a_file_cut_short_or_grown_is_refused_with_its_name(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    write_arrays(path, sample(), HEADER)
    content = path.read_bytes()
    path.write_bytes(
        data.draw(st.one_of(st.integers(0, len(content) - 1).map(lambda n: content[:n]), st.just(content + b"x")))
    )
    for verify in (True, False):
        with pytest.raises(ValueError, match=r"cut\.safetensors: not a readable safetensors file"):
            read_arrays(path, "thing", 1, verify)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bytes\.safetensors: "):
        read_header(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "header is not JSON"),
        ("[1, 2]", "header is list, expected a JSON object"),
        ("[" * 100_000, "header is not JSON"),
        ('{"kind": "thing", "version": 1, "note": NaN}', r"header is not JSON \(it holds NaN\)"),
        ('{"kind": "other", "version": 1}', "kind is 'other', expected 'thing'; write it again"),
        ('{"kind": "thing", "version": 2}', "version is 2, expected 1; write it again with this version"),
        ('{"kind": "thing"}', "version is None, expected 1"),
        ('{"kind": "thing", "version": 1}', "fingerprint does not match the content"),
        ('{"kind": "thing", "version": 1, "fingerprint": {}}', "fingerprint does not match the content"),
    ],
)
def test_hostile_headers_are_refused_with_the_name_of_the_file(tmp_path, text, message):
    path = forged(tmp_path / "forged.safetensors", text)
    with pytest.raises(ValueError, match=rf"forged\.safetensors: .*{message}"):
        read_arrays(path, "thing", 1)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="absent: no such file; write it first or correct the path"):
        read_header(tmp_path / "absent")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        read_header(tmp_path)
    save_file({"w": np.zeros(3)}, tmp_path / "model")
    with pytest.raises(ValueError, match="model: safetensors without a 'factorgym' header; it was not written by"):
        read_header(tmp_path / "model")
    path = forged(tmp_path / "typed", '{"kind": "thing", "version": 1}', odd=np.zeros(2, np.uint64))
    with pytest.raises(ValueError, match="typed: array 'odd' has type U64, which this format does not use"):
        read_arrays(path, "thing", 1)


def test_types_that_the_format_lacks_are_refused_and_leave_nothing(tmp_path):
    for array in (np.array(["a"]), np.array([None]), np.zeros(2, np.complex128), np.zeros(2, ">f8")):
        with pytest.raises(ValueError, match=r"array 'x' has type"):
            write_arrays(tmp_path / "a", {"x": array}, HEADER)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_arrays(tmp_path / "a", sample(), {**HEADER, "bad": np.nan})
    assert list(tmp_path.iterdir()) == []


def fail_halfway(path: Path) -> None:
    with written_aside(path) as aside:
        aside.write_text("half")
        raise RuntimeError


def test_a_failure_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "deep" / "report.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError):
        fail_halfway(path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]
    write_text(path, "ü")
    assert path.read_bytes() == "ü".encode()


def test_a_reader_keeps_the_old_content_while_the_file_is_replaced(tmp_path):
    write_arrays(tmp_path / "a", {"x": np.zeros(5)}, HEADER)
    old, _ = read_arrays(tmp_path / "a", "thing", 1)
    write_arrays(tmp_path / "a", {"x": np.ones(5)}, HEADER)
    new, _ = read_arrays(tmp_path / "a", "thing", 1)
    assert old["x"].sum() == 0
    assert new["x"].sum() == 5


KILLED = """
import sys, time
import numpy as np
from market.storage import ArraySpec, arrays_in_place
with arrays_in_place(sys.argv[1], {"x": ArraySpec((1000,), np.dtype("f8"))}, {"kind": "thing", "version": 1}) as mapped:
    mapped["x"][:500] = 1
    mapped["x"].flush()
    print("half", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("existing", [False, True])
def test_a_killed_writer_never_leaves_a_half_file_under_the_final_name(tmp_path, existing):
    path = tmp_path / "a.safetensors"
    if existing:
        write_arrays(path, {"x": np.full(3, 7.0)}, HEADER)
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert path.exists() == existing
    if existing:
        np.testing.assert_array_equal(read_arrays(path, "thing", 1)[0]["x"], 7)


@pytest.mark.parametrize("dates", ["2020-01-01", None, [1], ["2020-1-1"], ["NaT"], ["2020-01-01T10"], {"a": 1}])
def test_dates_of_a_header_are_a_list_of_days(dates):
    with pytest.raises(ValueError, match=r"dates (are not a list of names|holds '.*', expected a day as YYYY-MM-DD)"):
        header_dates({"dates": dates})
    with pytest.raises(ValueError, match="assets are not a list of names"):
        header_names({"assets": "AB"}, "assets")
    assert header_names({"assets": ["A", "B"]}, "assets") == ("A", "B")
    assert header_dates({"dates": ["2020-02-29"]}) == np.array(["2020-02-29"], "datetime64[D]")
