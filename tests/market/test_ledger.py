import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.panel import Panel
from market.storage.ledger import FILE, Ledger, Look, config_hash, month_hashes, new_command


def panel(days=260, assets=("A", "B"), seed=0):
    dates = np.arange(np.datetime64("2020-01-01"), np.datetime64("2022-01-01"))
    dates = dates[np.is_busday(dates)][:days]
    close = np.exp(np.random.default_rng(seed).normal(0, 0.01, (days, len(assets))).cumsum(axis=0))
    everywhere = np.ones(close.shape, bool)
    return Panel(dates, assets, ("close",), close[..., None], everywhere, everywhere)


def look(months=("a",), **changes):
    one = Look("train", "valid", "run", "c0", 0, months, None, "k")
    return replace(one, **changes)


def test_looks_are_kept_beside_the_panel_and_found_by_the_closes_they_saw(tmp_path) -> None:
    ledger = Ledger.beside(tmp_path / "panel.safetensors")
    assert ledger.looks() == []
    first, second = look(("a", "b"), sharpe=1.5), look(("c",), seed=1)
    ledger.enter([first])
    ledger.enter([second])
    assert ledger.path == tmp_path / FILE
    assert ledger.looks() == [first, second]
    assert ledger.looks(["b", "x"]) == [first]
    assert ledger.looks(["x"]) == []


def test_a_damaged_line_is_named(tmp_path) -> None:
    ledger = Ledger(tmp_path / FILE)
    ledger.enter([look()])
    with open(ledger.path, "a") as handle:
        handle.write('{"stage": "train"}\n')
    with pytest.raises(ValueError, match=r"ledger.jsonl: line 2 is damaged"):
        ledger.looks()


def test_a_folder_that_cannot_be_written_is_refused_with_the_remedy(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"cannot be written.*make the folder writable"):
        Ledger(tmp_path / "missing" / FILE).enter([look()])


def test_appended_days_and_moved_splits_keep_the_months_they_share() -> None:
    whole = panel()
    early = month_hashes(whole[:200], "2020-02-03", "2020-08-31")
    assert len(early) == 7
    assert month_hashes(whole, "2020-02-03", "2020-08-31") == early, "later days change nothing"
    assert month_hashes(whole, "2020-02-10", "2020-08-20") == early, "whole months are hashed"
    assert set(month_hashes(whole, "2020-08-03", "2020-10-30")) & set(early) == {early[-1]}


def test_only_closes_dates_and_assets_count() -> None:
    one = panel()
    months = month_hashes(one, "2020-02-03", "2020-08-31")
    swapped = one.select(("B", "A"))
    assert month_hashes(swapped, "2020-02-03", "2020-08-31") == months
    assert month_hashes(replace(one, source={"x": 1}), "2020-02-03", "2020-08-31") == months
    other = month_hashes(panel(seed=1), "2020-02-03", "2020-08-31")
    assert not set(other) & set(months)
    values = np.array(one.values)
    values[60, 0] *= 1 + 1e-12  # one close of March
    changed = month_hashes(replace(one, values=values), "2020-02-03", "2020-08-31")
    assert [k for k, (a, b) in enumerate(zip(months, changed, strict=True)) if a != b] == [1]
    assert not set(month_hashes(one.select(("A",)), "2020-02-03", "2020-08-31")) & set(months)


@given(data=st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4) | st.none(), max_size=5))
def test_a_config_hash_depends_on_content_alone(data) -> None:
    turned = dict(reversed(list(data.items())))
    assert config_hash(turned) == config_hash(json.loads(json.dumps(data)))
    assert config_hash({**data, "new": 1}) != config_hash({**data, "new": 2})


def test_commands_have_names_of_their_own() -> None:
    assert new_command() != new_command()


def test_a_whole_number_is_one_number_however_it_is_written() -> None:
    assert config_hash({"scale": 5, "list": [1.0]}) == config_hash({"scale": 5.0, "list": [1]})
    assert config_hash({"scale": 5}) != config_hash({"scale": 5.5})
