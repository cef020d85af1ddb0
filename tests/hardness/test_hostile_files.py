"""Files that were made to do harm: nothing in them is executed, nothing is written where they point, nothing hangs."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.files import load_json, load_python, write
from configs.schema.demo import Demo
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from configs.values import to_data
from market.panel import Panel
from market.sources.synthetic.source import Synthetic
from market.sources.tables.source import Tables
from market.sources.yahoo.source import YFinance
from market.states import MarketStates
from pipeline import prepare
from tests.hardness.artifacts import KINDS, Artifact, artifacts
from tests.hardness.victims import PRETRAIN, TRADE
from tests.tools import trade_runs
from tools import compare, evaluate, extract_state

METADATA = {"factorgym": json.dumps({"kind": "panel", "version": 1, "fingerprint": "0" * 64})}
WAYS_OUT = ("../../x", "/etc/x", "..", "a/../../b", "C:\\x", "..\\..\\x", "a\0b", "a\nb", "~/x", "$HOME", "x" * 300)
"""Names that would lead somewhere else, if anything made a path of them."""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    return artifacts(tmp_path_factory.mktemp("artifacts"))


def entry(shape: Any, offsets: Any, dtype: Any = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def framed(header: str | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    raw = header.encode() if isinstance(header, str) else header
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def layout(**arrays: Any) -> str:
    return json.dumps({"__metadata__": METADATA, **arrays})


SIGNED, TWO = json.dumps(METADATA), json.dumps(entry([2], [0, 16]))
HEADERS: dict[str, bytes] = {
    "a length beyond the file": framed("{}", length=1 << 20),
    "a length of all there is to address": framed("{}", length=(1 << 64) - 1),
    "a length of half of it": framed("{}", length=1 << 63),
    "a length of 100 MB": framed("{}", length=100_000_000),
    "no header": framed("", length=0),
    "not JSON": framed("{" * 50),
    "not UTF-8": framed(b'{"\xff\xfe": 1}'),
    "deep JSON": framed("[" * 100_000 + "]" * 100_000),
    "deep JSON in the metadata": framed('{"__metadata__": ' + '{"a":' * 50_000 + "1" + "}" * 50_001),
    "deep JSON in our header": framed(json.dumps({"__metadata__": {"factorgym": "[" * 100_000}})),
    "a list": framed("[]"),
    "offsets beyond the data": framed(layout(values=entry([4], [0, 32])), b"\0" * 16),
    "overlapping offsets": framed(layout(a=entry([2], [0, 16]), b=entry([2], [8, 24])), b"\0" * 24),
    "a hole between offsets": framed(layout(a=entry([2], [0, 16]), b=entry([2], [24, 40])), b"\0" * 40),
    "negative offsets": framed(layout(a=entry([2], [-16, 0])), b"\0" * 16),
    "offsets that run back": framed(layout(a=entry([2], [16, 0])), b"\0" * 16),
    "offsets of text": framed(layout(a=entry([2], ["0", "16"])), b"\0" * 16),
    "a negative shape": framed(layout(a=entry([-2], [0, 16])), b"\0" * 16),
    "a shape that overflows": framed(layout(a=entry([1 << 32, 1 << 32], [0, 0]))),
    "a shape of nothing times everything": framed(layout(a=entry([0, 1 << 62], [0, 0]))),
    "a shape unlike the offsets": framed(layout(a=entry([3], [0, 16])), b"\0" * 16),
    "a deep shape": framed(layout(a=entry([1] * 100_000, [0, 8])), b"\0" * 8),
    "an unknown type": framed(layout(a=entry([2], [0, 16], "OBJECT")), b"\0" * 16),
    "a type that is code": framed(layout(a=entry([2], [0, 16], "__import__('os')")), b"\0" * 16),
    "one name twice": framed(f'{{"__metadata__": {SIGNED}, "a": {TWO}, "a": {TWO}}}', b"\0" * 16),
    "the metadata twice": framed(f'{{"__metadata__": {SIGNED}, "__metadata__": {{"factorgym": "{{}}"}}}}'),
    "metadata that is no text": framed('{"__metadata__": {"factorgym": {"kind": "panel"}}}'),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", HEADERS)
def test_a_hostile_header_is_refused_by_the_name_of_the_file(
    what: str, kind: str, known: dict[str, Artifact], tmp_path: Path
) -> None:
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(HEADERS[what])
    with pytest.raises(ValueError, match=r"hostile") as caught:
        known[kind].read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.write_text, (self.trace, "executed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_zip_or_a_pickle_under_our_name_is_refused_and_not_run(
    kind: str, known: dict[str, Artifact], tmp_path: Path
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "renamed.safetensors"
    bomb = pickle.dumps(Bomb(trace))
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:  # as torch.save writes
        archive.writestr("archive/data.pkl", bomb)
    np.save(tmp_path / "array.npy", np.array([Bomb(trace)], dtype=object), allow_pickle=True)
    for content in (bomb, (tmp_path / "zip").read_bytes(), (tmp_path / "array.npy").read_bytes(), b"#!/bin/sh\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"renamed"):
            known[kind].read(path)
    assert not trace.exists()
    pickle.loads(bomb)  # noqa: S301 - the bomb is ours, and it must be able to go off for this test to mean anything
    assert trace.exists()


CODE = "__import__('pathlib').Path('trace').write_text('executed')"


@pytest.mark.parametrize(
    "data",
    [
        {"class": "os.system", "command": "touch trace"},
        {"class": "subprocess.Popen", "args": ["touch", "trace"]},
        {"class": "builtins.eval", "source": CODE},
        {"class": "configs.schema.prepare.Prepare.__init__", "name": "x"},
        {"class": "configs.schema.prepare.os", "name": "x"},
        {"class": "configs.files.runpy", "name": "x"},
        {"class": "market.storage.array_file.Path", "args": ["trace"]},
        {"class": "market..panel", "name": "x"},
        {"class": "market.panel.__builtins__", "name": "x"},
        {"class": "marketing.evil.Evil", "name": "x"},
        {"class": f"configs.schema.{CODE}", "name": "x"},
        {"class": ["market.panel", "Panel"], "name": "x"},
        {"class": {"class": "os.system"}},
        {"class": None},
        {},
        [],
        "x",
        7,
        None,
    ],
    ids=str,
)
def test_a_config_that_names_foreign_classes_or_code_is_refused(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for schema, whole in ((Prepare, Prepare(name="x", source=Synthetic())), (Pretrain, PRETRAIN), (Trade, TRADE)):
        for content in (data, {**to_data(whole), next(k for k, v in to_data(whole).items() if type(v) is dict): data}):
            path = tmp_path / "config.json"
            path.write_text(json.dumps(content))
            with pytest.raises(ValueError, match=r"config\.json: ") as caught:
                load_json(path, schema)
            assert "\n" not in str(caught.value)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\0", "", "{", '{"class": NaN}', "ÿ"])
def test_a_config_that_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"config\.json: "):
        load_json(path, Trade)


@pytest.mark.parametrize(
    "text", ['"; import os; os.system("touch trace")', "'''", "\\", "{CODE}", "\n\nimport os", "💣"]
)
def test_a_text_in_a_config_stays_a_text_when_it_is_written_as_python(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = Prepare(name="x", source=Tables(path=text))
    write(experiment, tmp_path)
    assert load_python(tmp_path / "config.py", Prepare) == experiment
    assert load_json(tmp_path / "config.json", Prepare) == experiment
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", [name for name in WAYS_OUT if name not in ("$HOME", "x" * 300)])
def test_a_run_cannot_be_named_out_of_its_folder(name: str, tmp_path: Path) -> None:
    for schema, whole in ((Prepare, Prepare(name="x", source=Synthetic())), (Pretrain, PRETRAIN), (Trade, TRADE)):
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**to_data(whole), "name": name}))
        with pytest.raises(ValueError, match=r"config\.json: .*names a folder"):
            load_json(path, schema)
    with pytest.raises(ValueError, match="names a folder"):
        Demo(Prepare(name="x", source=Synthetic()), PRETRAIN, (TRADE,), name=name)
    with pytest.raises(ValueError, match="names a folder"):
        compare.main(["--name", name, "--runs", str(tmp_path)])
    run = tmp_path / "run"
    write(PRETRAIN, run)
    with pytest.raises(ValueError, match=r"names a folder|model\.safetensors: no such file"):
        extract_state.main(["--run", str(run), "--name", name, "--workdir", str(tmp_path / "work")])
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", WAYS_OUT)
def test_a_ticker_cannot_lead_out_of_the_cache(name: str) -> None:
    with pytest.raises(ValueError, match="is not one of Yahoo's"):
        YFinance(tickers=(name,), start="2020-01-01")


def test_assets_may_be_called_anything_and_nothing_is_written_where_they_point(tmp_path: Path) -> None:
    frame = Synthetic(stocks=len(WAYS_OUT), days=60).read()
    names = dict(zip(sorted(frame["symbol"].unique()), WAYS_OUT, strict=True))
    panel = Panel.from_frame(frame.assign(symbol=frame["symbol"].map(names)))
    panel.save(tmp_path / "deep" / "deeper" / "panel.safetensors")
    assert set(Panel.load(tmp_path / "deep" / "deeper" / "panel.safetensors").assets) == set(WAYS_OUT)
    assert files_under(tmp_path) == {"deep/deeper/panel.safetensors"}


def test_a_table_of_such_names_is_prepared_or_refused_and_stays_in_its_folder(tmp_path: Path) -> None:
    frame = Synthetic(stocks=2, days=60).read()
    for k, name in enumerate(WAYS_OUT):
        table = tmp_path / "table.parquet"
        frame.assign(symbol=name).drop_duplicates(["date", "symbol"]).to_parquet(table)
        experiment = Prepare(name=f"x{k}", source=Tables(path=str(table)))
        if not name.isprintable():
            with pytest.raises(ValueError, match=r"table\.parquet, row 0: the symbol .* holds control characters"):
                prepare(experiment, tmp_path / "deep" / "work", overwrite=False)
            continue
        assert prepare(experiment, tmp_path / "deep" / "work", overwrite=False).panel.assets == (name,)
    expected = {"config.json", "config.py", "panel.safetensors", "quality.json"}
    found = {name for name in files_under(tmp_path) if not name.endswith(".lock")} - {"table.parquet"}
    plain = [k for k, name in enumerate(WAYS_OUT) if name.isprintable()]
    assert found == {f"deep/work/data/x{k}/{name}" for k in plain for name in expected}


@pytest.mark.slow
def test_a_run_on_such_assets_stays_in_its_folder_up_to_its_report(tmp_path: Path) -> None:
    workdir = tmp_path / "deep" / "deeper" / "work"
    panel, states = trade_runs.market(workdir)
    names = ("../../x", "/etc/x", "C:\\x", "a\nb", "<script>alert(1)</script>$\\frac$")
    renamed = Panel.load(panel)
    values = {field: np.array(getattr(renamed, field)) for field in ("values", "listed", "tradable")}
    Panel(renamed.dates, names, renamed.fields, source=renamed.source, **values).save(panel)
    seen = MarketStates.load(states)
    MarketStates(**{**vars(seen), "assets": names, "asset": np.array(seen.asset)}).save(states)
    outside = files_under(tmp_path) - files_under(workdir, tmp_path)
    run = trade_runs.trained(workdir, seeds=(0,))
    evaluate.main(["--run", str(run), "--workdir", str(workdir)])
    page = (workdir / "evaluate" / run.name / "report.html").read_text()
    assert "<script>alert" not in page
    assert files_under(tmp_path) - files_under(workdir, tmp_path) == outside


def files_under(folder: Path, base: Path | None = None) -> set[str]:
    return {str(path.relative_to(base or folder)) for path in folder.rglob("*") if path.is_file()}
