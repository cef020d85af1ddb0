"""A notebook user's main job: every stage called as a function, with configurations as values and nothing printed."""

from dataclasses import replace
from pathlib import Path

import pytest

import pipeline
from agents.algorithms.on_policy import PPO
from agents.baselines.simple import TopKDropN
from agents.training.callbacks import TrainingConfig
from configs.schema.evaluate import Evaluate
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.baselines.ridge import Ridge
from encoders.factor_vae import FactorVAE
from encoders.training.optim import Optim
from envs import Costs, LongOnly, MarketRules
from evaluation.formats import within
from market.features import Formulas
from market.features.table import Feature
from market.sources.synthetic.source import Synthetic
from market.splits import Split
from market.states import MarketStates
from market.storage import scratch
from market.storage.array_file import read_json
from pipeline.control_markets import read_sources

SPLIT = Split(train=("2010-01-04", "2010-07-30"), valid=("2010-08-09", "2010-10-29"), test=("2010-11-08", "2010-12-31"))
FACTOR_VAE = FactorVAE(lookback=4, hidden=4, portfolios=4, factors=2)
EVALUATE = Evaluate(cost_points=(), hindsight=False)


def encoder(panel: Path, **changes: object) -> Pretrain:
    tiny = Pretrain(
        name="ridge",
        panel=str(panel),
        encoder=Ridge(),
        features=Formulas((Feature("move", "close / delay(close, 1) - 1"), Feature("range", "high / low - 1"))),
        split=SPLIT,
        portfolio=TopKDropN(k=2, n_drop=1),
        optim=Optim(epochs=1, batch_size=32, precision="fp32"),
    )
    return replace(tiny, **changes)  # type: ignore[arg-type]


def trade(panel: Path, states: Path) -> Trade:
    return Trade(
        name="ppo",
        panel=str(panel),
        states=str(states),
        agent=PPO(n_steps=16, batch_size=64, n_epochs=1, width=4, net_arch=(4,)),
        action=LongOnly(),
        episode_days=20,
        n_envs=4,
        schedule=TrainingConfig(total_steps=64, validate_every=64),
        seeds=(0,),
        in_sample="allow",
    )


def test_prices_become_evidence_without_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    observer = pipeline.Observer(finished=lambda result: heard.append(type(result).__name__))
    where = {"workdir": tmp_path, "observer": observer}
    prepared = pipeline.prepare(Prepare(name="tiny", source=Synthetic(stocks=6, days=270)), **where)
    trained = pipeline.pretrain(encoder(prepared.path), **where)
    assert trained.metrics["valid"]["n_days"] > 0
    assert "test" not in trained.metrics
    states = pipeline.extract(trained.folder, **where)
    assert states.audit["verdict"] == "passed"
    written = MarketStates.load(states.path)
    assert states.shape == written.mask.shape
    known = read_json(states.path.with_name("audit.json"))
    assert known.items() >= written.identity.items(), "the audit names the states that it is of"
    agents = pipeline.train(trade(prepared.path, states.path), **where)
    assert [record["seed"] for record in agents.records] == [0]
    evidence = pipeline.evaluate(agents.folder, EVALUATE, **where)
    assert "PPO" in evidence.report.sections[0].metrics["performance"]
    assert evidence.page.exists()
    assert pipeline.open_run(agents.folder).agent == "PPO"
    second = encoder(prepared.path, name="weak", encoder=Ridge(alphas=(1e6,)))
    compared = pipeline.compare_encoders([second], [trained.folder], reference="weak", **where)
    assert set(compared.measures["encoders"]) == {"weak", "ridge"}
    rows = pipeline.compare_agents(runs=[agents.folder], settings=EVALUATE, **where).rows
    assert [(row["run"], row["agent"]) for row in rows] == [("ppo", "PPO")]
    gap = evidence.report.sections[0].metrics["comparisons"]["PPO"]["equal_weight"]["sharpe"]
    assert rows[0]["difference from equal weight"] == within(gap["difference"], gap["ci"])
    assert heard == [
        "PrepareResult", "PretrainResult", "ExtractResult", "TrainResult", "EvaluateResult",
        "PretrainResult", "EncoderComparison", "AgentComparison",
    ]  # fmt: skip
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""


