import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from configs.files import source_text
from configs.schema.evaluate import Evaluate
from envs import LogGrowth
from market.panel import Panel
from market.states import MarketStates
from pipeline.ablation import KINDS, variant
from tests.tools import trade_runs
from tools.compare import Options, evaluation_settings, main


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workdir")
    trade_runs.market(folder)
    return folder


def config(workdir, experiment):
    path = workdir / f"{experiment.name}.py"
    path.write_text(source_text(experiment))
    return str(path)


def test_a_list_of_configs_is_run_and_set_beside_buy_and_hold(workdir, capsys) -> None:
    one = trade_runs.trade(workdir, "one", asset="S1")
    two = trade_runs.trade(workdir, "two", asset="S2", seeds=(0,))
    command = ["--configs", config(workdir, one), config(workdir, two), "--workdir", str(workdir)]
    command += ["--evaluate", quick(workdir)]
    main(command)
    said = capsys.readouterr().out
    assert "Trading" in said
    path = workdir / "evaluate" / "comparison" / "comparison.json"
    rows = json.loads(path.read_text())["trading"]
    assert [row["run"] for row in rows] == ["one", "two"]
    metrics = json.loads((workdir / "evaluate" / "two" / "metrics.json").read_text())
    assert rows[1]["its Sharpe"] == f"{metrics['performance']['buy_and_hold']['sharpe']:.2f}".replace("-", "−")
    assert rows[1]["verdict"] == metrics["verdict"]["PPO"]["word"]
    assert rows[1]["difference from equal weight"] == "–", "of one asset it is buy and hold"
    assert "[" in rows[0]["Sharpe over seeds"]
    assert "[" not in rows[1]["Sharpe over seeds"]  # one seed has no interval
    policy = workdir / "trade" / "one" / "seed_0" / "policy.safetensors"
    before = policy.stat().st_mtime_ns
    main(command)  # nothing is trained or evaluated again
    assert policy.stat().st_mtime_ns == before
    assert json.loads((workdir / "evaluate" / "two" / "metrics.json").read_text())["looks"] == 1
    assert json.loads(path.read_text())["trading"] == rows


def test_a_run_trained_by_another_configuration_is_refused(workdir) -> None:
    one = trade_runs.trade(workdir, "fixed", asset="S1", seeds=(0,))
    main(["--configs", config(workdir, one), "--workdir", str(workdir), "--evaluate", quick(workdir)])
    with pytest.raises(ValueError, match=r"fixed: this run is finished, with .*lookback 1, now 2"):
        main(["--configs", config(workdir, replace(one, lookback=2)), "--workdir", str(workdir)])


def quick(workdir):
    """Writes the settings of an evaluation without what these tests do not look at, and returns its path."""
    path = workdir / "quick.py"
    path.write_text(source_text(Evaluate(cost_points=(), hindsight=False)))
    return str(path)


def index(workdir):
    """Writes a panel of one index that follows the market of the runs, and returns its path."""
    panel = Panel.load(workdir / "data" / "tiny" / "panel.safetensors")
    path = workdir / "index.safetensors"
    close = panel["close"].mean(axis=1)[:, None, None]
    there = np.ones((len(panel), 1), bool)
    Panel(panel.dates, ("AVERAGE",), ("close",), close, there, there).save(path)
    return path


