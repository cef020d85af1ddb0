"""Formulas: text and tree are the same thing, and what cannot be one says why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.expressions import (
    Builder,
    Call,
    Expression,
    Field,
    Fields,
    Number,
    argmax,
    corr,
    delay,
    maximum,
    mean,
    parse,
    quantile,
    where,
)
from market.operators import ALPHABET

CLOSE, OPEN = Field("close"), Field("open")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (CLOSE / delay(CLOSE, 1) - 1, "close / delay(close, 1) - 1"),
        ((CLOSE - OPEN) / (2 * OPEN), "(close - open) / (2 * open)"),
        (CLOSE - (OPEN - 1), "close - (open - 1)"),
        (CLOSE - OPEN - 1, "close - open - 1"),
        (1 - CLOSE * -2, "1 - close * -2"),
        (-CLOSE, "-1 * close"),
        (abs(CLOSE + 1e-12), "abs(close + 1e-12)"),
        (mean(CLOSE > OPEN, 5), "mean(close > open, 5)"),
        ((CLOSE > OPEN) + (CLOSE <= 3), "(close > open) + (close <= 3)"),
        ((CLOSE > OPEN) > 0.5, "(close > open) > 0.5"),
        ((CLOSE < OPEN) < 0.5, "(close < open) < 0.5"),
        (quantile(CLOSE, 5, 0.8), "quantile(close, 5, 0.8)"),
        (corr(CLOSE, OPEN + 1, 20), "corr(close, open + 1, 20)"),
        (where(CLOSE >= OPEN, maximum(CLOSE, 0), 1e-3 / OPEN), "where(close >= open, maximum(close, 0), 0.001 / open)"),
    ],
)
def test_text_of_an_expression(expression: Expression, text: str) -> None:
    assert str(expression) == text
    assert parse(text) == expression


def test_text_may_be_written_freely() -> None:
    assert parse("  (close)/delay( close,1 ) -1.0") == parse("close / delay(close, 1) - 1")
    assert parse("+".join(["close"] * 3)) == CLOSE + CLOSE + CLOSE
    assert parse("-(close)") == -CLOSE
    assert parse("--2 * close") == 2 * CLOSE


NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(Number)
FIELDS = st.sampled_from(["close", "open", "x1", "mean"]).map(Field)


def calls(operands: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def call(name: str) -> st.SearchStrategy[Expression]:
        operator = ALPHABET[name]
        parameters = (st.integers(1, 300).map(float), st.floats(0, 1))[: len(operator.parameters)]
        inner = operands.filter(lambda operand: bool(operand.fields)) if operator.sweep else operands
        return st.builds(Call, st.just(name), st.tuples(*[inner] * operator.operands), st.tuples(*parameters))

    return st.sampled_from(sorted(ALPHABET)).flatmap(call)


@settings(max_examples=300)
@given(st.recursive(NUMBERS | FIELDS, calls, max_leaves=12))
def test_parse_reads_back_what_str_writes(expression: Expression) -> None:
    assert parse(str(expression)) == expression


def test_fields_of_an_expression() -> None:
    x = Fields()
    assert (corr(x.close, x.volume, 5) / x.close + argmax(x.high, 3)).fields == {"close", "volume", "high"}
    assert Number(1).fields == frozenset()


def test_every_operator_can_be_built() -> None:
    import market.expressions as expressions

    built = {name for name in ALPHABET if isinstance(getattr(expressions, name, None), Builder)}
    assert built == {name for name in ALPHABET if name.isidentifier()} - {"abs"}
    assert all(getattr(expressions, name).operator == name for name in built)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meen(close, 5)", r"formula 'meen\(close, 5\)', column 1: unknown operator 'meen'; did you mean mean\?"),
        ("close + Max(high, 5)", r"column 9: unknown operator 'Max'; did you mean highest\?"),
        ("zzz(close)", r"unknown operator 'zzz'; there are abs, log"),
        ("mean(close)", r"column 1: mean\(close\) does not fit mean\(x, window\)"),
        ("1 + mean(close, 5, 6)", r"column 5: mean\(close, 5, 6\) does not fit mean\(x, window\)"),
        ("corr(close, 5)", r"corr\(close, 5\) does not fit corr\(x, y, window\)"),
        ("mean(close, open)", r"mean\(close, open\): a window or level must be a number"),
        ("delay(close, -1)", r"delay: window is -1, .* looks back, never ahead"),
        ("delay(close, 0)", r"delay: window is 0"),
        ("mean(close, 2.5)", r"mean: window is 2.5, expected a whole number"),
        ("quantile(close, 5, 8)", r"quantile: level is 8, expected a number from 0 to 1"),
        ("mean(1 + 2, 5)", r"mean of a constant"),
        ("close +", r"formula 'close \+', column \d+: invalid syntax"),
        ("(close", r"column 1: '\(' was never closed"),
        ("a < b < c", r"column 1: only fields, numbers"),
        ("close == open", r"only fields, numbers"),
        ("close ** 2", r"only fields, numbers"),
        ("close if open else 1", r"only fields, numbers"),
        ("'close'", r"only fields, numbers"),
        ("True", r"only fields, numbers"),
        ("mean(close, window=5)", r"only fields, numbers"),
        ("x.close", r"only fields, numbers"),
        ("close[0]", r"only fields, numbers"),
        ("lambda: 1", r"only fields, numbers"),
        ("__import__('os').system('true')", r"only fields, numbers"),
        ("__import__('os')", r"unknown operator '__import__'"),
        ("1e999 * close", r"inf is not a number"),
        ("", r"invalid syntax"),
        ("+".join(["close"] * 5000), r"nested too deeply"),
    ],
)
def test_what_is_not_a_formula(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("formula '")


def test_an_expression_has_no_truth_value() -> None:
    with pytest.raises(ValueError, match=r"'high > 5' has no truth value; choose with where"):
        max(5, Field("high"))
    with pytest.raises(ValueError, match="no truth value"):
        1 < CLOSE < 2  # noqa: B015


def test_builders_refuse_what_parse_refuses() -> None:
    with pytest.raises(ValueError, match="a window or level must be a number"):
        mean(CLOSE, OPEN)
    with pytest.raises(ValueError, match="never ahead"):
        delay(CLOSE, -1)
    with pytest.raises(ValueError, match=r"does not fit mean\(x, window\)"):
        mean(CLOSE)
    with pytest.raises(ValueError, match="unknown operator 'meen'; did you mean mean"):
        Call("meen", (CLOSE,), (5,))
    with pytest.raises(ValueError, match="field 'adj close' cannot stand in a formula"):
        Field("adj close")
    with pytest.raises(ValueError, match="field 'lambda' cannot stand in a formula"):
        Field("lambda")
