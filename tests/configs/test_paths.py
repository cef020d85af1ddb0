"""Paths in configs lead into the workdir, wherever that is."""

from dataclasses import replace
from pathlib import Path

import pytest

from configs.demo import experiment as demo
from configs.paths import located
from configs.pretrain.dj30_factor_vqvae import experiment as second_stage
from configs.schema.demo import Demo
from configs.schema.evaluate import Evaluate
from configs.trade.ppo_single import experiment as ppo


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_path_of_a_config_leads_into_the_workdir() -> None:
    run = located(ppo, "there")
    assert run.panel == "there/data/dj30/panel.safetensors"
    assert run.states == "there/states/dj30_storm_dual/states.safetensors"
    stage = located(second_stage, "/abs")
    assert stage.encoder.run == "/abs/pretrain/dj30_factor_vqvae_tokens"  # type: ignore[attr-defined]
    assert located(Evaluate(index="dji"), "w").index == "w/data/dji/panel.safetensors"
    whole: Demo = located(demo, "w")
    assert {trade.panel for trade in whole.trades} == {whole.pretrain.panel} == {"w/data/bundled/panel.safetensors"}


def test_nothing_else_changes() -> None:
    run = located(ppo, "there")
    assert replace(run, panel=ppo.panel, states=ppo.states) == ppo
    assert located(Evaluate(), "there") == Evaluate()
    assert located(run, "there").panel == "there/there/data/dj30/panel.safetensors"  # a path is one in the workdir


def test_a_bare_name_means_what_its_stage_leaves() -> None:
    run = located(replace(ppo, panel="mine.v2", states="other"), "w")
    assert (run.panel, run.states) == ("w/data/mine.v2/panel.safetensors", "w/states/other/states.safetensors")


def test_a_file_that_the_shell_completes_is_taken_where_the_workdir_has_none(here: Path) -> None:
    mine = here / "prices" / "mine.safetensors"
    mine.parent.mkdir()
    mine.touch()
    run = replace(ppo, panel="prices/mine.safetensors")
    assert located(run, "w").panel == "prices/mine.safetensors"
    twin = here / "w" / "prices" / "mine.safetensors"
    twin.parent.mkdir(parents=True)
    twin.touch()
    assert located(run, "w").panel == "w/prices/mine.safetensors"
    assert located(replace(ppo, panel=str(mine)), "w").panel == str(mine)


def test_the_literal_workdir_of_older_configs_is_understood(here: Path) -> None:
    old = replace(ppo, panel="workdir/data/dj30/panel.safetensors")
    assert located(old, "workdir").panel == "workdir/data/dj30/panel.safetensors"
    assert located(old, "there").panel == "there/data/dj30/panel.safetensors"
    file = here / old.panel
    file.parent.mkdir(parents=True)
    file.touch()
    assert located(old, "workdir").panel == located(old, "there").panel == old.panel
