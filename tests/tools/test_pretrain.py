"""tools.pretrain and tools.extract_state: from a config file to audited states, killed, continued, refused."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tools.extract_state as extract_state
import tools.pretrain as pretrain
from encoders.base import Encoding
from encoders.storm.model import StormEncoder
from encoders.windows import Window
from market.forecasts import ForecastRecord, Forecasts
from market.panel import Panel
from market.sources.synthetic.source import Synthetic
from market.states import MarketStates
from market.storage.ledger import Ledger
from pipeline.results import PretrainResult
from tools.tables import MEASURES, PORTFOLIO_MEASURES, show_encoder

ROOT = Path(__file__).parents[2]
CONFIG = """
from agents.baselines.simple import TopKDropN
from configs.schema.pretrain import Pretrain
from encoders.training.optim import Optim
from encoders.quantizers import Learnable
from encoders.storm.model import Storm
from encoders.storm.branches import StormSizes
from market.features import Formulas
from market.features.table import Feature
from market.splits import Split

experiment = Pretrain(
    name="tiny",
    panel={panel!r},
    encoder=Storm(
        lookback=8,
        quantizer=Learnable(codebook_size=8),
        sizes=StormSizes(dim=8, depth=1, decoder_depth=1, heads=2, asset_state=4, market_state=4),
    ),
    features=Formulas((Feature("move", "close / delay(close, 1) - 1"), Feature("range", "high / low - 1"))),
    split=Split(
        train=("2010-01-04", "2010-07-30"), valid=("2010-08-09", "2010-10-29"), test=("2010-11-08", "2010-12-31")
    ),
    portfolio=TopKDropN(k=2, n_drop=1),
    optim=Optim(epochs=3, batch_size=16, learning_rate=3e-3, precision="fp32", save_every=2),
)
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    return Panel.from_frame(Synthetic(stocks=8, days=270).read())


@pytest.fixture
def config(tmp_path: Path, market: Panel) -> Path:
    market.save(tmp_path / "panel.safetensors")
    path = tmp_path / "tiny.py"
    path.write_text(CONFIG.format(panel=str(tmp_path / "panel.safetensors")))
    return path


def command(config: Path, workdir: str, *more: str) -> list[str]:
    return ["--config", str(config), "--workdir", str(config.parent / workdir), *more]


def test_from_prices_to_audited_states_and_on(config: Path, market: Panel, capsys: pytest.CaptureFixture[str]) -> None:
    pretrain.main(command(config, "work"))
    run = config.parent / "work" / "pretrain" / "tiny"
    names = {"config.py", "config.json", "model.safetensors", "last", "metrics.json", "history.jsonl", "tensorboard"}
    names |= {"forecasts.safetensors", "features.json", "audit.json"}
    assert {path.name for path in run.iterdir()} == names
    shown = capsys.readouterr().out
    assert "rank_ic" in shown
    assert " test " not in shown, "test days are looked at by evaluation alone"
    metrics = json.loads((run / "metrics.json").read_text())
    assert "test" not in metrics
    traded = metrics["valid"]["portfolio"]
    assert traded["n_days"] == market.rows("2010-08-09", "2010-10-29").stop - market.rows("2010-08-09").start - 1
    assert traded["cost_paid"] > 0
    with pytest.raises(ValueError, match=r"this run is finished; .*--overwrite"):
        pretrain.main(command(config, "work"))

    extract = ["--run", str(run), "--workdir", str(config.parent / "work")]
    extract_state.main(extract)
    folder = config.parent / "work" / "states" / "tiny"
    before = MarketStates.load(folder / "states.safetensors")
    assert before.audited
    assert json.loads((folder / "audit.json").read_text())["checks"]["scaler"] == "passed"
    assert before.asset.shape == (*market.shape[:2], 4)

    longer = Panel.from_frame(Synthetic(stocks=8, days=280).read())
    values = np.array(longer.values)
    values[: len(market)] = market.values
    appended = Panel(longer.dates, longer.assets, longer.fields, values, *_masks(market, longer))
    appended.save(config.parent / "panel.safetensors")
    extract_state.main(extract)
    after = MarketStates.load(folder / "states.safetensors")
    assert len(after.dates) == 280
    np.testing.assert_array_equal(after.asset[:270], before.asset)
    assert after.mask[-1].any()

    values = np.array(appended.values)
    values[275] *= 1.5
    Panel(longer.dates, longer.assets, longer.fields, values, *_masks(market, longer)).save(
        config.parent / "panel.safetensors"
    )
    with pytest.raises(ValueError, match=r"first 280 days of the panel hold other values .*--overwrite"):
        extract_state.main(extract)
    extract_state.main([*extract, "--overwrite"])
    longer.select(longer.assets[:6]).save(config.parent / "panel.safetensors")
    with pytest.raises(ValueError, match=r"trained on another panel: it has 6 assets"):
        extract_state.main(extract)


