"""Feature tables: what a user writes, what is dropped, and what is refused."""

import dataclasses

import numpy as np
import pytest

from market.features import Feature, FeatureSet, Formulas, feature
from market.features.alpha158 import Alpha158
from market.features.alpha360 import Alpha360
from market.features.expressions import Expression, Fields, corr, delay, mean
from market.features.storm import StormFeatures
from market.panel import Panel


@pytest.fixture
def panel() -> Panel:
    rng = np.random.default_rng(4)
    values = 10 + rng.random((30, 2, 2))
    listed = np.ones((30, 2), dtype=bool)
    dates = np.datetime64("2020-01-01") + np.arange(30)
    return Panel(dates, ("A", "B"), ("open", "close"), values, listed, listed, {"name": "made"})


def overnight_gap(x: Fields) -> Expression:
    return x.open / delay(x.close, 1) - 1


def test_a_feature_from_a_function(panel: Panel) -> None:
    gap = feature(overnight_gap)
    assert gap == Feature("overnight_gap", "open / delay(close, 1) - 1")
    features = Formulas((gap,)).compute(panel)
    assert features.fields == ("overnight_gap",)
    assert features.values.dtype == np.float32
    expected = panel["open"][1:] / panel["close"][:-1] - 1
    np.testing.assert_array_equal(features["overnight_gap"][1:], expected.astype(np.float32))
    assert np.isnan(features["overnight_gap"][0]).all()


@pytest.mark.parametrize("features", [Alpha158, Alpha360, StormFeatures])
def test_extra_features_come_last(features: type, panel: Panel) -> None:
    extra = (feature(overnight_gap), Feature("half", "close / 2"))
    computed = features(extra=extra).compute(panel)
    assert computed.fields[-2:] == ("overnight_gap", "half")
    alone = Formulas(extra).compute(panel)
    np.testing.assert_array_equal(computed.values[:, :, -2:], alone.values)
    assert isinstance(features(), FeatureSet)


def test_feature_sets_are_plain_data() -> None:
    features = Alpha158(extra=(feature(overnight_gap),))
    assert features == Alpha158(extra=(Feature("overnight_gap", "open / delay(close, 1) - 1"),))
    assert hash(features) == hash(dataclasses.replace(features))
    assert dataclasses.asdict(features) == {
        "extra": ({"name": "overnight_gap", "formula": "open / delay(close, 1) - 1"},)
    }


def test_the_source_says_what_was_computed(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    wanted = (
        Feature("a", "close / open"),
        Feature("b", "volume / close"),
        Feature("c", "vwap + volume"),
        Feature("d", "log(volume)"),
    )
    features = Formulas(wanted).compute(panel)
    Formulas(wanted).compute(panel)  # says it once
    assert features.source == {
        "name": "made",
        "features": "Formulas",
        "formulas": {"a": "close / open"},
        "dropped_features": {"volume": ["b", "d"], "volume, vwap": ["c"]},
    }
    assert [record.getMessage() for record in caplog.records] == [
        "Formulas: 3 of 4 features dropped (no volume: b, d; no volume, vwap: c)"
    ]


def test_nothing_dropped_nothing_said(panel: Panel, caplog: pytest.LogCaptureFixture) -> None:
    features = Formulas((Feature("a", "close / open"),)).compute(panel)
    assert features.source["dropped_features"] == {}
    assert not caplog.records


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ((Feature("a", "volume"),), r"Formulas: no feature can be computed from open, close; it needs volume"),
        ((), r"Formulas: no feature can be computed from open, close; it needs features in its table"),
        ((Feature("a", "open"), Feature("a", "close")), r"Formulas: two features are called a; rename one"),
        (
            (Feature("a", "open"), Feature("b", "clsoe + 1")),
            r"Formulas: feature b = 'clsoe \+ 1' needs 'clsoe'; did you mean 'close'\?",
        ),
    ],
)
def test_tables_that_are_refused(features: tuple[Feature, ...], message: str, panel: Panel) -> None:
    with pytest.raises(ValueError, match=message):
        Formulas(features).compute(panel)


def test_a_constant_is_no_feature() -> None:
    with pytest.raises(ValueError, match=r"feature one: formula '1 \+ 2' reads no field"):
        Feature("one", "1 + 2")


def test_a_formula_that_cannot_be_read() -> None:
    with pytest.raises(ValueError, match=r"formula 'meen\(close, 5\)', column 1: .* did you mean mean"):
        Feature("m", "meen(close, 5)")
    with pytest.raises(ValueError, match=r"feature 'close': its name is empty"):
        Feature("", "close")


def test_a_function_must_return_a_formula() -> None:
    def nothing(x: Fields) -> None:
        mean(x.close, 5)

    with pytest.raises(ValueError, match="feature nothing: the function returns NoneType, expected a formula"):
        feature(nothing)


def test_a_function_may_use_every_operator() -> None:
    def mixed(x: Fields) -> Expression:
        return abs(corr(x.close, x.open, 5)) * (x.close > 10.5) + -x.open

    text = "abs(corr(close, open, 5)) * (close > 10.5) + -1 * open"
    assert feature(mixed) == Feature("mixed", text)