def test_an_index_stands_beside_trading_runs(workdir) -> None:
    one = trade_runs.trade(workdir, "beside", asset="S1", seeds=(0,))
    command = ["--configs", config(workdir, one), "--workdir", str(workdir), "--name", "indexed"]
    main([*command, "--evaluate", quick(workdir)])
    settings = workdir / "settings.py"
    settings.write_text(source_text(Evaluate(index=str(index(workdir)), cost_points=(), hindsight=False)))
    with pytest.raises(
        ValueError, match=r"evaluated without an index instead of beside the index AVERAGE.*--overwrite"
    ):
        main([*command, "--evaluate", str(settings)])
    main([*command, "--evaluate", str(settings), "--overwrite"])
    main([*command, "--evaluate", str(settings)])  # it has been evaluated with this one
    other = settings.with_name("other.py")
    other.write_text(source_text(Evaluate(index_asset="S2", cost_points=(), hindsight=False)))
    with pytest.raises(
        ValueError, match=r"evaluated beside the index AVERAGE instead of beside the index S2.*--overwrite"
    ):
        main([*command, "--evaluate", str(other)])
    row = json.loads((workdir / "evaluate" / "indexed" / "comparison.json").read_text())["trading"][0]
    metrics = json.loads((workdir / "evaluate" / "beside" / "metrics.json").read_text())
    assert metrics["cost_sensitivity"] == {}
    assert row["index"].endswith(" %, AVERAGE")
    gain = metrics["comparisons"]["PPO"]["index AVERAGE"]["sharpe"]
    assert row["difference from the index"].startswith(f"{gain['difference']:.2f}".replace("-", "−"))
    assert evaluation_settings(Options(index="a", evaluate=str(settings))).index == "workdir/data/a/panel.safetensors"
    assert evaluation_settings(Options(index_asset="b", evaluate=str(settings))).index_asset == "b"


def test_an_evaluation_answers_for_the_settings_that_it_was_made_with(workdir) -> None:
    one = trade_runs.trade(workdir, "asked", asset="S1", seeds=(0,))
    command = ["--configs", config(workdir, one), "--workdir", str(workdir), "--name", "asked_again"]
    made = Evaluate(index=str(index(workdir)), cost_points=(), hindsight=False)
    main([*command, "--evaluate", written(workdir, made)])
    metrics = workdir / "evaluate" / "asked" / "metrics.json"
    before = metrics.read_bytes()
    main(command)  # without settings it is taken as it was made
    main([*command, "--evaluate", written(workdir, made)])
    for name, value, said in (
        ("cost_points", (5.0,), r"cost_points \[\], now \[5.0\]"),
        ("hindsight", True, "hindsight False, now True"),
        ("other_trials", 3, "other_trials 0, now 3"),
        ("seed", 1, "seed 0, now 1"),
        ("index_return", "total", "index_return price, now total"),
    ):
        with pytest.raises(ValueError, match=rf"{said}; --overwrite"):
            main([*command, "--evaluate", written(workdir, replace(made, **{name: value}))])
    follows = Panel.load(str(made.index))
    replace(follows, values=follows.values * np.arange(1, len(follows) + 1)[:, None, None]).save(str(made.index))
    with pytest.raises(ValueError, match="beside other prices of the index AVERAGE than now; --overwrite"):
        main([*command, "--evaluate", written(workdir, made)])
    longer = replace(follows, values=np.where(follows.dates[:, None, None] < follows.dates[50], 1.0, follows.values))
    longer.save(str(made.index))
    main([*command, "--evaluate", written(workdir, made)])  # the days traded are as they were
    assert metrics.read_bytes() == before


def test_evaluations_made_in_different_ways_do_not_stand_side_by_side(workdir) -> None:
    made = Evaluate(cost_points=(), hindsight=False)
    for name, settings in (
        ("left", made),
        ("right", replace(made, other_trials=40)),
        ("dear", replace(made, cost_points=(9.0,))),
    ):
        one = trade_runs.trade(workdir, name, asset="S1", seeds=(0,))
        main(["--configs", config(workdir, one), "--workdir", str(workdir), "--evaluate", written(workdir, settings)])
    runs = {name: str(workdir / "trade" / name) for name in ("left", "right", "dear")}
    with pytest.raises(ValueError, match=r"right.*with other_trials 40, now 0 in .*left.*--overwrite"):
        main(["--runs", runs["left"], runs["right"], "--workdir", str(workdir)])
    main(["--runs", runs["left"], runs["dear"], "--workdir", str(workdir)])  # the table says nothing of other costs
    both = ["--runs", runs["left"], runs["right"], "--workdir", str(workdir), "--overwrite"]
    main([*both, "--evaluate", written(workdir, made)])
    assert json.loads((workdir / "evaluate" / "right" / "metrics.json").read_text())["settings"]["other_trials"] == 0


