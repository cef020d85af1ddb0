"""Costs: what trading and holding cost, as one frozen value."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Costs:
    """The terms of the account: what a trade costs, what cash earns, what shorts pay, when the broker closes it.

    All terms add up. A trade of value ``x`` (a fraction of wealth before the trade, negative for a sale) costs
    ``(fee_rate + half_spread) |x| + impact * volatility * sqrt(|x| wealth capital / daily_volume) |x|``. The cash leg
    of a trade is never charged. Rates are fractions, not percent: ``1e-3`` is ten basis points.

    Interest and borrowing are booked once a day: after the trade for the fills ``close`` and ``next_open``, before it
    for ``next_close``, whose trade ends the day. A delisted position is paid out without a fee. A trade whose impact
    would cost more than there is ruins the account.

    Attributes:
        fee_rate: Fee on the value bought or sold.
        sell_fee_rate: Fee on the value sold where it differs (stamp duty); None means `fee_rate`.
        half_spread: Half the bid-ask spread, paid on the value bought or sold.
        impact: Factor ``k`` of the square-root impact law; about 1 in the literature. Needs a tape with volumes.
        capital: Money that a wealth of 1 stands for, in the currency of the prices; only the impact depends on it.
        borrow_rate: Paid per day on the value of short positions.
        cash_rate: Earned per day on cash, and paid on negative cash.
        margin: Ruin is declared where wealth falls to this fraction of the gross position, or to zero.

    Reference: Almgren et al. (2005), Direct Estimation of Equity Market Impact, for the impact law.
    """

    fee_rate: float = 0.0
    sell_fee_rate: float | None = None
    half_spread: float = 0.0
    impact: float = 0.0
    capital: float = 1e6
    borrow_rate: float = 0.0
    cash_rate: float = 0.0
    margin: float = 0.0

    def __post_init__(self) -> None:
        for name in (one.name for one in fields(self)):
            value = getattr(self, name)
            if value is None:
                continue
            if not math.isfinite(value) or (value < 0 and name != "cash_rate"):
                raise ValueError(f"costs: {name} is {value}, expected a finite number of at least 0")
        for name in ("fee_rate", "sell_fee_rate", "half_spread", "buy_rate", "sell_rate", "margin", "borrow_rate"):
            if (getattr(self, name) or 0.0) >= 1:
                raise ValueError(f"costs: {name} is {getattr(self, name)}, expected a fraction below 1, not percent")
        if self.cash_rate <= -1:
            raise ValueError(f"costs: cash_rate is {self.cash_rate} a day, expected more than -1")

    @property
    def buy_rate(self) -> float:
        """Proportional cost of buying: fee and half the spread."""
        return self.fee_rate + self.half_spread

    @property
    def sell_rate(self) -> float:
        """Proportional cost of selling: fee and half the spread."""
        return (self.fee_rate if self.sell_fee_rate is None else self.sell_fee_rate) + self.half_spread
