"""MarketRules: the terms on which a market is traded, as one value that travels from prices to evidence.

A panel may name them (`Prepare.market`); pretraining, states, training and evaluation take over what they are not told
themselves, and say where they were told something else. So a limit that the forecasts respected is not forgotten by the
agents that trade on them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from envs.costs import Costs
from market.prices.fills import Fill, check_fill
from market.states import RULES

RECORDED = RULES
"""Where the header of a panel or of states names its rules."""


@dataclass(frozen=True)
class MarketRules:
    """How a market is traded: when orders are filled, what they cost, and what the exchange allows.

    Cash and borrow rates are among the costs.

    Attributes:
        fill: When decisions are carried out; None where nothing has been said yet.
        costs: What trading and holding cost.
        price_limit: Daily limit on moves, 0.1 for 10 %: no buying at limit-up, no selling at limit-down. None for none.
        delisting_return: Return on the last price when a listing ends.
        periods_per_year: Number of bars in a year; None where nothing has been said yet.
    """

    fill: Fill | None = None
    costs: Costs = field(default_factory=Costs)
    price_limit: float | None = None
    delisting_return: float = 0.0
    periods_per_year: float | None = None

    def __post_init__(self) -> None:
        if self.fill is not None:
            check_fill(self.fill)
        if self.price_limit is not None and not 0 < self.price_limit < 1:
            raise ValueError(f"rules: price_limit is {self.price_limit}, expected a fraction such as 0.1 for 10 %")
        if not -1 <= self.delisting_return < float("inf"):
            raise ValueError(f"rules: delisting_return is {self.delisting_return}, expected at least -1")
        if self.periods_per_year is not None and not self.periods_per_year > 0:
            raise ValueError(f"rules: periods_per_year is {self.periods_per_year}, expected more than 0")

    def to_json(self) -> dict[str, Any]:
        """Returns the rules as JSON, for headers and ``metrics.json``."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "MarketRules":
        """Returns the rules that `to_json` wrote.

        Raises:
            ValueError: A field does not exist or has a value that is none.
        """
        try:
            return MarketRules(**{**data, "costs": Costs(**data["costs"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"rules: {dict(data)} are no market rules ({error}); write the file again") from None

    def override(
        self,
        costs: Costs | None = None,
        price_limit: float | None = None,
        delisting_return: float | None = None,
        fill: Fill | None = None,
    ) -> "MarketRules":
        """Returns the rules with what a stage names itself; None keeps them, a price limit of 0 takes it away."""
        return replace(
            self,
            costs=self.costs if costs is None else costs,
            price_limit=self.price_limit if price_limit is None else price_limit or None,
            delisting_return=self.delisting_return if delisting_return is None else delisting_return,
            fill=self.fill if fill is None else fill,
        )

    def departures(self, other: "MarketRules") -> tuple[str, ...]:
        """Returns the names of the fields in which these rules differ from `other`, of the costs one by one.

        What one of the two has not been told is no difference.
        """
        costs = [f"costs.{one.name}" for one in fields(Costs) if _at(self.costs, one) != _at(other.costs, one)]
        own = ("fill", "price_limit", "delisting_return", "periods_per_year")
        unsaid = ("fill", "periods_per_year")
        plain = [
            name
            for name in own
            if getattr(self, name) != getattr(other, name)
            and not (name in unsaid and None in (getattr(self, name), getattr(other, name)))
        ]
        return (*plain, *costs)


def recorded_rules(header: Mapping[str, Any]) -> MarketRules | None:
    """Returns the rules that the source of a panel or the provenance of states names, None where it names none."""
    data = header.get(RECORDED)
    return None if data is None else MarketRules.from_json(data)


def _at(costs: Costs, one: Any) -> Any:
    return getattr(costs, one.name)
