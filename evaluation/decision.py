"""Trades for tomorrow: from an account and target weights to trades in shares and money, with what is behind them."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from envs import BatchMarket, Costs, Tape
from envs.actions.portfolio import Action
from envs.execution import BUY, SELL
from envs.paper import CASH, put_back
from market.arrays import AnyArray, BoolArray, FloatArray
from market.panel import Panel
from market.preparation.tomorrow import with_tomorrow
from market.prices.money import quoted_closes
from market.states import MarketStates


@dataclass(frozen=True)
class Holdings:
    """Positions and cash of an account.

    Attributes:
        shares: Number of shares by ticker, negative where sold short.
        cash: Money; None where it was not said.
        source: What an error names: the file that they come from.
    """

    shares: Mapping[str, float]
    cash: float | None = None
    source: str = "holdings"

    @staticmethod
    def read(path: str | Path) -> "Holdings":
        """Reads a CSV with the columns ``ticker`` and ``shares``; a line ``cash`` holds money.

        Raises:
            ValueError: The file is missing, lacks a column, names a ticker twice, or holds no number.
        """
        try:
            with open(path, newline="", encoding="utf-8-sig") as handle:
                rows = list(csv.DictReader(handle))
        except FileNotFoundError:
            raise ValueError(f"{path}: no such file; write one with the columns ticker and shares") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path}: it is not text in UTF-8; save it as a CSV again") from None
        shares: dict[str, float] = {}
        for number, row in enumerate(rows, 2):
            ticker, text = ((row.get(name) or "").strip() for name in ("ticker", "shares"))
            if not ticker or not text:
                raise ValueError(f"{path}, line {number}: expected the columns ticker and shares, both filled")
            if ticker in shares:
                raise ValueError(f"{path}, line {number}: {ticker} stands twice; add its lines up")
            shares[ticker] = _number(text, f"{path}, line {number}: shares of {ticker}")
        cash = shares.pop(CASH, None)
        return Holdings(shares, cash, str(path))

    def account(self, assets: Sequence[str], prices: FloatArray, capital: float | None) -> tuple[FloatArray, float]:
        """Returns the weights ``[1 + N]`` at `prices` ``[N]``, and what the account is worth.

        Cash that was not said is what `capital` leaves beside the shares, or nothing without a capital.

        Raises:
            ValueError: A ticker is unknown or has no price, or the account is worth nothing.
        """
        unknown = [name for name in self.shares if name not in assets]
        if unknown:
            raise ValueError(
                f"{self.source}: {', '.join(unknown)} {_are(unknown)} not in the panel; correct or leave out"
            )
        values = np.zeros(len(assets))
        for name, count in self.shares.items():
            values[assets.index(name)] = count * prices[assets.index(name)]
        missing = [name for name in self.shares if not math.isfinite(values[assets.index(name)])]
        if missing:
            raise ValueError(
                f"{self.source}: {', '.join(missing)} {_are(missing)} without a price in the panel; leave out"
            )
        cash = self.cash
        if cash is None:
            cash = 0.0 if capital is None else capital - float(values.sum())
        worth = cash + float(values.sum())
        if not worth > 0:
            raise ValueError(f"{self.source}: shares and cash are worth {worth:g} together; name cash, or --capital")
        return np.concatenate([[cash], values]) / worth, worth


@dataclass(frozen=True, eq=False)
class Decision:
    """Tomorrow's weights and the trades that lead there.

    Attributes:
        day: Last day known; the decision is taken after its close.
        account: ``[1 + N]`` weights held at that close, cash first.
        target: ``[1 + N]`` weights to hold after the trade, costs and halts taken into account.
        money: What the account is worth.
        cost: Expected cost of the trades, in money.
        turnover: One way.
        orders: One row an asset that is held, wanted or blocked; see `decide`.
    """

    day: np.datetime64
    account: FloatArray
    target: FloatArray
    money: float
    cost: float
    turnover: float
    orders: pd.DataFrame


def decide(
    tape: Tape,
    panel: Panel,
    action: Action,
    stated: FloatArray,
    account: FloatArray,
    money: float,
    costs: Costs,
    states: MarketStates | None = None,
    price_limit: float | None = None,
) -> Decision:
    """Returns the trades that the kernel of every backtest expects, if nothing moves until the fill.

    Args:
        tape: Ends with a day to come (`market.preparation.tomorrow.with_tomorrow`).
        panel: Its bars without that day.
        action: What `stated` means.
        stated: The action ``[1 + N]``.
        account: ``[1 + N]`` weights at the last close.
        money: What the account is worth then.
        costs: What trading costs.
        states: What the policy saw, for the reasons; None for none.
        price_limit: Daily limit on moves.

    Returns:
        The decision. Its orders have the columns ``ticker``, ``weight``, ``target``, ``change``, ``shares``, ``money``,
        ``cost``, ``close``, ``blocked`` (halted, at its upper or lower limit, or empty) and, with states, ``forecast``,
        ``rank`` and ``codes``; the largest changes come first.
    """
    market = BatchMarket(tape, 1, costs, action, autoreset=False)
    last = len(tape) - 2
    put_back(market, last, account)
    *_, info = market.step(stated[None])
    columns = [panel.assets.index(name) for name in tape.assets]
    target, cost = info["weights"][0], float(info["cost"][0]) * money
    table = _orders(tape.assets, account, target, info["trades"][0] * money, cost)
    close = quoted_closes(panel)[-1, columns]
    table.insert(list(table.columns).index("change") + 1, "shares", table["money"] / close)
    table = table.assign(close=close, blocked=blocked(panel, price_limit)[columns])
    if states is not None:
        table = table.join(_reasons(tape.assets, states))
    return Decision(
        day=panel.dates[-1],
        account=account,
        target=target,
        money=money,
        cost=cost,
        turnover=float(info["turnover"][0]),
        orders=_shown(table, panel.listed[-1, columns]),
    )


def _orders(
    assets: Sequence[str], account: FloatArray, target: FloatArray, trades: FloatArray, cost: float
) -> pd.DataFrame:
    """Returns one row an asset; each bears the share of the cost that it has of the money traded."""
    size = np.abs(trades)
    return pd.DataFrame(
        {
            "ticker": assets,
            "weight": account[1:],
            "target": target[1:],
            "change": target[1:] - account[1:],
            "money": trades,
            "cost": cost * size / size.sum() if size.sum() > 0 else np.zeros(len(size)),
        }
    )


def _shown(table: pd.DataFrame, listed: BoolArray) -> pd.DataFrame:
    """Returns the rows of assets that are held, wanted or blocked, the largest changes first."""
    wanted = (table["weight"] != 0) | (table["target"] != 0) | ((table["blocked"] != "") & listed)
    order = table["change"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order][wanted.loc[order]].reset_index(drop=True)


def blocked(panel: Panel, price_limit: float | None) -> AnyArray:
    """Returns for each asset ``[N]`` whether it was halted or ended at a price limit on the last day, as a word."""
    shortest = panel[-2:] if len(panel) > 1 else panel
    tape = Tape.from_panel(with_tomorrow(shortest), fill="close", price_limit=price_limit)
    status = tape.status[len(shortest) - 1]
    halted: BoolArray = panel.listed[-1] & ~panel.tradable[-1]
    words = np.full(len(panel.assets), "", dtype=object)
    words[panel.listed[-1] & ~(status & BUY > 0)] = "upper limit"
    words[panel.listed[-1] & ~(status & SELL > 0)] = "lower limit"
    words[halted] = "halted"
    return words


def stale(panel: Panel, today: np.datetime64, max_age: int) -> str | None:
    """Returns why the last day of a panel is too old to decide on, None where it is not.

    Args:
        panel: Bars.
        today: The calendar's day.
        max_age: Days that the last close may be old.
    """
    age = int((today - panel.dates[-1]) / np.timedelta64(1, "D"))
    if age <= max_age:
        return None
    last = f"the last day of the panel is {panel.dates[-1]}, {age} days ago"
    return f"{last}; prepare or download newer days, or raise --max-age"


def half_day(panel: Panel, days: int = 20, share: float = 0.5, volume: float = 0.25) -> str | None:
    """Returns why the last day looks as if it were not over, None where it does not.

    That is where fewer than `share` of the assets that traded the day before have a bar, or where the median asset has
    less than `volume` of its usual volume, the median of the `days` before.
    """
    if len(panel) < 2:
        return None
    before, now = panel.tradable[-2] & panel.listed[-1], panel.tradable[-1] & np.isfinite(panel["close"][-1])
    traded = int((before & now).sum())
    if traded < share * before.sum():
        return (
            f"{panel.dates[-1]} is half a day: only {traded} of {int(before.sum())} assets that traded the day before "
            "have a bar; download it again after the close"
        )
    if "volume" not in panel or len(panel) <= days:
        return None
    recent = np.where(panel.tradable[-days - 1 :], panel["volume"][-days - 1 :].astype(np.float64), np.nan)
    both = before & now & (np.isfinite(recent[:-1]).sum(axis=0) > days // 2)
    if not both.any():
        return None
    usual = np.nanmedian(recent[:-1][:, both], axis=0)
    ratio = float(np.median(recent[-1, both] / np.where(usual > 0, usual, np.nan)))
    if ratio < volume:
        return (
            f"{panel.dates[-1]} is half a day: the median asset has {ratio:.0%} of its usual volume; download it again "
            "after the close"
        )
    return None


def _reasons(assets: Sequence[str], states: MarketStates) -> pd.DataFrame:
    columns = [states.assets.index(name) for name in assets]
    known = states.mask[-1, columns]
    forecast = np.where(known, states.forecast_mean[-1, columns].astype(np.float64), np.nan)
    found = pd.DataFrame({"forecast": forecast})
    found["rank"] = found["forecast"].rank(ascending=False)
    if states.codes is not None:
        found["codes"] = [" ".join(map(str, row)) for row in states.codes[-1, columns]]
    return found


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{what} are '{text}', expected a number")
    return value


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
