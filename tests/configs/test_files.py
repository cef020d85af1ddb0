"""Experiments survive the trip to disk, as Python and as data, and mistakes are answered with what was meant."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import files
from configs.schema.prepare import Prepare
from configs.values import from_data, to_data
from market.prices.labels import Label
from market.splits import Split

ROOT = Path(__file__).parents[2]
SPLIT = Split(train=("2008-04-01", "2019-03-29"), valid=("2019-04-08", "2021-03-31"), test=("2021-04-08", "2024-03-28"))

LABEL = "from market.prices.labels import Label\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_both_files_reproduce_the_value(tmp_path: Path) -> None:
    files.write(SPLIT, tmp_path)
    assert files.load_json(tmp_path / "config.json", Split) == SPLIT
    assert files.load_python(tmp_path / "config.py", Split) == SPLIT
    assert files.load_json(tmp_path / "config.json", Split) != replace(SPLIT, train=("2009-04-01", "2019-03-29"))


@given(horizon=st.integers(1, 60), fill=st.sampled_from(["close", "next_open", "next_close"]))
def test_any_label_survives(horizon: int, fill: str) -> None:
    label = Label(fill=fill, horizon=horizon)  # type: ignore[arg-type]
    assert from_data(json.loads(json.dumps(to_data(label))), Label) == label


def test_a_typo_in_a_python_config_says_what_was_meant(tmp_path: Path) -> None:
    path = written(tmp_path / "x.py", "from market.prices.labels import Label\nexperiment = Label(horizn=3)\n")
    with pytest.raises(ValueError, match=r"x\.py: Label has no field 'horizn'; did you mean 'horizon'\?"):
        files.load_python(path, Label)


def test_a_missing_config_names_its_neighbour(tmp_path: Path) -> None:
    written(tmp_path / "dj30.py", "")
    with pytest.raises(ValueError, match=r"no such config file; did you mean .*dj30\.py\?"):
        files.load_python(tmp_path / "dj3.py", Label)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("experiment = 3", "experiment is a int, this tool takes a Label"),
        ("other = 3", "defines no 'experiment'"),
        ("experiment = (", "SyntaxError"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("from no_such_module.at_all import x", "put the folder that holds it on PYTHONPATH"),
        (f"{LABEL}experiment = Label(horizon=1.5)", "experiment.horizon is 1.5, expected int"),
        (f"{LABEL}experiment = Label(horizon=True)", "experiment.horizon is True, expected int"),
    ],
)
def test_a_wrong_python_config_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        files.load_python(written(tmp_path / "c.py", text), Label)
    assert "\n" not in str(caught.value)


def test_data_cannot_name_foreign_code(tmp_path: Path) -> None:
    for name in ("os.system", "subprocess.Popen", "marketplace.Evil", "configs.files.write", "market.prices.labels.np"):
        path = written(tmp_path / "config.json", json.dumps({"class": name, "args": "true"}))
        with pytest.raises(ValueError, match="class"):
            files.load_json(path, Label)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizn": 1}, "did you mean 'horizon'"),
        ({"horizon": "5"}, r"config\.horizon is '5', expected int"),
        ({"horizon": True}, "expected int"),
        ({"fill": "noon"}, "expected one of 'close', 'next_open', 'next_close'"),
        ({"class": "market.splits.Split"}, "no field"),
    ],
)
def test_wrong_data_names_the_place(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = written(tmp_path / "config.json", json.dumps({**to_data(Label()), **change}))
    with pytest.raises(ValueError, match=message):
        files.load_json(path, Label)


def test_a_missing_field_is_refused(tmp_path: Path) -> None:
    data = to_data(SPLIT)
    del data["valid"]
    with pytest.raises(ValueError, match="Split lacks valid, which has no default"):
        files.load_json(written(tmp_path / "config.json", json.dumps(data)), Split)


def test_a_class_of_the_config_file_itself_is_refused_when_writing(tmp_path: Path) -> None:
    text = (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Mine:\n    x: int = 1\nexperiment = Mine()\n"
    )
    value = files.load_python(written(tmp_path / "c.py", text), object)
    with pytest.raises(
        ValueError, match=r"Mine is defined in a config file, .*move it to a file of its own that can be imported"
    ):
        files.source_text(value)


@dataclass(frozen=True)
class Odd:
    entries: list[int] = field(default_factory=list)


def test_only_plain_values_are_written() -> None:
    with pytest.raises(ValueError, match="use plain values"):
        to_data(Odd())


def test_a_shipped_config_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert files.load_python("configs/prepare/bundled.py", Prepare).name == "bundled"
    with pytest.raises(ValueError, match=r"^configs/prepare/bundeld\.py: no such config file"):
        files.load_python("configs/prepare/bundeld.py", Prepare)
    (tmp_path / "configs" / "prepare").mkdir(parents=True)
    own = tmp_path / "configs" / "prepare" / "bundled.py"
    own.write_text((ROOT / "configs/prepare/bundled.py").read_text().replace('"bundled"', '"own"'))
    assert files.load_python("configs/prepare/bundled.py", Prepare).name == "own"  # a file of that path comes first
