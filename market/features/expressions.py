"""Formulas over the fields of a panel, as data: built in Python or read from text, causal by construction.

An `Expression` is a tree of fields, numbers and operators of `market.features.operators.ALPHABET`, built by writing it
down:

    close = Field("close")
    close / delay(close, 5) - 1

It has one canonical text, ``str(expression)``, and `parse` reads that text back to an equal tree. Nothing is ever
executed: the text is read by `ast` and only what the alphabet holds is accepted. As every operator looks back only, so
does every formula.
"""

import ast
import difflib
import functools
import keyword
from dataclasses import dataclass
from typing import NoReturn, Union

from market.features.operators import ALPHABET

Operand = Union["Expression", float]

_PRECEDENCE = {"<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3}
_ATOM = 4
_INFIX: dict[type[ast.operator] | type[ast.cmpop], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}

_ELSEWHERE = {"max": "highest", "min": "lowest", "sum": "total", "ref": "delay", "shift": "delay", "idxmax": "argmax"}
"""Names of other libraries for some of our operators."""


class Expression:
    """A formula: a `Field`, a `Number` or a `Call`. Two are equal where their trees are.

    ``+ - * /``, ``< <= > >=`` and `abs` build larger ones; a comparison is 1 where it holds, else 0. An expression has
    no truth value: choose with `where`, `maximum` or `minimum`.
    """

    def __add__(self, other: Operand) -> "Expression":
        return Call("+", (self, _operand(other)))

    def __radd__(self, other: float) -> "Expression":
        return Call("+", (_operand(other), self))

    def __sub__(self, other: Operand) -> "Expression":
        return Call("-", (self, _operand(other)))

    def __rsub__(self, other: float) -> "Expression":
        return Call("-", (_operand(other), self))

    def __mul__(self, other: Operand) -> "Expression":
        return Call("*", (self, _operand(other)))

    def __rmul__(self, other: float) -> "Expression":
        return Call("*", (_operand(other), self))

    def __truediv__(self, other: Operand) -> "Expression":
        return Call("/", (self, _operand(other)))

    def __rtruediv__(self, other: float) -> "Expression":
        return Call("/", (_operand(other), self))

    def __lt__(self, other: Operand) -> "Expression":
        return Call("<", (self, _operand(other)))

    def __le__(self, other: Operand) -> "Expression":
        return Call("<=", (self, _operand(other)))

    def __gt__(self, other: Operand) -> "Expression":
        return Call(">", (self, _operand(other)))

    def __ge__(self, other: Operand) -> "Expression":
        return Call(">=", (self, _operand(other)))

    def __neg__(self) -> "Expression":
        return Number(-self.value) if isinstance(self, Number) else -1 * self

    def __abs__(self) -> "Expression":
        return Call("abs", (self,))

    def __bool__(self) -> NoReturn:
        raise ValueError(f"formula '{self}' has no truth value; choose with where(), maximum() or minimum()")

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields it reads."""
        return frozenset()


@dataclass(frozen=True)
class Field(Expression):
    """The values of one field of a panel."""

    name: str

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or keyword.iskeyword(self.name):
            raise ValueError(f"field '{self.name}' cannot stand in a formula; rename it to letters, digits and _")

    def __str__(self) -> str:
        return self.name

    @property
    def fields(self) -> frozenset[str]:
        """Its own name."""
        return frozenset((self.name,))


@dataclass(frozen=True)
class Number(Expression):
    """A finite constant."""

    value: float

    def __post_init__(self) -> None:
        if not abs(self.value) < float("inf"):
            raise ValueError(f"formula: {self.value} is not a number to compute with")

    def __str__(self) -> str:
        whole = float(self.value).is_integer() and abs(self.value) < 1e15
        return str(int(self.value)) if whole else repr(float(self.value))


@dataclass(frozen=True)
class Call(Expression):
    """An operator of the alphabet applied to expressions, with its window and other parameters.

    Raises:
        ValueError: The operator is unknown, is given the wrong number of things, or a window looks ahead.
    """

    operator: str
    operands: tuple[Expression, ...]
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.operator not in ALPHABET:
            raise ValueError(f"formula: unknown operator '{self.operator}'{_nearest(self.operator)}")
        known = ALPHABET[self.operator]
        if (len(self.operands), len(self.parameters)) != (known.operands, len(known.parameters)):
            wanted = ", ".join((*("x", "y", "z")[: known.operands], *known.parameters))
            given = ", ".join((*map(str, self.operands), *(f"{value:g}" for value in self.parameters)))
            raise ValueError(f"formula: {self.operator}({given}) does not fit {self.operator}({wanted})")
        known.check(self.operator, self.parameters)
        if known.sweep and not all(operand.fields for operand in self.operands):
            raise ValueError(f"formula: {self.operator} of a constant; give it a field")

    def __str__(self) -> str:
        if self.operator not in _PRECEDENCE:
            return f"{self.operator}({', '.join(map(str, (*self.operands, *map(Number, self.parameters))))})"
        own = _PRECEDENCE[self.operator]
        left, right = self.operands
        left_text = str(left) if _precedence(left) >= max(own, 2) else f"({left})"  # a < b < c would be a chain
        right_text = str(right) if _precedence(right) > own else f"({right})"
        return f"{left_text} {self.operator} {right_text}"

    @functools.cached_property
    def fields(self) -> frozenset[str]:
        """Names of the fields it reads."""
        return frozenset().union(*(operand.fields for operand in self.operands))


class Fields:
    """Turns attributes into fields: ``x.close`` is ``Field("close")`` where `x` is a `Fields`."""

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(name)


@dataclass(frozen=True)
class Builder:
    """Builds calls of one operator: ``mean(x.close, 5)``; `market.features.operators` documents each by its name."""

    operator: str

    def __call__(self, *arguments: Operand) -> Expression:
        """Returns the operator applied to expressions, followed by its window and other parameters."""
        count = ALPHABET[self.operator].operands
        parameters = arguments[count:]
        if any(isinstance(value, Expression) for value in parameters):
            given = ", ".join(map(str, arguments))
            raise ValueError(f"formula: {self.operator}({given}): a window or level must be a number")
        return Call(self.operator, tuple(map(_operand, arguments[:count])), tuple(map(float, parameters)))  # type: ignore[arg-type]


log, sign, sqrt = Builder("log"), Builder("sign"), Builder("sqrt")
maximum, minimum, where = Builder("maximum"), Builder("minimum"), Builder("where")
delay, total, mean = Builder("delay"), Builder("total"), Builder("mean")
var, std, cov, corr = Builder("var"), Builder("std"), Builder("cov"), Builder("corr")
slope, rsquare, residual = Builder("slope"), Builder("rsquare"), Builder("residual")
highest, lowest, argmax, argmin = Builder("highest"), Builder("lowest"), Builder("argmax"), Builder("argmin")
rank, quantile, ema = Builder("rank"), Builder("quantile"), Builder("ema")


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Returns the expression that `text` writes; ``parse(str(e)) == e`` for every expression.

    Raises:
        ValueError: The text is not a formula; the message shows it, the place, and the names that may have been meant.
    """
    text = text.strip()
    try:
        return _read(ast.parse(text, mode="eval").body, text)
    except SyntaxError as error:
        raise ValueError(f"formula '{text}', column {error.offset}: {error.msg}") from None
    except RecursionError:
        raise ValueError(f"formula '{text[:60]}...': nested too deeply; split it into several features") from None


def _read(node: ast.expr, text: str) -> Expression:
    try:
        match node:
            case ast.Name(id=name):
                return Field(name)
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return Number(float(value))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -_read(operand, text)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _INFIX:
                return Call(_INFIX[type(operator)], (_read(left, text), _read(right, text)))
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _INFIX:
                return Call(_INFIX[type(operator)], (_read(left, text), _read(right, text)))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name.isidentifier():
                if name not in ALPHABET:
                    raise ValueError(f"formula: unknown operator '{name}'{_nearest(name)}")
                return _read_call(name, [_read(argument, text) for argument in arguments])
        raise ValueError("formula: only fields, numbers, + - * /, < <= > >= and operators can stand here")
    except ValueError as error:
        if str(error).startswith("formula '"):  # already placed, by a node further in
            raise
        reason = str(error).removeprefix("formula: ")
        raise ValueError(f"formula '{text}', column {node.col_offset + 1}: {reason}") from None


def _read_call(name: str, arguments: list[Expression]) -> Expression:
    count = ALPHABET[name].operands
    given = [argument.value if isinstance(argument, Number) else None for argument in arguments[count:]]
    parameters = tuple(value for value in given if value is not None)
    if len(parameters) != len(given):
        raise ValueError(f"formula: {name}({', '.join(map(str, arguments))}): a window or level must be a number")
    return Call(name, tuple(arguments[:count]), parameters)


def _operand(value: Operand) -> Expression:
    return value if isinstance(value, Expression) else Number(float(value))


def _precedence(expression: Expression) -> int:
    return _PRECEDENCE.get(expression.operator, _ATOM) if isinstance(expression, Call) else _ATOM


def _nearest(name: str) -> str:
    names = [known for known in ALPHABET if known.isidentifier()]
    if name.lower() in _ELSEWHERE:
        return f"; did you mean {_ELSEWHERE[name.lower()]}?"
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(names)}"
