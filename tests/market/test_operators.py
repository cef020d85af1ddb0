"""Every operator against a hand table, against pandas on any input, and against its own past."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from market.features import operators
from market.features.operators import ALPHABET

NAN = np.nan
X = [3.0, 1.0, NAN, 2.0, 2.0]
Y = [1.0, 2.0, 5.0, NAN, 4.0]

HAND_TABLES = {
    ("delay", 2): [NAN, NAN, 3, 1, NAN],
    ("total", 3): [3, 4, 4, 3, 4],
    ("mean", 3): [3, 2, 2, 1.5, 2],
    ("var", 3): [NAN, 2, 2, 0.5, 0],
    ("std", 3): [NAN, 2**0.5, 2**0.5, 0.5**0.5, 0],
    ("slope", 3): [NAN, -2, -2, 0.5, 0],
    ("rsquare", 3): [NAN, 1, 1, 1, NAN],
    ("residual", 3): [NAN, 0, NAN, 0, 0],
    ("slope", 4): [NAN, -2, -2, -3 / 14, 5 / 14],
    ("highest", 3): [3, 3, 3, 2, 2],
    ("lowest", 3): [3, 1, 1, 1, 2],
    ("argmax", 3): [1, 1, 1, 3, 2],
    ("argmin", 3): [1, 2, 2, 1, 2],
    ("rank", 3): [1, 0.5, NAN, 1, 0.75],
    ("quantile", 3, 0.25): [3, 1.5, 1.5, 1.25, 2],
    ("ema", 3): [3, 5 / 3, 5 / 3, 21 / 11, 53 / 27],
}
PAIR_TABLES = {
    ("cov", 3): [NAN, -1, -1, NAN, NAN],
    ("corr", 3): [NAN, -1, -1, NAN, NAN],
    ("corr", 5): [NAN, -1, -1, -1, -1 / (84 / 9) ** 0.5],
}


def column(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def apply(name: str, operands: list[np.ndarray], parameters: tuple[float, ...]) -> np.ndarray:
    return getattr(operators, name)(*operands, *parameters)


@pytest.mark.parametrize(("call", "expected"), HAND_TABLES.items(), ids=str)
def test_hand_table(call: tuple, expected: list) -> None:
    np.testing.assert_allclose(apply(call[0], [column(X)], call[1:]), column(expected), atol=1e-12)


@pytest.mark.parametrize(("call", "expected"), PAIR_TABLES.items(), ids=str)
def test_hand_table_of_two(call: tuple, expected: list) -> None:
    np.testing.assert_allclose(apply(call[0], [column(X), column(Y)], call[1:]), column(expected), atol=1e-12)


def test_every_operator_is_an_array_function_too() -> None:
    rolling = {name for name, operator in ALPHABET.items() if operator.sweep}
    assert rolling == {call[0] for call in (*HAND_TABLES, *PAIR_TABLES)}
    assert all(getattr(operators, name).__doc__ for name in rolling)


# --- pandas as the oracle ---------------------------------------------------------------------------------------------

EIGHTHS = st.integers(-64, 64).map(lambda k: k / 8)  # ties and constant runs are likely, sums are exact
SERIES = hnp.arrays(float, st.tuples(st.integers(1, 40), st.just(1)), elements=EIGHTHS | st.just(NAN))
TWO = hnp.arrays(float, st.tuples(st.integers(1, 40), st.just(2)), elements=EIGHTHS | st.just(NAN))
WINDOWS = st.integers(1, 12)


def fitted(values: np.ndarray, what: str) -> float:
    days = np.arange(len(values))[~np.isnan(values)]
    seen = values[~np.isnan(values)]
    if len(seen) < 2:
        return NAN
    slope, level = np.polyfit(days, seen, 1)
    if what == "slope":
        return slope
    if what == "residual":
        return values[-1] - (level + slope * (len(values) - 1))
    return np.corrcoef(days, seen)[0, 1] ** 2 if np.ptp(seen) > 0 else NAN


def place(values: np.ndarray, find: object) -> float:
    return NAN if np.isnan(values).all() else find(values) + 1


def windows_of(series: pd.Series, window: int, function: object) -> pd.Series:
    ends = range(1, len(series) + 1)
    return pd.Series([function(series.to_numpy()[max(end - window, 0) : end]) for end in ends])


PANDAS = {
    "delay": lambda s, w: s.shift(w),
    "total": lambda s, w: s.rolling(w, min_periods=1).sum(),
    "mean": lambda s, w: s.rolling(w, min_periods=1).mean(),
    "var": lambda s, w: s.rolling(w, min_periods=1).var(),
    "std": lambda s, w: s.rolling(w, min_periods=1).std(),
    "slope": lambda s, w: windows_of(s, w, lambda x: fitted(x, "slope")),
    "rsquare": lambda s, w: windows_of(s, w, lambda x: fitted(x, "rsquare")),
    "residual": lambda s, w: windows_of(s, w, lambda x: fitted(x, "residual")),
    "highest": lambda s, w: s.rolling(w, min_periods=1).max(),
    "lowest": lambda s, w: s.rolling(w, min_periods=1).min(),
    "argmax": lambda s, w: windows_of(s, w, lambda x: place(x, np.nanargmax)),
    "argmin": lambda s, w: windows_of(s, w, lambda x: place(x, np.nanargmin)),
    "rank": lambda s, w: s.rolling(w, min_periods=1).rank(pct=True),
    "ema": lambda s, w: s.ewm(span=w, min_periods=1).mean(),
}


@pytest.mark.parametrize("name", PANDAS)
@settings(max_examples=60)
@given(x=SERIES, window=WINDOWS)
def test_equals_pandas(name: str, x: np.ndarray, window: int) -> None:
    expected = PANDAS[name](pd.Series(x[:, 0]), window).to_numpy()
    np.testing.assert_allclose(apply(name, [x], (window,))[:, 0], expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=60)
@given(x=SERIES, window=WINDOWS, level=st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))
def test_quantile_equals_pandas(x: np.ndarray, window: int, level: float) -> None:
    expected = pd.Series(x[:, 0]).rolling(window, min_periods=1).quantile(level).to_numpy()
    np.testing.assert_allclose(operators.quantile(x, window, level)[:, 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["cov", "corr"])
@settings(max_examples=60)
@given(both=TWO, window=WINDOWS)
def test_pairs_equal_pandas(name: str, both: np.ndarray, window: int) -> None:
    x, y = pd.Series(both[:, 0]), pd.Series(both[:, 1])
    joint = x + y
    expected = getattr(x.rolling(window, min_periods=1), name)(y).to_numpy().copy()
    if name == "corr":  # where a series is constant pandas divides rounding by zero
        for series in (x.where(joint.notna()), y.where(joint.notna())):
            spread = series.rolling(window, min_periods=1).max() - series.rolling(window, min_periods=1).min()
            expected[spread.to_numpy() == 0] = NAN
    result = apply(name, [both[:, :1], both[:, 1:]], (window,))[:, 0]
    np.testing.assert_allclose(result, expected, rtol=1e-7, atol=1e-7)


def test_infinity_counts_as_missing() -> None:
    x, y = column([1, np.inf, 3, 2]), column([1, 2, -np.inf, 5])
    holes_x, holes_y = column([1, NAN, 3, 2]), column([1, 2, NAN, 5])
    for name, operator in ALPHABET.items():
        if operator.sweep and name != "delay":
            parameters = (3, 0.5)[: len(operator.parameters)]
            infinite = apply(name, [x, y][: operator.operands], parameters)
            missing = apply(name, [holes_x, holes_y][: operator.operands], parameters)
            np.testing.assert_array_equal(infinite, missing, err_msg=name)


def test_a_ratio_to_nothing_is_missing() -> None:
    ratio = ALPHABET["/"].pointwise
    assert ratio is not None
    with np.errstate(all="ignore"):  # as programs run them
        found = ratio(np.array([1.0, -1.0, 0.0, NAN, 4.0]), np.array([0.0, -0.0, 0.0, 2.0, 2.0]))
    np.testing.assert_array_equal(found, [NAN, NAN, NAN, NAN, 2.0])


COMPARISONS = [("<", [1, 0, 0]), ("<=", [1, 1, 0]), (">", [0, 0, 1]), (">=", [0, 1, 1])]


@pytest.mark.parametrize(("name", "expected"), COMPARISONS)
def test_a_comparison_with_nothing_is_missing(name: str, expected: list[float]) -> None:
    compare = ALPHABET[name].pointwise
    assert compare is not None
    with np.errstate(all="ignore"):
        found = compare(np.array([1.0, 2.0, 3.0, NAN, 1.0]), np.array([2.0, 2.0, 2.0, 2.0, NAN]))
    np.testing.assert_array_equal(found, [*expected, NAN, NAN])


# --- precision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["std", "slope", "rsquare", "residual", "mean", "total"])
def test_an_absurd_price_leaves_no_trace_behind(name: str) -> None:
    rng = np.random.default_rng(0)
    clean = 10 + rng.normal(0, 0.01, (300, 1))
    dirty = clean.copy()
    dirty[100] = 1.6e12
    np.testing.assert_array_equal(apply(name, [dirty], (20,))[120:], apply(name, [clean], (20,))[120:])


@pytest.mark.parametrize("name", ["var", "slope", "rsquare", "residual"])
def test_a_large_level_costs_no_precision(name: str) -> None:
    moves = np.cumsum(np.random.default_rng(1).integers(-8, 9, (200, 1)), axis=0) / 8
    np.testing.assert_allclose(apply(name, [2.0**40 + moves], (30,)), apply(name, [moves], (30,)), rtol=1e-9, atol=1e-9)


def test_windows_of_constants_are_exact() -> None:
    x = np.full((50, 1), 0.1)
    assert (operators.std(x, 10)[1:] == 0).all()
    assert np.isnan(operators.rsquare(x, 10)).all()
    assert np.isnan(operators.corr(x, np.arange(50.0)[:, None], 10)).all()
    assert (operators.residual(x, 10)[1:] == 0).all()


# --- causality --------------------------------------------------------------------------------------------------------


def assert_causal(function: object, *operands: np.ndarray) -> None:
    """Fails unless every row stays the same, to the last bit, when the rows after it are cut off."""
    whole = function(*operands)
    for days in (1, 2, 7, 33, 58, 600, 1024, 1030, len(whole) - 1):  # within a window, and around the kernels' chunks
        np.testing.assert_array_equal(function(*(x[:days] for x in operands)), whole[:days])


def walks(days: int = 1100) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x, y = 50 + np.cumsum(rng.normal(size=(2, days, 3)), axis=1)
    x[rng.random(x.shape) < 0.05] = NAN
    x[:, 1] = np.round(x[:, 1])  # ties
    return x, y


@pytest.mark.parametrize("name", sorted({call[0] for call in (*HAND_TABLES, *PAIR_TABLES)}))
@pytest.mark.parametrize("window", [1, 5, 60])
def test_causal_by_truncation(name: str, window: int) -> None:
    parameters = (window, 0.8)[: len(ALPHABET[name].parameters)]
    assert_causal(lambda *operands: apply(name, list(operands), parameters), *walks()[: ALPHABET[name].operands])


def test_the_causality_test_sees_a_centred_window() -> None:
    def centred(x: np.ndarray) -> np.ndarray:
        frame = pd.DataFrame(x).rolling(5, min_periods=1, center=True)
        return frame.mean().to_numpy()

    with pytest.raises(AssertionError):
        assert_causal(centred, walks()[0])


def test_the_causality_test_sees_centring_by_the_whole_series() -> None:
    with pytest.raises(AssertionError):
        assert_causal(lambda x: operators.mean(x - np.nanmean(x, axis=0), 5), walks()[0])


def test_assets_do_not_mix() -> None:
    x, y = walks(100)
    for name, operator in ALPHABET.items():
        if operator.sweep:
            parameters = (10, 0.2)[: len(operator.parameters)]
            together = apply(name, [x, y][: operator.operands], parameters)
            alone = apply(name, [x[:, 1:2], y[:, 1:2]][: operator.operands], parameters)
            np.testing.assert_array_equal(together[:, 1:2], alone, err_msg=name)


def test_windows_computed_together_change_nothing() -> None:
    blocks = [np.ascontiguousarray(x.T) for x in walks(300)]
    start = np.zeros(3, dtype=int)
    for name, operator in ALPHABET.items():
        if operator.sweep:
            statistics = ((name, (0.3,)[: len(operator.parameters) - 1]),)
            operands = blocks[: operator.operands]
            together = operator.sweep(operands, np.array([2, 7, 23, 60]), statistics, start)
            for j, window in enumerate((2, 7, 23, 60)):
                alone = operator.sweep(operands, np.array([window]), statistics, start)
                np.testing.assert_array_equal(together[:, j], alone[:, 0], err_msg=f"{name} {window}")


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [0, -1, 2.5])
def test_a_window_must_look_back(window: float) -> None:
    with pytest.raises(ValueError, match=r"mean: window is .* looks back, never ahead"):
        operators.mean(np.zeros((3, 1)), window)


def test_a_level_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"quantile: level is 80, expected a number from 0 to 1"):
        operators.quantile(np.zeros((3, 1)), 5, 80)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"corr: operands have shapes \[\(3, 1\), \(4, 1\)\]"):
        operators.corr(np.zeros((3, 1)), np.zeros((4, 1)), 5)
