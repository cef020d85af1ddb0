"""Files name classes by package and name, old names are understood, and foreign code runs only where it is trusted."""

import contextvars
import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from configs import aliases, classes, files, values
from configs.classes import public_name, trusting
from configs.values import from_data, to_data, upgraded, with_fields
from encoders.quantizers import EMA
from encoders.storm.branches import StormSizes
from envs import Costs, SellHoldBuy
from market.prices.labels import Label
from market.sources.synthetic import Events
from tools import extract_state

ROOT = Path(__file__).parents[2]
FOREIGN = """
from dataclasses import dataclass
from pathlib import Path

Path({sentinel!r}).write_text("this module was imported")

@dataclass(frozen=True)
class Mine:
    lookback: int = 5

class Plain:
    pass
"""


@dataclass(frozen=True)
class Held:
    size: int = 8


@dataclass(frozen=True)
class Holder:
    name: str
    held: Held = Held()
    rate: float = 0.5


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package outside the library; the file that its import leaves is returned."""
    sentinel = tmp_path / "sentinel"
    package = tmp_path / "strangers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(FOREIGN.format(sentinel=str(sentinel)))
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("strangers", "strangers.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return sentinel


def test_a_class_is_named_by_its_package_and_not_by_its_module() -> None:
    assert public_name(StormSizes) == "encoders.StormSizes"
    assert public_name(EMA) == "encoders.EMA"
    assert public_name(SellHoldBuy) == "envs.SellHoldBuy"
    assert to_data(Costs())["class"] == "envs.Costs"


def test_an_address_of_a_module_that_moved_still_finds_its_class() -> None:
    old = {**to_data(Label()), "class": "market.a_module.that_is.long_gone.Label"}
    assert from_data(old, Label) == Label()


def test_a_renamed_class_is_found_by_its_old_name_and_by_its_old_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "CLASSES", {"market.Target": "market.Label", "market.b.Aim": "market.Label"})
    for name in ("market.Target", "market.a.b.Target", "market.b.Aim"):
        assert from_data({**to_data(Label()), "class": name}, Label) == Label()
    with pytest.raises(ValueError, match=r"no configuration class 'market\.c\.Aim'"):
        from_data({"class": "market.c.Aim"}, Label)


def test_of_two_classes_with_one_name_the_address_tells_which(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = type("Events", (), {"__module__": "market.twins"})
    twin = dataclass(frozen=True)(twin)
    module = ModuleType("market.twins")
    module.Events = twin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "market.twins", module)
    monkeypatch.setattr(
        classes, "library_classes", lambda _: {"Events": ["market.sources.synthetic.source", "market.twins"]}
    )
    classes._names.clear()
    try:
        assert public_name(Events) == "market.sources.synthetic.source.Events"
        assert isinstance(from_data({"class": "market.twins.Events"}, Any), twin)
        assert from_data(to_data(Events()), Events) == Events()
        with pytest.raises(ValueError, match=r"no configuration class 'market\.Events'"):
            from_data({"class": "market.Events"}, Any)
    finally:
        classes._names.clear()


def test_a_moved_field_is_read_from_its_old_place(monkeypatch: pytest.MonkeyPatch) -> None:
    holder, old = public_name(Holder), {"size": "held.size", "speed": "rate", "gone": "held.nothing"}
    monkeypatch.setattr(values, "FIELDS", {holder: old})
    data = to_data(Holder("x"))
    del data["rate"]
    with trusting("tests"):
        found = from_data({**data, "size": 32, "speed": 0.25, "gone": 3}, Holder)
    assert found == Holder("x", Held(32), 0.25)
    assert with_fields(Holder("x"), {"size": 64, "speed": 1.0}) == Holder("x", Held(64), 1.0)


def test_every_alias_leads_to_a_class_and_a_field_of_today() -> None:
    for new in aliases.CLASSES.values():
        classes.find_class(new, "aliases")
    for name, places in aliases.FIELDS.items():
        fields = classes.find_class(name, "aliases").__dataclass_fields__  # type: ignore[attr-defined]
        assert {place.partition(".")[0] for place in places.values() if place} <= set(fields)


def test_a_missing_field_takes_its_default_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    data = to_data(Label(horizon=3))
    del data["fill"]
    with caplog.at_level(logging.INFO):
        assert from_data(data, Label) == Label(horizon=3)
    assert [record.getMessage() for record in caplog.records] == [
        f"config: Label.fill is not written, it takes its default {Label().fill!r}"
    ]


def test_a_typo_in_a_class_says_what_was_meant() -> None:
    with pytest.raises(ValueError, match=r"no configuration class 'market\.Labl'; did you mean 'market\.Label'"):
        from_data({"class": "market.Labl"}, Label)


def test_a_file_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    files.write(Label(), tmp_path)
    path = tmp_path / "config.json"
    assert next(iter(json.loads(path.read_text()))) == "format"
    for wrong in (files.FORMAT + 1, 0, "1", True, None):
        path.write_text(json.dumps({**to_data(Label()), "format": wrong}))
        with pytest.raises(ValueError, match="config: format is"):
            files.load_json(path, Label)


def test_a_class_of_a_stranger_is_not_even_imported(stranger: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for name in ("strangers.models.Mine", "strangers.models", "strangers.models.Plain"):
        path.write_text(json.dumps({"class": name}))
        for schema in (Label, object):
            with pytest.raises(ValueError, match="--trust strangers"):
                files.load_json(path, schema)
            with pytest.raises(ValueError, match="--trust strangers"):
                files.load_json(path, schema, trust=("strange", "models", "os"))
    assert not stranger.exists()
    assert "strangers" not in sys.modules


def test_a_class_of_a_trusted_package_makes_the_whole_way(stranger: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"format": 1, "class": "strangers.models.Mine", "lookback": 7}))
    mine = files.load_json(path, object, trust=("strangers",))
    assert stranger.exists()
    files.write(mine, tmp_path)
    assert "from strangers.models import Mine" in (tmp_path / "config.py").read_text()
    assert files.load_python(tmp_path / "config.py", object) == mine
    assert files.difference(path, mine) is None  # what runs already needs no trust to be continued
    with pytest.raises(ValueError, match="--trust strangers"):
        files.load_json(path, object)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "marketplace.Evil",
        "configs.files.write",
        "configs.load_json",
        "market.prices.labels.np",
        "market.panel.Panel.load",
        "encoders.storm.model.StormEncoder",
        "market..Label",
        "market.prices.labels.Label()",
        "market",
        "",
        None,
        3,
        ["market.Label"],
        "../market.Label",
        "market/labels.Label",
    ],
)
def test_a_name_that_is_no_config_class_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="class"):
        from_data({"class": name}, Any)


@pytest.mark.parametrize("name", ["os.system", "os.PathLike", "os.path.join", "os.stat_result", "os.nothing"])
def test_trust_makes_no_dataclass_of_what_is_none(name: str) -> None:
    with trusting("os"), pytest.raises(ValueError, match=r"no dataclass|cannot be imported"):
        from_data({"class": name}, Any)


def test_a_class_of_a_notebook_works_within_its_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    main = ModuleType("__main__")
    namespace = {"__name__": "__main__", "dataclass": dataclass}
    exec("@dataclass(frozen=True)\nclass Own:\n    width: int = 3\n", namespace)
    main.Own = namespace["Own"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    own = main.Own(width=4)
    files.write(own, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["class"] == "__main__.Own"
    assert files.load_json(tmp_path / "config.json", object, trust=("__main__",)) == own
    with pytest.raises(ValueError, match="--trust __main__"):
        files.load_json(tmp_path / "config.json", object)
    del main.Own
    with pytest.raises(ValueError, match="no dataclass"):
        files.load_json(tmp_path / "config.json", object, trust=("__main__",))


def test_trust_ends_with_its_context(stranger: Path) -> None:
    with trusting("strangers"):
        from_data({"class": "strangers.models.Mine"}, Any)
    with pytest.raises(ValueError, match="--trust"):
        from_data({"class": "strangers.models.Mine"}, Any)


def test_the_command_line_refuses_and_trusts(stranger: Path, tmp_path: Path) -> None:
    run = tmp_path / "pretrain" / "theirs"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"class": "strangers.models.Mine"}))
    with pytest.raises(ValueError, match="--trust strangers"):
        extract_state.main(["--run", str(run)])
    assert not stranger.exists()
    command = [sys.executable, "-m", "tools.extract_state", "--run", str(run)]
    env = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": ""}
    told = subprocess.run([*command, "--trust", "strangers"], capture_output=True, text=True, env=env, cwd=ROOT)
    assert "config is a Mine, expected a Pretrain" in told.stderr.replace("expected Pretrain", "expected a Pretrain")
    assert stranger.exists()


def test_trust_names_packages_on_any_command(tmp_path: Path) -> None:
    from tools.cli import plain

    @dataclass(frozen=True)
    class Options:
        """Options."""

        run: str = ""

    def trusted() -> frozenset[str]:
        found = plain(Options, ["--trust", "one", "--run", "x", "--trust=two"])
        assert found == Options(run="x")
        return classes._trusted.get()

    assert contextvars.copy_context().run(trusted) >= {"one", "two"}
    with pytest.raises(ValueError, match=r"--trust is '\.\./x'"):
        plain(Options, ["--trust", "../x"])


def test_settings_of_an_older_version_are_written_as_today() -> None:
    old = {"class": "market.prices.labels.Label", "fill": "close", "horizon": 2}
    assert upgraded(old) == to_data(Label(fill="close", horizon=2))
