"""tools.discover: planted factors are found and strange ones are not; mistakes are one line; states pass the audit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.files import source_text
from configs.schema.discover import Discover, DiscoverModel
from configs.schema.prepare import Prepare
from encoders.baselines.gru import GRU
from encoders.baselines.pca import PCA
from encoders.training.optim import Optim
from encoders.vae.model import VAE, CrossSection, RecurrentWindow, SectorCondition
from market.panel import Panel
from market.scaling.scalers import CrossSectionalZScore
from market.sources.factor_market import FactorMarket
from market.splits import Split
from market.states import MarketStates
from tools import discover, extract_state

MARKET = FactorMarket(stocks=24, days=900, factors=3, strength=2.0, group=2.2, decay=0.5)
TINY = VAE(factors=3, inference=CrossSection((32, 16)), decoder=(16, 32), annealing=60)
STUDY = Discover(
    name="tiny",
    models=(DiscoverModel("PCA", PCA(factors=3)), DiscoverModel("β-VAE", replace(TINY, beta=2.0))),
    split=Split(
        train=("2010-01-05", "2012-09-28"), valid=("2012-10-08", "2012-12-31"), test=("2013-01-08", "2013-06-14")
    ),
    prepare=Prepare(name="tiny_planted", source=MARKET),
    known=MARKET,
    optim=Optim(
        epochs=16,
        batch_size=16,
        learning_rate=1e-2,
        betas=(0.9, 0.999),
        weight_decay=0.0,
        decay="cosine",
        metric="loss",
        patience=None,
        precision="fp32",
    ),
    draws=2000,
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("discover")
    discover.main(command(folder, STUDY))
    return folder


def command(folder: Path, study: Discover, *more: str) -> list[str]:
    path = folder / f"{study.name}.py"
    path.write_text(source_text(study), encoding="utf-8")
    return ["--config", str(path), "--workdir", str(folder), *more]


def metrics(workdir: Path, name: str = "tiny") -> dict:
    return json.loads((workdir / "discover" / name / "metrics.json").read_text(encoding="utf-8"))


def test_planted_factors_are_found(workdir: Path) -> None:
    found = metrics(workdir)
    assert found["known"] == ["market", "style 1", "style 2"]
    for name in ("PCA", "β-VAE"):
        match = found["models"][name]["matching"]
        assert match["found"] == 3, name
        assert min(match["congruence"], key=abs) is not None
        assert min(np.abs(match["congruence"])) > 0.8
    shares = {name: one["reconstruction"]["test"] for name, one in found["models"].items()}
    assert 0.5 < shares["β-VAE"] < shares["PCA"] + 0.02
    assert found["models"]["β-VAE"]["scenarios"]["correlation_distance"]["test"] < 0.2
    page = (workdir / "discover" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "β-VAE finds 3 of 3 known factors" in page


def test_factors_of_another_market_are_not(workdir: Path) -> None:
    other = replace(MARKET, seed=7)
    discover.main(command(workdir, replace(STUDY, known=other), "--overwrite"))
    match = metrics(workdir)["models"]["β-VAE"]["matching"]
    assert match["found"] == 0
    assert match["mean"] < 0.3
    assert max(match["canonical"]) < 0.5


def test_it_is_done_once_and_again_only_when_told(workdir: Path) -> None:
    models = list(workdir.glob("pretrain/*/model.safetensors"))
    assert len(models) == 2
    before = {path: path.stat().st_mtime_ns for path in models}
    discover.main(command(workdir, STUDY, "--overwrite"))
    with pytest.raises(ValueError, match=r"this run is finished; .*--overwrite"):
        discover.main(command(workdir, STUDY))
    assert {path: path.stat().st_mtime_ns for path in models} == before, "trained models are kept"
    with pytest.raises(ValueError, match=r"discover_tiny_PCA: this run is finished, with seed 0, now 1"):
        discover.main(command(workdir, replace(STUDY, seed=1), "--overwrite"))


def test_states_of_a_vae_pass_the_audit(workdir: Path) -> None:
    extract_state.main(["--run", str(workdir / "pretrain" / "discover_tiny_β-VAE"), "--workdir", str(workdir)])
    states = MarketStates.load(workdir / "states" / "discover_tiny_β-VAE" / "states.safetensors")
    assert states.audited
    assert states.asset.shape == (900, 24, 3)
    assert states.market.shape == (900, 3)
    truth = MARKET.truth()
    found = np.corrcoef(states.market[1:].T, truth.factors.T)[:3, 3:]
    assert (np.abs(found).max(axis=1) > 0.8).all()


def test_tables_take_the_place_of_what_the_config_knows(workdir: Path, tmp_path: Path) -> None:
    truth = MARKET.truth()
    table = pd.DataFrame(truth.factors[:, :2], columns=["mkt", "smb"]).assign(rf=0.0, date=truth.dates.astype(str))
    table.to_csv(tmp_path / "factors.csv", index=False)
    sectors = pd.DataFrame({"symbol": truth.assets, "gics_sector": ["a", "b", "c"] * 8})
    sectors.to_parquet(tmp_path / "sectors.parquet")
    given = replace(TINY, condition=SectorCondition(), lookback=4, inference=RecurrentWindow(8))
    study = replace(
        STUDY,
        name="tables",
        models=(STUDY.models[0], DiscoverModel("sector VAE", given)),
        optim=replace(STUDY.optim, epochs=1, batch_size=64),
        factor_table=str(tmp_path / "factors.csv"),
        sectors=str(tmp_path / "sectors.parquet"),
    )
    discover.main(command(workdir, study))
    found = metrics(workdir, "tables")
    assert found["known"] == ["mkt", "smb"]
    assert found["models"]["PCA"]["matching"]["found"] == 2
    assert found["models"]["PCA"]["matching"]["congruence"] is None
    assert found["models"]["sector VAE"]["given"] == "the mean returns of 3 sectors"
    learnt = json.loads((workdir / "pretrain" / "discover_tables_sector_VAE" / "config.json").read_text("utf-8"))
    assert learnt["encoder"]["condition"]["labels"] == ["a", "b", "c"] * 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"factor_table": "no.csv"}, r"no\.csv: no such file"),
        (
            {"sectors": "no.csv", "models": (DiscoverModel("s", replace(TINY, condition=SectorCondition())),)},
            "no such file",
        ),
        ({"known": replace(MARKET, start="1990-01-01")}, "known factors cover 1990-01-02 to"),
        ({"models": (DiscoverModel("GRU", GRU(lookback=1, hidden=4)),)}, "GRUEncoder explains no returns by factors"),
        ({"scaling": CrossSectionalZScore(), "models": STUDY.models[:1]}, "DailyScaler cannot be undone"),
        ({"panel": "nowhere"}, "data/nowhere/panel.safetensors: no such file"),
    ],
)
def test_mistakes_are_one_line(workdir: Path, change: dict, said: str) -> None:
    study = replace(STUDY, name=f"wrong_{next(iter(change))}", optim=replace(STUDY.optim, epochs=1, batch_size=128))
    with pytest.raises(ValueError, match=said) as caught:
        discover.main(command(workdir, replace(study, **change)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": ()}, "models are none"),
        ({"models": STUDY.models[:1] * 2}, "models are PCA, PCA"),
        ({"prepare": None}, "neither panel nor prepare"),
        ({"name": "a/b"}, "holds no path separators"),
        ({"draws": 3}, "draws is 3"),
    ],
)
def test_studies_that_cannot_be_are_refused(change: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(STUDY, **change)


def test_a_stock_without_a_sector_and_a_table_without_a_column_are_named(tmp_path: Path) -> None:
    from market.sources.known_factors import FactorTable, read_sectors

    path = tmp_path / "t.csv"
    pd.DataFrame({"symbol": ["A"], "sector": ["x"]}).to_csv(path, index=False)
    assert read_sectors(path, ("A",)) == ("x",)
    with pytest.raises(ValueError, match=r"no sector for B, C \(2 assets\)"):
        read_sectors(path, ("A", "B", "C"))
    with pytest.raises(ValueError, match="no column 'date'"):
        FactorTable(str(path)).truth()
    pd.DataFrame({"date": ["2020-01-02", "2020-01-02"], "f": [1.0, 2.0]}).to_csv(path, index=False)
    with pytest.raises(ValueError, match="dates must increase"):
        FactorTable(str(path)).truth()
    with pytest.raises(ValueError, match="no column 'g'"):
        FactorTable(str(path), columns=("g",)).truth()


def test_a_panel_of_the_user_s_own_is_enough(workdir: Path) -> None:
    panel = Panel.load(workdir / "data" / "tiny_planted" / "panel.safetensors")
    panel.select(panel.assets[:12]).save(workdir / "own.safetensors")
    study = replace(
        STUDY, name="own", models=STUDY.models[:1], prepare=None, known=None, panel=str(workdir / "own.safetensors")
    )
    discover.main(command(workdir, study))
    found = metrics(workdir, "own")
    assert found["n_assets"] == 12
    assert found["known"] is None
