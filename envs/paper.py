"""A paper account: decisions written down before their day comes, booked afterwards by the kernel of every backtest.

The file holds the account at its last close, the decision taken after it, and what came of the decisions before. When
new days have come, the decision that was written down is booked for the first of them; days in between that nobody
decided on are decided from what was known then. A file advanced twice on one day stays as it is.

Weights of an action that is relative to what is held (`envs.actions.relative`) are certain at the fill alone: what was
written down of them is what holds if nothing moves until then, and the account is booked from what it has drifted to,
as in a backtest.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from envs.actions.portfolio import Action
from envs.batch import BatchMarket
from envs.costs import Costs
from envs.tape import Tape
from market.arrays import AnyArray, FloatArray
from market.calendar import parse_day
from market.storage.array_file import read_json, write_json

KIND, VERSION = "paper-account", 1
CASH = "cash"
"""Stands for cash among tickers; upper and lower case tell it from any ticker CASH."""


class StatingPolicy(Protocol):
    """A policy whose actions are stated weights; it sees the day's row and the account alone."""

    @property
    def action(self) -> Action:
        """Settings that the environment must have."""
        ...

    @property
    def relative(self) -> bool:
        """Whether the stated weights depend on what prices move until the fill."""
        ...

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[AnyArray, Any]:
        """Returns the action ``[1 + N]`` for a compact observation."""
        ...


@dataclass(frozen=True)
class PaperDay:
    """Result of one day.

    Attributes:
        date: Close that ends it.
        wealth: At that close, in units of the opening wealth.
        turnover: Of the day's trades, one way.
        cost: Of the day's trades, in units of the opening wealth.
        weights: Right after the trade, by ticker and ``cash``; what is not held is left out.
    """

    date: str
    wealth: float
    turnover: float
    cost: float
    weights: Mapping[str, float]


@dataclass(frozen=True)
class PaperAccount:
    """An account that trades on paper; numbers in the file are exact, so nothing is lost by writing it down.

    Attributes:
        run: The trading run that decides.
        capital: Money that the opening wealth stands for.
        day: Close that the account stands at.
        wealth: At that close, in units of the opening wealth.
        weights: At that close, by ticker and ``cash``; what is not held is left out.
        decision: Stated weights decided after that close, in the same form; None where that is still to come. Of a
            relative action, those that hold if nothing moves until the fill.
        history: The days since the account was opened.
    """

    run: str
    capital: float
    day: str
    wealth: float = 1.0
    weights: Mapping[str, float] = field(default_factory=lambda: {CASH: 1.0})
    decision: Mapping[str, float] | None = None
    history: tuple[PaperDay, ...] = ()

    def __post_init__(self) -> None:
        if parse_day(self.day) is None:
            raise ValueError(f"paper account: day is {self.day!r}, expected YYYY-MM-DD")
        if not self.capital > 0:
            raise ValueError(f"paper account: capital is {self.capital}, expected money above 0")

    @property
    def money(self) -> float:
        """Value of the account, in money."""
        return self.capital * self.wealth

    def save(self, path: str | Path) -> None:
        """Writes the file, aside and renamed: a killed process leaves the account as it was."""
        write_json(path, {"kind": KIND, "version": VERSION, **asdict(self)})

    @staticmethod
    def load(path: str | Path) -> "PaperAccount":
        """Reads the file that `save` wrote.

        Raises:
            ValueError: The file is missing, damaged, of another kind or version, or lacks a field.
        """
        data = read_json(path)
        if not isinstance(data, dict) or data.get("kind") != KIND or data.get("version") != VERSION:
            raise ValueError(f"{path}: no paper account of version {VERSION}; name another file to open one")
        try:
            days = tuple(PaperDay(**day) for day in data["history"])
            fields = {name: data[name] for name in ("run", "capital", "day", "wealth", "weights", "decision")}
            return PaperAccount(**fields, history=days)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a whole paper account ({error}); open another one") from None

    def advanced(self, tape: Tape, policy: StatingPolicy, costs: Costs) -> "PaperAccount":
        """Returns the account at the last close, with the decision for the day after it.

        Args:
            tape: The days since the account's last close and, as its last row, one that is still to come
                (`market.preparation.tomorrow`).
            policy: Decides.
            costs: What trading costs.

        Raises:
            ValueError: The tape does not hold the account's day, or lacks an asset that it holds.
        """
        market = BatchMarket(tape, 1, costs, policy.action, observation="compact", autoreset=False)
        found, last = self, str(tape.dates[-2])
        if self.day > last:
            raise ValueError(f"paper account: it stands at {self.day}, but the last day known is {last}")
        put_back(market, tape.row(self.day), self._dense(self.weights, tape), self.wealth)
        while found.day < last:
            found = found._decided(market, policy)._booked(market, policy)
        return found._decided(market, policy)

    def _decided(self, market: BatchMarket, policy: StatingPolicy) -> "PaperAccount":
        if self.decision is not None:
            return self
        shown = market.observe()
        assert isinstance(shown, dict)
        action, _ = policy.predict({name: one[0] for name, one in shown.items()}, deterministic=True)
        return replace(self, decision=by_ticker(action, market.tape))

    def _booked(self, market: BatchMarket, policy: StatingPolicy) -> "PaperAccount":
        decision = replace(self, decision=None)._decided(market, policy).decision if policy.relative else self.decision
        assert decision is not None
        *_, info = market.step(self._dense(decision, market.tape)[None])
        day = PaperDay(
            date=str(info["date"][0]),
            wealth=float(info["wealth"][0]),
            turnover=float(info["turnover"][0]),
            cost=float(info["cost"][0]),
            weights=by_ticker(info["weights"][0], market.tape),
        )
        at_close = by_ticker(market.account[0], market.tape)
        return replace(
            self, day=day.date, wealth=day.wealth, weights=at_close, decision=None, history=(*self.history, day)
        )

    def _dense(self, weights: Mapping[str, float], tape: Tape) -> FloatArray:
        dense = np.zeros(1 + tape.n_assets)
        places = {CASH: 0, **{name: 1 + k for k, name in enumerate(tape.assets)}}
        for name, weight in weights.items():
            if name not in places:
                raise ValueError(f"paper account: it holds {name}, which is none of the panel's {tape.n_assets} assets")
            dense[places[name]] = weight
        return dense


def by_ticker(weights: FloatArray, tape: Tape) -> dict[str, float]:
    """Returns the weights ``[1 + N]`` that are not zero, by ticker and ``cash``."""
    names = (CASH, *tape.assets)
    return {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight != 0}


def put_back(market: BatchMarket, row: int, account: FloatArray, wealth: float = 1.0) -> None:
    """Puts the one account of `market` on a row with exactly these weights at the close ``[1 + N]``."""
    market.reset(options={"day": row})
    arrays, generators = market.snapshot()
    arrays["account"][0], arrays["wealth"][0] = account, wealth
    market.restore(arrays, generators)
