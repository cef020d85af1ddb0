"""Arrays that lie in a file: the same values as in memory, and no more of them in memory than is looked at."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from market.audit.audit import audit_features
from market.audit.verdict import Scrutiny
from market.features import Formulas
from market.features.health import HealthCheck
from market.features.table import Feature
from market.panel import Panel
from market.scaling.scalers import CrossSectionalZScore, RobustZScore, Scaling, TrailingZScore
from market.sources.synthetic.source import Synthetic
from market.storage import scratch

ROOT = Path(__file__).parents[2]
FEATURES = Formulas(
    (
        Feature("move", "close / delay(close, 1) - 1"),
        Feature("calm", "std(close, 5) / close"),
        Feature("day", "high / low"),
    )
)


@pytest.fixture
def panel() -> Panel:
    return Panel.from_frame(Synthetic(stocks=9, days=300).read())


def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "LARGE", 1)
    monkeypatch.setattr(scratch, "CELLS", 1000)


def is_mapped(array: np.ndarray) -> bool:
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner is not None


def test_features_in_a_file_hold_the_same_bits(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = FEATURES.compute(panel)
    in_files(monkeypatch)
    found = FEATURES.compute(panel)
    assert is_mapped(found.values)
    assert not is_mapped(expected.values)
    np.testing.assert_array_equal(found.values, expected.values)


@pytest.mark.parametrize("scaling", [RobustZScore(), CrossSectionalZScore(), TrailingZScore(window=20)])
def test_scaled_features_in_a_file_hold_the_same_bits(
    scaling: Scaling, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scaled() -> tuple[np.ndarray, np.ndarray, object]:
        raw = FEATURES.compute(panel)
        check = HealthCheck(raw)
        scaler = scaling.fit(raw, slice(0, 200))
        apart, over = scaler.transform(raw).values, scaler.overwrite(raw).values
        return apart, over, check.after(over, scaler.clip)

    expected = scaled()
    in_files(monkeypatch)
    found = scaled()
    assert is_mapped(found[0])
    for one, other in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert repr(found[2]) == repr(expected[2])


def test_an_audit_says_the_same_of_features_in_a_file(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Scrutiny(cuts=2, cells=1e6)
    expected = audit_features(FEATURES, panel, settings)
    in_files(monkeypatch)
    assert audit_features(FEATURES, panel, settings) == expected
    assert expected.passed


def test_a_full_disk_is_told_of_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(file: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch, "take_room", full)
    monkeypatch.setenv(scratch.FOLDER, str(tmp_path))
    in_files(monkeypatch)
    with pytest.raises(ValueError, match=rf"{tmp_path}: no room .*No space left.* set FACTORGYM_SCRATCH"):
        scratch.empty((3, 4), np.float32)


SCRIPT = """
import sys
import numpy as np
from market.storage import scratch
from market.storage.array_file import release_pages
scratch.LARGE = int(sys.argv[1])
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
before = peak()
array = scratch.empty((2000, 500, 100), np.float32)  # 400 MB
for rows in scratch.day_blocks(array, 32):
    array[rows] = np.arange(len(array))[rows][:, None, None]
copy = scratch.copied(array)
assert all((copy[rows] == np.arange(len(array))[rows][:, None, None]).all() for rows in scratch.day_blocks(copy, 32))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's peak memory")
def test_only_what_is_looked_at_is_in_memory() -> None:
    def peak(large: int) -> int:
        command = [sys.executable, "-c", SCRIPT, str(large)]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert peak(1 << 20) < 300e6 < 780e6 < peak(1 << 40)