def test_terms_of_trading_travel_from_prices_to_agents(tmp_path: Path) -> None:
    known = MarketRules(costs=Costs(fee_rate=2e-3), price_limit=0.1, delisting_return=-0.3)
    prepared = pipeline.prepare(Prepare(name="tiny", source=Synthetic(stocks=6, days=270), market=known), tmp_path)
    trained = pipeline.pretrain(encoder(prepared.path, price_limit=0.05), tmp_path)  # says one of them itself
    states = pipeline.extract(trained.folder, workdir=tmp_path)
    found = read_sources(trade(prepared.path, states.path))
    own = Costs(fee_rate=1e-3)  # every stage has costs of its own
    assert found.rules == replace(known, costs=own, price_limit=0.05, fill=found.fill, periods_per_year=252.0)
    assert found.departures == (
        "price_limit 0.05, where the panel had 0.1",
        "costs.fee_rate 0.001, where the panel had 0.002",
    )


def test_a_finished_stage_is_refused_reused_or_run_again(tmp_path: Path) -> None:
    prepared = pipeline.prepare(Prepare(name="tiny", source=Synthetic(stocks=6, days=270)), tmp_path)
    experiment = encoder(prepared.path)
    first = pipeline.pretrain(experiment, tmp_path)
    with pytest.raises(ValueError, match="this run is finished"):
        pipeline.pretrain(experiment, tmp_path)
    stamp = first.model.stat().st_mtime_ns
    again = pipeline.pretrain(experiment, tmp_path, reuse=True)
    assert (again.fresh, again.metrics["valid"]) == (False, first.metrics["valid"])
    assert first.model.stat().st_mtime_ns == stamp
    with pytest.raises(ValueError, match="this run is finished, with seed 0, now 1"):
        pipeline.pretrain(replace(experiment, seed=1), tmp_path, reuse=True)
    states = pipeline.extract(first.folder, workdir=tmp_path)
    assert not pipeline.extract(first.folder, workdir=tmp_path, reuse=True).fresh
    other = pipeline.pretrain(replace(experiment, encoder=Ridge(alphas=(1e6,))), tmp_path, overwrite=True)
    assert other.fresh
    assert first.model.stat().st_mtime_ns != stamp
    with pytest.raises(ValueError, match="checkpoint"):
        pipeline.extract(first.folder, workdir=tmp_path)
    before = MarketStates.load(states.path).provenance["checkpoint_sha256"]
    assert pipeline.extract(first.folder, workdir=tmp_path, reuse=True).fresh
    assert MarketStates.load(states.path).provenance["checkpoint_sha256"] != before


def test_states_can_go_to_a_folder_of_another_name_with_their_tokens_left_out(tmp_path: Path) -> None:
    prepared = pipeline.prepare(Prepare(name="tiny", source=Synthetic(stocks=6, days=270)), tmp_path)
    trained = pipeline.pretrain(encoder(prepared.path), tmp_path)
    states = pipeline.extract(trained.folder, pipeline.Extract(name="mine", batch_size=16), tmp_path)
    assert states.path.parent == tmp_path / "states" / "mine"
    with pytest.raises(ValueError, match="--batch-size was 16, now 32"):
        pipeline.extract(trained.folder, pipeline.Extract(name="mine"), tmp_path)
    with pytest.raises(ValueError, match="path separators"):
        pipeline.extract(trained.folder, pipeline.Extract(name="../x"), tmp_path)


def test_every_public_name_leads_somewhere() -> None:
    for name in pipeline.__all__:
        assert getattr(pipeline, name).__module__.startswith("pipeline."), name
    assert set(pipeline.__all__) == set(pipeline._MODULES)
    with pytest.raises(AttributeError, match="no attribute 'pretrian'"):
        _ = pipeline.pretrian


def test_features_in_files_leave_what_features_in_memory_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {}
    for name, large in (("memory", 1 << 30), ("files", 1)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)  # files name the files that they came from
        where = {"workdir": "w"}
        monkeypatch.setattr(scratch, "LARGE", large)
        pipeline.prepare(Prepare(name="tiny", source=Synthetic(stocks=6, days=270)), **where)
        trained = pipeline.pretrain(replace(encoder(Path("tiny")), name="vae", encoder=FACTOR_VAE), **where)
        states = pipeline.extract(trained.folder, **where)
        left[name] = [states.path.read_bytes(), (trained.folder / "model.safetensors").read_bytes(), states.audit]
    assert left["files"] == left["memory"]
