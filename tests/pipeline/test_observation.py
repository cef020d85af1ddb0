"""What an agent sees is audited before it learns, recorded beside it, and said on the page of its evaluation."""

import json
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

import pipeline
from configs.schema.evaluate import Evaluate
from market.artifacts import AUDIT, TRAINING
from market.audit import AuditError
from market.features import FeatureSet
from market.panel import Panel
from market.states import MarketStates
from pipeline.observation import refuse_states_of_another_panel
from tests.tools.trade_runs import market, trade

SETTINGS = Evaluate(cost_points=(), hindsight=False)


@dataclass(frozen=True)
class Centred:
    """A moving average that looks two days ahead."""

    def table(self):
        return ()

    def compute(self, panel):
        moves = np.zeros(panel.shape[:2])
        moves[1:] = panel["close"][1:] / panel["close"][:-1] - 1
        values = sum(np.roll(moves, shift, axis=0) for shift in (-2, -1, 0, 1, 2))
        return replace(panel, fields=("centred",), values=values[..., None].astype(np.float32))


def run(workdir, **changes):
    experiment = trade(workdir, seeds=(0,), **changes)
    return pipeline.train(experiment, workdir).folder


def test_a_feature_that_looks_ahead_reaches_no_agent(tmp_path, monkeypatch) -> None:
    market(tmp_path)
    assert isinstance(Centred(), FeatureSet)
    monkeypatch.setattr("configs.classes.PACKAGES", ("market", "encoders", "envs", "agents", "configs", "tests"))
    with pytest.raises(AuditError, match="centred moved by up to"):
        run(tmp_path, observe="features", features=Centred())
    known = json.loads((tmp_path / "trade" / "tiny_ppo" / AUDIT).read_text())
    assert known["verdict"] == "failed"
    assert not (tmp_path / "trade" / "tiny_ppo" / TRAINING).exists()


@pytest.mark.parametrize(
    ("observe", "told"),
    [
        ("features", "The agent saw scaled Formulas features"),
        ("states", "The agent saw states of made by hand; audited and passed"),
        ("forecast", "The agent saw the forecast of made by hand; audited and passed"),
        ("states+forecast", "The agent saw states and the forecast of made by hand; audited and passed"),
        ("shuffled", "the forecast of made by hand, each asset those of any asset on another day; audited and passed"),
        ("none", "The agent saw nothing of the market, so there is nothing to prove"),
    ],
)
def test_a_run_records_what_was_seen_and_the_page_says_it(tmp_path, observe, told) -> None:
    market(tmp_path)
    folder = run(tmp_path, observe=observe)
    assert json.loads((folder / AUDIT).read_text())["verdict"] == "passed"
    target = tmp_path / "evaluate" / "tiny"
    pipeline.evaluate({"tiny": [folder]}, SETTINGS, tmp_path, name="tiny")
    known = json.loads((target / "metrics.json").read_text())["observation"]
    assert known["proven"]
    if observe != "features":
        assert told in known["sentence"]
    else:
        assert re.match(r"The agent saw scaled Formulas features; audited and passed; \d+ days", known["sentence"])
    assert f'<p class="good">{known["sentence"]}</p>' in (target / "report.html").read_text()


def test_a_run_without_a_record_is_said_to_be_not_audited(tmp_path) -> None:
    market(tmp_path)
    folder = run(tmp_path, observe="features")
    (folder / AUDIT).unlink()
    pipeline.evaluate({"tiny": [folder]}, SETTINGS, tmp_path, name="tiny")
    page = (tmp_path / "evaluate" / "tiny" / "report.html").read_text()
    assert '<p class="bad">The agent saw features; not audited: the run was trained before' in page


def test_states_changed_since_training_are_refused(tmp_path) -> None:
    _, path = market(tmp_path)
    folder = run(tmp_path)
    states = MarketStates.load(path)
    path.unlink()
    replace(states, asset=np.array(states.asset) + 1).save(path)
    with pytest.raises(ValueError, match="the states are others than those that the agents"):
        pipeline.evaluate({"tiny": [folder]}, SETTINGS, tmp_path, name="tiny")


def test_states_that_only_grew_are_those_that_the_agents_learnt_from(tmp_path) -> None:
    _, path = market(tmp_path)
    whole = MarketStates.load(path)
    grids = ("dates", "asset", "market", "forecast_mean", "forecast_std", "mask", "codes", "fit_end", "fold")
    young = replace(whole, **{name: np.array(getattr(whole, name)[:-3]) for name in grids})
    path.unlink()
    young.save(path)
    folder = run(tmp_path)
    path.unlink()
    whole.save(path)
    pipeline.evaluate({"tiny": [folder]}, SETTINGS, tmp_path, name="tiny")
    forecast = np.array(whole.forecast_mean)
    forecast[-4, 0] += 1e-6  # the last day that was known
    path.unlink()
    replace(whole, forecast_mean=forecast).save(path)
    with pytest.raises(ValueError, match="the states are others than those that the agents"):
        pipeline.evaluate({"tiny": [folder]}, SETTINGS, tmp_path, overwrite=True, name="tiny")


def test_a_panel_prepared_again_with_other_prices_is_refused(tmp_path) -> None:
    data, _ = market(tmp_path)
    folder = run(tmp_path, observe="features")
    panel = Panel.load(data)
    values = np.array(panel.values)
    values[10:20] *= 1.1
    replace(panel, values=values).save(data)
    with pytest.raises(ValueError, match="hold other values than when the agents"):
        pipeline.evaluate({"tiny": [folder]}, SETTINGS, tmp_path, name="tiny")


def test_states_of_another_panel_are_refused(tmp_path) -> None:
    data, path = market(tmp_path)
    panel, states = Panel.load(data), MarketStates.load(path)
    made = replace(states, provenance={**states.provenance, "panel_fingerprint": panel.fingerprint})
    refuse_states_of_another_panel(made, str(path), panel)
    values = np.array(panel.values)
    values[5, 0] += 1
    with pytest.raises(ValueError, match="made from another panel"):
        refuse_states_of_another_panel(made, str(path), replace(panel, values=values))
    path.unlink()
    made.save(path)
    replace(panel, values=values).save(data)
    with pytest.raises(ValueError, match="made from another panel"):
        run(tmp_path)


def test_forged_states_beside_a_true_audit_are_refused(tmp_path) -> None:
    _, path = market(tmp_path)
    states, audit = MarketStates.load(path), path.with_name(AUDIT)
    audit.write_text(json.dumps(json.loads(audit.read_text()) | states.identity))
    run(tmp_path)
    forecast = np.array(states.forecast_mean)
    forecast[:-1] = forecast[1:]  # that of tomorrow, called audited
    path.unlink()
    replace(states, forecast_mean=forecast).save(path)
    with pytest.raises(ValueError, match=r"audit.json: this is the audit of other states"):
        run(tmp_path, name="forged")


def test_an_edited_header_is_refused(tmp_path) -> None:
    _, path = market(tmp_path)
    states = MarketStates.load(path)
    path.unlink()
    replace(states, provenance={**states.provenance, "audit": "failed"}).save(path)
    content = path.read_bytes()
    assert content.count(b'\\"audit\\": \\"failed\\"') == 1
    path.write_bytes(content.replace(b'\\"audit\\": \\"failed\\"', b'\\"audit\\": \\"passed\\"'))
    with pytest.raises(ValueError, match="fingerprint does not match"):
        run(tmp_path)