def _masks(market: Panel, longer: Panel) -> list[np.ndarray]:
    masks = []
    for name in ("listed", "tradable"):
        mask = np.array(getattr(longer, name))
        mask[: len(market)] = getattr(market, name)
        masks.append(mask)
    return masks


@pytest.mark.slow
def test_a_run_killed_by_the_system_ends_as_if_it_had_not_been(config: Path) -> None:
    pretrain.main(command(config, "whole"))
    tool = [sys.executable, "-m", "tools.pretrain", *command(config, "killed")]
    process = subprocess.Popen(tool, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = config.parent / "killed" / "pretrain" / "tiny"
    deadline = time.monotonic() + 120
    while not (folder / "last" / "state.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "metrics.json").exists(), "the run was over before it could be killed"
    pretrain.main(command(config, "killed"))
    whole = config.parent / "whole" / "pretrain" / "tiny"
    for name in ("model.safetensors", "last/state.safetensors", "metrics.json", "history.jsonl"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_both_bounds_of_an_interval_stand_under_the_part_that_they_are_of(capsys: pytest.CaptureFixture[str]) -> None:
    one = dict.fromkeys(MEASURES, 0.1) | {"portfolio": dict.fromkeys(PORTFOLIO_MEASURES, 0.1)}
    parts = {"valid": one | {"rank_ic_ci": [0.01, 0.02]}, "test": one | {"rank_ic_ci": [-0.03, 0.04]}}
    metrics = {"best_epoch": 0, "n_epochs": 1, "train": {"codebooks": {}}}
    show_encoder(PretrainResult(Path("run"), metrics | parts))
    show_encoder(PretrainResult(Path("run"), metrics | {"valid": parts["valid"]}))
    lines = capsys.readouterr().out.splitlines()
    two, alone = (re.findall(r"-?\d\.\d+ to -?\d\.\d+", line) for line in lines if "95 % interval" in line)
    assert two == ["0.0100 to 0.0200", "-0.0300 to 0.0400"]
    assert alone == two[:1]
    heads = [line.split() for line in lines if "measure" in line]
    assert [("test" in " ".join(head)) for head in heads] == [True, False]


def test_the_test_days_are_judged_where_asked_and_counted_beside_the_panel(config: Path) -> None:
    ledger = Ledger.beside(config.parent / "panel.safetensors")
    before = len(ledger.looks())
    pretrain.main(command(config, "asked", "--test"))
    metrics = json.loads((config.parent / "asked" / "pretrain" / "tiny" / "metrics.json").read_text())
    assert metrics["test"]["n_days"] > 0
    looks = ledger.looks()
    assert len(looks) > before
    assert {(one.stage, one.part) for one in looks} >= {("pretrain", "valid"), ("pretrain", "test")}
    tests = sum(one.part == "test" for one in looks)
    pretrain.main(command(config, "again", "--test"))  # another working directory starts no count anew
    assert sum(one.part == "test" for one in ledger.looks()) == tests + 1


@pytest.mark.slow
def test_it_runs_as_a_file_too_and_a_mistake_is_one_line(config: Path) -> None:
    tool = [sys.executable, str(ROOT / "tools" / "pretrain.py"), *command(config, "work", "--panel", "nowhere")]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("or correct the path")
    assert "Traceback" not in done.stderr


def test_another_configuration_needs_overwrite(config: Path) -> None:
    folder = config.parent / "work" / "pretrain" / "tiny"
    pretrain.main(command(config, "work", "--optim.epochs", "1"))
    (folder / "metrics.json").unlink()  # as if it had been interrupted
    with pytest.raises(ValueError, match=r"started with optim.epochs 1, now 3; .*--overwrite"):
        pretrain.main(command(config, "work"))
    pretrain.main(command(config, "work", "--overwrite"))
    assert json.loads((folder / "metrics.json").read_text())["n_epochs"] == 3
    assert not [path for path in folder.parent.iterdir() if path.name.endswith(".old")]


def test_the_title_counts_the_best_epoch_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    one = dict.fromkeys(MEASURES, 0.1) | {"portfolio": dict.fromkeys(PORTFOLIO_MEASURES, 0.1), "rank_ic_ci": None}
    show_encoder(
        PretrainResult(Path("run"), {"best_epoch": 1, "n_epochs": 2, "train": {"codebooks": {}}, "valid": one})
    )
    assert "best epoch 2 of 2" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("rank_ic", "said"), [(0.738, True), (0.05, False)])
def test_a_forecast_that_is_too_good_is_told_of(rank_ic: float, said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    one = dict.fromkeys(MEASURES, 0.1) | {"portfolio": dict.fromkeys(PORTFOLIO_MEASURES, 0.1), "rank_ic_ci": None}
    parts = {"valid": one | {"rank_ic": rank_ic}}
    show_encoder(PretrainResult(Path("run"), {"best_epoch": 0, "n_epochs": 1, "train": {"codebooks": {}}} | parts))
    line = "A rank_ic of 0.74 is far beyond that: on real prices, look for a column that knows the future."
    assert (line in capsys.readouterr().out) is said


@pytest.mark.parametrize(
    ("n_assets", "line"),
    [(1, "one asset has no cross-section, so there is no rank IC"), (2, "2 assets are too few for a rank IC"), (3, "")],
)
def test_a_panel_without_a_cross_section_is_told_why_it_has_no_rank_ic(
    n_assets: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel = Panel.from_frame(Synthetic(stocks=3, days=40).read())
    panel = panel.select(panel.assets[:n_assets])
    unknown = np.full((40, n_assets), np.nan, np.float32)
    forecasts = Forecasts(unknown, unknown, np.ones((40, n_assets), np.bool_))
    ForecastRecord.of(panel, {"valid": forecasts}, {"valid": slice(30, 40)}).save(tmp_path / "forecasts.safetensors")
    one = dict.fromkeys((*MEASURES, "rank_ic_ci")) | {"portfolio": dict.fromkeys(PORTFOLIO_MEASURES, 0.1)}
    show_encoder(PretrainResult(tmp_path, {"best_epoch": 0, "n_epochs": 1, "train": {"codebooks": {}}, "valid": one}))
    said = capsys.readouterr().out
    assert line in said
    assert ("rank IC" in said) is (n_assets < 3)


def test_a_portfolio_of_every_asset_is_warned_of_and_the_audit_announced(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pretrain.main(command(config, "narrow", "--portfolio.k", "7", "--optim.epochs", "1"))
    assert "portfolio: k = " not in caplog.text
    assert "auditing the inputs: 270 days, 8 assets" in caplog.text
    pretrain.main(command(config, "wide", "--portfolio.k", "8", "--optim.epochs", "1"))
    assert "portfolio: k = 8 of 8 assets holds every asset" in caplog.text


def test_a_missing_panel_names_the_command_that_makes_it(config: Path) -> None:
    missing = str(config.parent / "data" / "csi300" / "panel.safetensors")
    with pytest.raises(ValueError, match=r"no such file; make it with factorgym prepare .*configs/prepare/csi300\.py"):
        pretrain.main(command(config, "work", "--panel", missing))
    with pytest.raises(ValueError, match=r"factorgym prepare --config configs/prepare/\.\.\. or correct the path"):
        pretrain.main(command(config, "work", "--panel", "nowhere"))
    assert not (config.parent / "work").exists()


def test_an_encoder_whose_forward_fails_is_one_line_before_the_audit(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: StormEncoder, window: Window) -> Encoding:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied\nmuch more")

    monkeypatch.setattr(StormEncoder, "forward", broken)
    told = r"^StormEncoder\.forward fails on a window of shape \(B, L, N, F\) = \(2, 8, 8, 2\): RuntimeError: mat1"
    with pytest.raises(ValueError, match=told) as caught:
        pretrain.main(command(config, "broken"))
    said = str(caught.value)
    assert said.endswith("; run encoders.testing.check_encoder")
    assert "much more" not in said
    assert not (config.parent / "broken" / "pretrain" / "tiny" / "audit.json").exists()
