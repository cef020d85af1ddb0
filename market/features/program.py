"""Evaluates many formulas over one block of assets, each shared part once.

The formulas are compiled to a list of steps over numbered slots. Equal subexpressions share a slot, whatever formula
they stand in. Rolling operators that the same sweep of `market.features.operators` can compute from the same operands
become one step: ``mean(close, 5)`` and ``mean(close, 60)``, or ``slope(close, 5)`` and ``residual(close, 10)``. A slot
is let go after its last use, so the memory in use stays within the processor's cache.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from market.arrays import AnyFloatArray, BoolArray, FloatArray, IntArray
from market.features.expressions import Call, Expression, Field, Number
from market.features.operators import ALPHABET, Statistic, Sweep

Value = AnyFloatArray | float
"""A block ``[n, T]``, or the same number everywhere."""
Group = tuple[Sweep, tuple[Expression, ...]]


@dataclass(frozen=True)
class AssetBlock:
    """The inputs of some assets, time last.

    Attributes:
        fields: Values of each field, ``[n, T]`` float64, NaN where the asset is halted.
        start: ``[n]``, the first known or listed row of each asset, or T; its series begins there.
        before: ``[n, T]``, true before `start`.
    """

    fields: Mapping[str, FloatArray]
    start: IntArray
    before: BoolArray


@dataclass
class Instruction:
    """One evaluation: what it reads, what it writes, and which slots nobody reads after it."""

    run: Callable[[AssetBlock, Sequence[Value]], Sequence[Value]]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    releases: list[int] = field(default_factory=list)


class Program:
    """The steps that evaluate `expressions`, in an order in which everything is there when it is needed."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        self.fields = sorted(frozenset[str]().union(*(expression.fields for expression in expressions)))
        self.outputs: dict[int, list[int]] = {}
        self.steps: list[Instruction] = []
        self._slots: dict[Expression, int] = {}
        self._groups = _groups(expressions)
        for position, expression in enumerate(expressions):
            self.outputs.setdefault(self._slot(expression), []).append(position)
        self._plan_releases()

    def run(self, block: AssetBlock, write: Callable[[int, Value], None]) -> None:
        """Evaluates every expression and calls ``write(position, value)`` once for each."""
        slots: dict[int, Value] = {}
        with np.errstate(all="ignore"):  # 0 / 0, log of a negative, overflow: NaN and infinity are the answer
            for step in self.steps:
                results = step.run(block, [slots[slot] for slot in step.reads])
                for slot, value in zip(step.writes, results, strict=True):
                    slots[slot] = value
                    for position in self.outputs.get(slot, ()):
                        write(position, value)
                for slot in step.releases:
                    del slots[slot]

    def _slot(self, expression: Expression) -> int:
        # Returns the slot of `expression`, after the steps that fill it.
        if expression in self._slots:
            return self._slots[expression]
        if isinstance(expression, Call):
            reads = tuple(self._slot(operand) for operand in expression.operands)
            sweep = ALPHABET[expression.operator].sweep
            members: Sequence[Expression] = self._groups[sweep, expression.operands] if sweep else [expression]
            run = (
                _rolling_step(sweep, self._groups[sweep, expression.operands]) if sweep else _pointwise_step(expression)
            )
        else:
            reads, members, run = (), [expression], _leaf_step(expression)
        writes = tuple(range(len(self._slots), len(self._slots) + len(members)))
        self._slots.update(zip(members, writes, strict=True))
        self.steps.append(Instruction(run, reads, writes))
        return self._slots[expression]

    def _plan_releases(self) -> None:
        last: dict[int, Instruction] = {}
        for step in self.steps:
            last.update(dict.fromkeys((*step.reads, *step.writes), step))
        for slot, step in last.items():
            step.releases.append(slot)


def _groups(expressions: Sequence[Expression]) -> dict[Group, list[Call]]:
    """Returns, for each sweep and operands, the distinct calls that ask for them."""
    groups: dict[Group, list[Call]] = {}
    seen: set[Expression] = set()
    ahead = list(reversed(expressions))
    while ahead:
        expression = ahead.pop()
        if expression in seen or not isinstance(expression, Call):
            continue
        seen.add(expression)
        ahead.extend(reversed(expression.operands))
        sweep = ALPHABET[expression.operator].sweep
        if sweep:
            groups.setdefault((sweep, expression.operands), []).append(expression)
    return groups


def _rolling_step(sweep: Sweep, members: Sequence[Call]) -> Callable[[AssetBlock, Sequence[Value]], Sequence[Value]]:
    windows = sorted({int(call.parameters[0]) for call in members})
    statistics: list[Statistic] = list(dict.fromkeys((call.operator, call.parameters[1:]) for call in members))
    places = [
        (statistics.index((call.operator, call.parameters[1:])), windows.index(int(call.parameters[0])))
        for call in members
    ]

    def run(block: AssetBlock, operands: Sequence[Value]) -> Sequence[Value]:
        arrays = [np.broadcast_to(value, block.before.shape) for value in operands]
        results = sweep(arrays, np.array(windows), statistics, block.start)
        return [results[place] for place in places]

    return run


def _pointwise_step(call: Call) -> Callable[[AssetBlock, Sequence[Value]], Sequence[Value]]:
    pointwise = ALPHABET[call.operator].pointwise
    assert pointwise is not None

    def run(block: AssetBlock, operands: Sequence[Value]) -> Sequence[Value]:
        return (pointwise(*operands),)

    return run


def _leaf_step(leaf: Expression) -> Callable[[AssetBlock, Sequence[Value]], Sequence[Value]]:
    if isinstance(leaf, Number):
        return lambda block, operands: (leaf.value,)
    assert isinstance(leaf, Field)
    return lambda block, operands: (block.fields[leaf.name],)
