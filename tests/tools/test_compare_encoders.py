"""tools.compare on pretraining configs: seeds, what is finished, what was interrupted, and refused questions."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from agents.baselines.simple import TopKDropN
from configs.files import load_python, source_text
from configs.schema.pretrain import Pretrain
from encoders.baselines.gru import GRU
from encoders.baselines.ridge import Ridge
from encoders.training.optim import Optim
from evaluation.prediction import prediction_metrics
from market.features import Formulas
from market.features.table import Feature
from market.forecasts import ForecastRecord
from market.panel import Panel
from market.prices.labels import Label
from market.sources.synthetic.source import Synthetic
from market.splits import Split
from market.storage.ledger import Ledger
from pipeline.encoder_comparison import pretrain_all, with_seeds
from pipeline.results import PretrainResult
from tests.browser import browser, opened, undrawn_figures
from tools.compare import main


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workdir")
    Panel.from_frame(Synthetic(stocks=8, days=270).read()).save(folder / "panel.safetensors")
    return folder


def ridge(workdir, **changes):
    tiny = Pretrain(
        name="tiny_ridge",
        panel=str(workdir / "panel.safetensors"),
        encoder=Ridge(),
        features=Formulas((Feature("move", "close / delay(close, 1) - 1"), Feature("range", "high / low - 1"))),
        split=Split(
            train=("2010-01-04", "2010-07-30"), valid=("2010-08-09", "2010-10-29"), test=("2010-11-08", "2010-12-31")
        ),
        portfolio=TopKDropN(k=2, n_drop=1),
        optim=Optim(epochs=2, batch_size=32, precision="fp32"),
        price_limit=0.1,
    )
    return replace(tiny, **changes)


def gru(workdir, **changes):
    return ridge(workdir, name="tiny_gru", encoder=GRU(lookback=4, hidden=4, layers=1), **changes)


def config(workdir, experiment):
    path = workdir / f"{experiment.name}.py"
    path.write_text(source_text(experiment))
    return str(path)


def command(workdir, *experiments, more=()):
    return ["--configs", *(config(workdir, one) for one in experiments), "--workdir", str(workdir), *more]


def test_every_seed_is_a_run_and_the_table_is_over_seeds(workdir, tmp_path, capsys) -> None:
    more = ["--seeds", "0", "1", "--reference", "tiny_ridge", "--name", "both"]
    main(command(workdir, ridge(workdir), gru(workdir), more=more))
    said = capsys.readouterr().out
    assert "rank IC less tiny_ridge" in said
    assert "long-short" in said
    assert "a year less equal weight" in " ".join(said.split())
    runs = workdir / "pretrain"
    assert {one.name for one in runs.iterdir() if not one.name.startswith(".")} == {
        f"{name}_seed_{k}" for name in ("tiny_ridge", "tiny_gru") for k in (0, 1)
    }
    seeds = [json.loads((runs / f"tiny_gru_seed_{k}" / "config.json").read_text())["seed"] for k in (0, 1)]
    assert seeds == [0, 1]
    folder = workdir / "evaluate" / "both"
    result = json.loads((folder / "comparison.json").read_text())["forecasts"]
    assert list(result["encoders"]) == ["tiny_ridge", "tiny_gru"]
    each = [json.loads((runs / f"tiny_gru_seed_{k}" / "metrics.json").read_text()) for k in (0, 1)]
    assert not any("test" in one for one in each), "a pretraining run does not look at test days"
    found = result["encoders"]["tiny_gru"]
    assert found["valid"]["rank_ic"] == pytest.approx(np.mean([one["valid"]["rank_ic"] for one in each]))
    own = [one["rank_ic"] for one in found["test"]["seeds"].values()]
    assert found["test"]["rank_ic"] == pytest.approx(np.mean(own))
    assert own[0] != own[1]
    assert "sharpe" in found["trading"]["top-k drop-n"]["mean"]
    assert list(result["references"]) == ["buy_and_hold", "equal_weight"]
    assert found["trading"]["long-short"]["beyond"]["buy_and_hold"]["difference"] is not None
    looked = [one for one in Ledger.beside(workdir / "panel.safetensors").looks() if one.stage == "compare"]
    assert {one.run for one in looked if one.part == "test"} >= {"tiny_gru_seed_0", "tiny_gru_seed_1"}
    assert result["encoders"]["tiny_ridge"]["test"]["against"] is None
    assert found["test"]["against"]["ci"] is not None
    page = folder / "report.html"
    assert "tiny gru" in page.read_text()
    if browser() is not None:
        document, complaints = opened(page, tmp_path)
        assert not complaints
        assert undrawn_figures(document)[0] == []

    learnt, metrics = (runs / "tiny_gru_seed_1" / name for name in ("last/state.safetensors", "metrics.json"))
    before = learnt.stat().st_mtime_ns
    metrics.unlink()  # as if the second seed had been interrupted after its last epoch
    kept = (runs / "tiny_gru_seed_0" / "model.safetensors").stat().st_mtime_ns
    main(command(workdir, ridge(workdir), gru(workdir), more=more))
    assert metrics.exists()
    assert learnt.stat().st_mtime_ns == before  # continued from its state: nothing was learnt again
    assert (runs / "tiny_gru_seed_0" / "model.safetensors").stat().st_mtime_ns == kept
    assert json.loads((folder / "comparison.json").read_text())["forecasts"] == result

    finished = [str(runs / f"tiny_ridge_seed_{k}") for k in (0, 1)]
    main(["--runs", *finished, "--workdir", str(workdir), "--name", "named"])
    named = json.loads((workdir / "evaluate" / "named" / "comparison.json").read_text())["forecasts"]
    assert named["encoders"]["tiny_ridge"]["n_seeds"] == 2


def test_the_forecasts_of_a_run_are_those_that_its_metrics_judge(workdir) -> None:
    main(command(workdir, gru(workdir), more=["--seeds", "0"]))
    run = workdir / "pretrain" / "tiny_gru_seed_0"
    panel, record = Panel.load(workdir / "panel.safetensors"), ForecastRecord.load(run / "forecasts.safetensors")
    metrics = json.loads((run / "metrics.json").read_text())
    forecasts, returns = record.over(panel), Label().compute(panel)
    for part, days in (("valid", ("2010-08-09", "2010-10-29")), ("test", ("2010-11-08", "2010-12-31"))):
        rows = panel.rows(*days)
        found = prediction_metrics(forecasts.mean[rows], returns[rows], forecasts.mask[rows])
        assert part == "test" or found["rank_ic"] == metrics[part]["rank_ic"]
        assert found["n_days"] > 20
        assert record.dates[record.parts[part]][0] == panel.dates[rows][0]
    assert not forecasts.mask[: panel.rows("2010-08-09", None).start].any()
    between = slice(panel.rows(None, "2010-10-29").stop, panel.rows("2010-11-08", None).start)
    assert np.isnan(forecasts.mean[between]).all()
    with pytest.raises(ValueError, match="not the one that was forecast"):
        record.over(panel.select(panel.assets[:4]))


def test_mistakes_are_one_line(workdir, tmp_path) -> None:
    one = ridge(workdir)
    with pytest.raises(ValueError, match=r"no encoder is called 'tiny_rigde'; did you mean 'tiny_ridge'\?"):
        main(command(workdir, one, more=["--seeds", "9", "--reference", "tiny_rigde"]))
    assert not (workdir / "pretrain" / "tiny_ridge_seed_9").exists()  # said before anything is trained
    other = ridge(workdir, name="other", price_limit=None)
    with pytest.raises(ValueError, match=r"other: .* tiny_ridge has price_limit 0.1, now None"):
        main(command(workdir, one, other))
    ranked = ridge(workdir, name="ranked", label=Label(transform="rank"))
    main(command(workdir, one, ranked, more=["--seeds", "0"]))  # the same return, shown to the loss in another way
    later = ridge(workdir, name="later", label=Label(horizon=2))
    with pytest.raises(ValueError, match=r"later: .* label.horizon 1, now 2"):
        main(command(workdir, one, later))
    with pytest.raises(ValueError, match=r"nowhere.*no such file"):
        main(["--runs", str(tmp_path / "nowhere"), "--workdir", str(workdir)])
    old = workdir / "pretrain" / "tiny_ridge_seed_0" / "forecasts.safetensors"
    old.rename(old.with_suffix(".gone"))
    with pytest.raises(ValueError, match=r"kept no forecasts\.safetensors"):
        main(["--runs", str(old.parent), "--workdir", str(workdir)])
    old.with_suffix(".gone").rename(old)
    with pytest.raises(ValueError, match="no encoder is called 'tiny_ridge'; there are none"):
        main(["--reference", "tiny_ridge", "--runs", str(tmp_path), "--workdir", str(workdir)])


def test_forecasts_of_transformed_labels_are_judged_on_returns(workdir) -> None:
    ranked = ridge(workdir, name="ranked", label=Label(transform="rank"))
    main(command(workdir, ranked, more=["--name", "ranked"]))
    found = json.loads((workdir / "evaluate" / "ranked" / "comparison.json").read_text())["forecasts"]
    metrics = json.loads((workdir / "pretrain" / "ranked" / "metrics.json").read_text())
    assert found["encoders"]["ranked"]["valid"]["ic"] == metrics["valid"]["ic"] != metrics["valid"]["rank_ic"]


def test_first_stages_are_trained_first_and_the_table_keeps_its_order(monkeypatch, tmp_path: Path) -> None:
    names = ("factor_vqvae", "factor_vqvae_tokens", "gru")
    configs = [load_python(f"configs/pretrain/csi300_{name}.py", Pretrain) for name in names]
    trained: list[str] = []

    def record(experiment: Pretrain, workdir: str, **options: object) -> PretrainResult:
        trained.append(experiment.name)
        folder = Path(workdir) / "pretrain" / experiment.name
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text("{}")
        return PretrainResult(folder, {})

    monkeypatch.setattr("pipeline.pretraining.pretrain", record)
    folders = pretrain_all(configs, (), tmp_path)
    assert folders == [tmp_path / "pretrain" / f"csi300_{name}" for name in names]
    assert trained == ["csi300_factor_vqvae_tokens", "csi300_gru", "csi300_factor_vqvae"]


def test_a_second_stage_follows_the_first_ones_run_of_its_seed() -> None:
    first = load_python("configs/pretrain/csi300_factor_vqvae_tokens.py", Pretrain)
    second = load_python("configs/pretrain/csi300_factor_vqvae.py", Pretrain)
    named = [one.encoder.run for one in with_seeds(second, (0, 3))]
    assert named == [f"pretrain/{one.name}" for one in with_seeds(first, (0, 3))]


@dataclass(frozen=True)
class Own(GRU):
    """An encoder of a package that no one trusted."""


def test_an_encoder_that_is_not_trusted_is_refused_before_anything_is_trained(workdir) -> None:
    first = ridge(workdir, name="trained_first")
    own = ridge(workdir, name="own", encoder=Own(lookback=4, hidden=4, layers=1))
    with pytest.raises(ValueError, match=r"own: .*if you trust that code, add --trust tests"):
        main(command(workdir, first, own))
    assert not (workdir / "pretrain" / "trained_first").exists()
