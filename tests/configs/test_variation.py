"""Many experiments from one: every combination once, every name once."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.pretrain.dj30_storm_dual_small import experiment as storm
from configs.trade.ppo_single import experiment as ppo
from configs.variation import parsed, varied

WORDS = st.lists(st.text("ABCXYZ", min_size=1, max_size=4), min_size=1, max_size=4, unique=True)


@given(assets=WORDS, states=WORDS)
def test_every_combination_appears_once_in_order(assets: list[str], states: list[str]) -> None:
    runs = varied(ppo, {"asset": assets, "states": states})
    assert [(run.asset, run.states) for run in runs] == list(itertools.product(assets, states))
    assert len({run.name for run in runs}) == len(assets) * len(states)


def test_values_are_what_their_fields_take() -> None:
    values = {
        "agent.learning-rate": ["1e-3"],
        "n_envs": ["8"],
        "episode_days": ["null"],
        "seeds": ["0+1"],
        "asset": ["123"],
        "fill": ["next_open"],
    }
    (run,) = varied(ppo, values)
    found = (run.agent.learning_rate, run.n_envs, run.episode_days, run.seeds, run.asset, run.fill)  # type: ignore[attr-defined]
    assert found == (1e-3, 8, None, (0, 1), "123", "next_open")
    branches = varied(storm, {"encoder.branches": ["cross_section", "time_series+cross_section"]})
    assert [run.encoder.branches for run in branches] == [("cross_section",), ("time_series", "cross_section")]  # type: ignore[attr-defined]


def test_names_are_derived_or_filled_in() -> None:
    path = "states/one/states.safetensors"
    (run,) = varied(ppo, {"asset": ["IBM"], "states": [path]})
    assert (run.name, run.states) == ("ppo_single_IBM_one", path)
    from dataclasses import replace

    template = replace(ppo, name="{states}-{asset}-x")
    assert varied(template, {"asset": ["IBM"], "states": [path]})[0].name == "one-IBM-x"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"aset": ["IBM"]}, "--vary aset=IBM: .*did you mean 'asset'"),
        ({"n_envs": ["many"]}, "--vary n_envs=many"),
        ({"fill": ["noon"]}, "--vary fill=noon: .*expected"),
        ({"asset": ["A", "A"]}, "expected each once"),
    ],
)
def test_a_wrong_value_is_answered(values: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        varied(ppo, values)


@pytest.mark.parametrize("texts", [["asset"], ["asset="], ["=A"], ["asset=A,"], ["asset=A", "asset=B"]])
def test_a_malformed_text_is_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="expected each field once, as asset=AAPL,IBM"):
        parsed(texts)


def test_a_template_without_its_field_is_refused() -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="--vary has asset"):
        varied(replace(ppo, name="{states}"), {"asset": ["A"]})
    with pytest.raises(ValueError, match="expected each once"):
        varied(replace(ppo, name="{asset}"), {"asset": ["A"], "seeds": ["0", "1"]})
