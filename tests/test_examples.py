"""The examples run as they stand, from any folder; the notebook cell by cell."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def run(script: Path, folder: Path) -> None:
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples() -> None:
    assert {"own_encoder", "own_feature", "own_reward", "own_agent", "own_gradient"} <= {path.stem for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs_as_it_stands(script: Path, tmp_path: Path) -> None:
    if script.stem.startswith("torchrl"):
        pytest.importorskip("torchrl", reason="TorchRL is no dependency")
    run(script, tmp_path)


def test_the_page_on_agents_runs_from_top_to_bottom(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "journeys" / "own_agent.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(code) >= 4
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(code).replace("50_000", "5_000"), encoding="utf-8")
    run(script, tmp_path)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook: Path, tmp_path: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join(code), encoding="utf-8")
    run(script, tmp_path)