def written(workdir, settings):
    """Writes the settings of an evaluation and returns the path."""
    path = workdir / "evaluation.py"
    path.write_text(source_text(settings))
    return str(path)


def test_seeds_replace_those_of_trading_configs(workdir) -> None:
    one = trade_runs.trade(workdir, "reseeded", asset="S1", seeds=(0, 1))
    command = ["--configs", config(workdir, one), "--workdir", str(workdir), "--evaluate", quick(workdir)]
    main([*command, "--seeds", "3", "--name", "reseeded"])
    assert [path.name for path in (workdir / "trade" / "reseeded").glob("seed_*")] == ["seed_3"]


@pytest.mark.slow
def test_an_ablation_changes_what_is_seen_and_nothing_else(workdir, capsys) -> None:
    base = trade_runs.trade(workdir, "base")
    states = MarketStates.load(base.states)
    pca = workdir / "states" / "pca" / "states.safetensors"
    pca.parent.mkdir()
    rotated = np.ascontiguousarray(states.asset[..., ::-1])
    replace(states, asset=rotated, forecast_mean=np.full_like(states.forecast_mean, np.nan), codes=None).save(pca)
    audit = workdir / "states" / "tiny" / "audit.json"
    pca.with_name("audit.json").write_text(audit.read_text())
    command = ["--ablation", "--config", config(workdir, base), "--pca", str(pca), "--workdir", str(workdir)]
    main([*command, "--index", str(index(workdir)), "--evaluate", quick(workdir)])
    said = capsys.readouterr().out
    assert "What states add" in said
    rows = json.loads((workdir / "evaluate" / "base_ablation" / "comparison.json").read_text())["ablation"]
    assert [row["agent sees"] for row in rows] == list(KINDS)
    for row in rows:
        assert "[" in row["Sharpe, days"]
        assert ("[" in row["more than without, seeds"]) == (row["agent sees"] != "no states")
    metrics = json.loads((workdir / "evaluate" / "base_ablation" / "metrics.json").read_text())
    assert {"cash", "buy_and_hold", "index AVERAGE", *KINDS} <= set(metrics["performance"])
    assert (workdir / "evaluate" / "base_ablation" / "report.html").exists()
    for kind in KINDS:
        one = variant(base, kind, str(pca))
        assert replace(one, name=base.name, observe=base.observe, states=base.states) == base


def test_mistakes_are_one_line(workdir, tmp_path) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        main(["--workdir", str(tmp_path)])
    with pytest.raises(ValueError, match="name it with --config"):
        main(["--ablation", "--workdir", str(tmp_path)])
    blind = trade_runs.trade(workdir, "blind", observe="none")
    blind = replace(blind, states=None, split=trade_runs.split(), fill="next_close")
    with pytest.raises(ValueError, match="no states to take away"):
        main(["--ablation", "--config", config(workdir, blind), "--workdir", str(workdir)])


@dataclass(frozen=True)
class Own(LogGrowth):
    """A reward of a package that no one trusted."""


def test_an_ablation_with_a_class_that_is_not_trusted_is_refused_before_anything_is_trained(workdir) -> None:
    own = replace(trade_runs.trade(workdir, "untrusted"), reward=Own())
    command = ["--ablation", "--config", config(workdir, own), "--workdir", str(workdir)]
    with pytest.raises(ValueError, match=r"untrusted: .*if you trust that code, add --trust tests"):
        main(command)
    assert not [path for path in workdir.glob("*/*") if path.name.startswith(("untrusted", "tiny_pca"))]
