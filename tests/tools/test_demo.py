import json

import numpy as np
import pytest

from configs.files import load_python
from configs.schema.demo import Demo
from market.states import MarketStates
from pipeline import extract, prepare, pretrain, training
from pipeline.ablation import pca_states
from tools import demo

CONFIG = """
from dataclasses import replace

from agents.baselines.simple import TopKDropN
from agents.training.callbacks import TrainingConfig
from agents.algorithms.on_policy import PPO, SAC
from configs.schema.demo import Demo
from configs.schema.evaluate import Evaluate
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from encoders.training.optim import Optim
from encoders.quantizers import Learnable
from encoders.storm.model import Storm
from encoders.storm.branches import StormSizes
from envs import LongOnly, Position, SellHoldBuy
from market.features import Formulas
from market.features.table import Feature
from market.prices.labels import Label
from market.sources.synthetic.source import Synthetic
from market.splits import Split

sizes = StormSizes(dim=8, depth=1, decoder_depth=1, heads=2, asset_state=4, market_state=4)
encoder = Pretrain(
    name="tiny",
    panel={workdir!r} + "/data/tiny/panel.safetensors",
    encoder=Storm(lookback=8, quantizer=Learnable(codebook_size=8), sizes=sizes),
    features=Formulas((Feature("move", "close / delay(close, 1) - 1"), Feature("range", "high / low - 1"))),
    label=Label(fill="next_open"),
    split=Split(
        train=("2010-01-04", "2010-07-30"), valid=("2010-08-09", "2010-10-29"), test=("2010-11-08", "2010-12-31")
    ),
    portfolio=TopKDropN(k=2, n_drop=1),
    optim=Optim(epochs=1, batch_size=16, learning_rate=3e-3, precision="fp32"),
)
whole = Trade(
    name="whole",
    panel=encoder.panel,
    states={workdir!r} + "/states/tiny/states.safetensors",
    agent=PPO(n_steps=16, batch_size=64, n_epochs=1, width=4, net_arch=(4,)),
    action=LongOnly(),
    episode_days=20,
    n_envs=4,
    schedule=TrainingConfig(total_steps=128, validate_every=64),
    seeds=(0,),
    in_sample="allow",
)
one = replace(whole, name="one_ppo", asset="S1", action=SellHoldBuy())
sac = replace(one, name="one_sac", agent=SAC(net_arch=(4,)), action=Position(), n_envs=2)
experiment = Demo(
    prepare=Prepare(name="tiny", source=Synthetic(stocks=6, days=270)),
    pretrain=encoder,
    trades=(whole, one, sac),
    evaluate=Evaluate(cost_points=()),
)
"""


def test_the_main_job_runs_continues_and_explains_itself(tmp_path, capsys, monkeypatch) -> None:
    workdir = tmp_path / "workdir"
    config = tmp_path / "demo.py"
    config.write_text(CONFIG.replace("{workdir!r}", repr(str(workdir))))
    command = ["--config", str(config), "--workdir", str(workdir)]

    class KilledError(Exception):
        pass

    def killed(*_):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(training, "train_agent", killed)
        with pytest.raises(KilledError):
            demo.main(command)
    assert (workdir / "states" / "tiny" / "states.safetensors").exists()
    states = (workdir / "states" / "tiny" / "states.safetensors").stat().st_mtime_ns
    capsys.readouterr()

    demo.main(command)
    said = capsys.readouterr().out
    assert "up to date" in said
    assert said.count("is finished") == 2  # encoder and states are left alone
    assert (workdir / "states" / "tiny" / "states.safetensors").stat().st_mtime_ns == states
    metrics = json.loads((workdir / "evaluate" / "demo" / "metrics.json").read_text())["chapters"]
    assert set(metrics) == {"Portfolio", "S1"}
    assert {"PPO", "equal_weight", "risk_parity", "top1_drop1"} <= set(metrics["Portfolio"]["performance"])
    assert {"PPO", "SAC", "buy_and_hold"} <= set(metrics["S1"]["performance"])
    assert metrics["S1"]["trials"]["seeds"] == 2
    page = (workdir / "evaluate" / "demo" / "report.html").read_text()
    for words in ("Portfolio", "S1", "SAC", "Audit of the states"):
        assert words in page
    assert list((workdir / "trade" / "whole" / "seed_0" / "tensorboard").iterdir())
    for name in ("panel.safetensors", "states.safetensors", "policy.safetensors", "report.html", "audit.json"):
        assert name in said

    demo.main(command)
    said = capsys.readouterr().out
    assert said.count("is finished") == 2 + 3 + 1
    assert json.loads((workdir / "evaluate" / "demo" / "metrics.json").read_text())["chapters"] == metrics


def test_pca_states_are_of_the_panel_and_days_of_the_learnt_ones(tmp_path) -> None:
    workdir = tmp_path / "workdir"
    config = tmp_path / "demo.py"
    config.write_text(CONFIG.replace("{workdir!r}", repr(str(workdir))))
    experiment = load_python(config, Demo)
    prepare(experiment.prepare, workdir)
    encoder = pretrain(experiment.pretrain, workdir)
    learnt = MarketStates.load(extract(encoder.folder, workdir=workdir).path)
    path = pca_states(str(workdir / "states" / "tiny" / "states.safetensors"), workdir)
    linear = MarketStates.load(path)
    assert linear.provenance["encoder"] == "PCAEncoder"
    assert linear.audited
    for part in ("split", "panel_fingerprint", "fill", "horizon"):
        assert linear.provenance[part] == learnt.provenance[part]
    assert np.array_equal(linear.fit_end, learnt.fit_end)
    with pytest.raises(ValueError, match="name PCA states with --pca"):
        pca_states(str(tmp_path / "states.safetensors"), workdir)


def test_a_stage_made_by_another_configuration_is_refused(tmp_path) -> None:
    workdir = tmp_path / "workdir"
    folder = workdir / "pretrain" / "tiny"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    (folder / "config.json").write_text('{"name": "another"}')
    config = tmp_path / "demo.py"
    config.write_text(CONFIG.replace("{workdir!r}", repr(str(workdir))))
    with pytest.raises(ValueError, match=r"pretrain/tiny/config.json: config: class is None"):
        demo.main(["--config", str(config), "--workdir", str(workdir)])
