"""A feature panel's audit counts for the very values that were audited, in memory, in a file and on a tape."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs import Tape
from envs.observables import observables_of
from market.audit import (
    AuditError,
    AuditResult,
    Columns,
    External,
    Scrutiny,
    audit_columns,
    audit_features,
    audit_of,
    certified,
    is_proven,
    sentence,
    shifted,
)
from market.features import Feature, Formulas
from market.panel import Panel
from tests.encoders.tiny import bars

FORMULAS = Formulas((Feature("MOVE", "close / delay(close, 1) - 1"),))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return bars(n_days=90)


@pytest.fixture(scope="module")
def features(panel: Panel) -> Panel:
    computed = FORMULAS.compute(panel)
    return certified(computed, audit_features(FORMULAS, panel, Scrutiny(), computed), panel)


def test_an_audited_panel_says_so_also_from_a_file(features: Panel, tmp_path: Path) -> None:
    assert audit_of(features)["verdict"] == "passed"
    features.save(tmp_path / "features.safetensors")
    assert audit_of(Panel.load(tmp_path / "features.safetensors"))["verdict"] == "passed"


def test_other_values_or_days_under_the_same_record_are_not_audited(features: Panel) -> None:
    values = np.array(features.values)
    values[3, 0, 0] += 1
    for other in (replace(features, values=values), features[:50], replace(features, fields=("OTHER",))):
        assert audit_of(other) == {"verdict": "not audited", "why": "the features are not those that were audited"}


def test_a_tape_says_what_is_seen_and_what_was_proven(panel: Panel, features: Panel) -> None:
    seen = [Tape.from_panel(panel, features=one).provenance for one in (features, FORMULAS.compute(panel), None)]
    assert [(one["sees"], one["audit"]) for one in seen] == [
        ("features", "passed"),
        ("features", "not audited"),
        ("bars", "built in"),
    ]
    assert Tape.from_panel(panel, features=features).only("A1").provenance["audit"] == "passed"


def test_what_failed_cannot_be_certified(features: Panel) -> None:
    with pytest.raises(AuditError, match="cannot be called audited: future: MOVE"):
        certified(features, AuditResult(("future: MOVE moved",), {}, Scrutiny()))


def test_an_external_column_is_moved_by_its_lag() -> None:
    values = np.arange(10.0).reshape(5, 1, 2)
    moved = shifted(values, ("a", "b"), (External("b", 2),))
    np.testing.assert_array_equal(moved[:, 0, 0], values[:, 0, 0])
    np.testing.assert_array_equal(moved[:, 0, 1], [np.nan, np.nan, 1.0, 3.0, 5.0])
    with pytest.raises(ValueError, match="'c' is none of the 2 columns"):
        shifted(values, ("a", "b"), (External("c", 1),))
    with pytest.raises(ValueError, match="lag is -1 days, expected 0 or more"):
        External("b", -1)


def test_one_line_says_what_is_seen_on_a_tape_and_what_was_proven(panel: Panel, features: Panel) -> None:
    audited, plain, seen = (
        Tape.from_panel(panel, features=one).provenance for one in (features, FORMULAS.compute(panel), None)
    )
    assert sentence(audited).startswith("The agent saw features; audited and passed; ")
    assert sentence(plain) == ("The agent saw features; not audited: nothing shows that it did not see the future.")
    assert sentence(seen) == (
        "The agent saw bars: ratios within each day's bar and to the close before, which hold nothing later."
    )
    assert [is_proven(one) for one in (audited, plain, seen)] == [True, False, True]


def test_what_is_said_of_bars_passes_the_audit(panel: Panel) -> None:
    def compute(one: Panel) -> list[Columns]:
        seen = observables_of(one, None, None)
        return [
            Columns(seen.asset, seen.channels),
            Columns(seen.market[:, None], seen.market_channels),
            Columns(seen.seen[..., None].astype(np.float32), ("seen",)),
        ]

    assert audit_columns(compute, panel).faults == ()
    assert audit_columns(compute, panel, Scrutiny(cuts=3, cells=1e4)).faults == ()
