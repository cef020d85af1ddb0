"""What the README shows of extending the library, as files: each runs by itself, and the encoder passes its suite."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SNIPPETS = sorted((ROOT / "tests" / "snippets").glob("*.py"))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda path: path.stem)
def test_it_runs_as_it_stands(snippet: Path, tmp_path: Path) -> None:
    is_test = "class Test" in snippet.read_text(encoding="utf-8")
    how, where = (["-m", "pytest", "-q"], ROOT) if is_test else ([], tmp_path)
    command = [sys.executable, *how, str(snippet)]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
