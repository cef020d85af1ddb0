"""From weights to orders: what is traded, what it costs, what is blocked, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs import Costs, Tape, TargetWeights
from envs.stated import StatedWeights
from evaluation.decision import Holdings, blocked, decide, half_day, stale
from market.panel import Panel
from market.preparation.tomorrow import with_tomorrow
from tests.envs.markets import plain_panel, states_of

PANEL = plain_panel(days=60, assets=4)
PRICES = PANEL["close"][-1]
COSTS = Costs(fee_rate=1e-3)


def tape(panel: Panel = PANEL) -> Tape:
    return Tape.from_panel(with_tomorrow(panel), fill="next_close")


def written(folder: Path, text: str) -> Path:
    path = folder / "holdings.csv"
    path.write_text(text)
    return path


def test_holdings_become_weights_at_the_last_close(tmp_path: Path) -> None:
    path = written(tmp_path, "ticker,shares\nA2,3\nA0,-1\ncash,500\n")
    weights, worth = Holdings.read(path).account(PANEL.assets, PRICES, None)
    assert worth == pytest.approx(500 + 3 * PRICES[2] - PRICES[0])
    np.testing.assert_allclose(weights, np.array([500, -PRICES[0], 0, 3 * PRICES[2], 0]) / worth)


def test_cash_that_is_not_said_is_what_the_capital_leaves(tmp_path: Path) -> None:
    held = Holdings.read(written(tmp_path, "ticker,shares\nA2,3\n"))
    weights, worth = held.account(PANEL.assets, PRICES, 1000.0)
    assert worth == pytest.approx(1000)
    assert weights[0] == pytest.approx(1 - 3 * PRICES[2] / 1000)
    alone, worth = held.account(PANEL.assets, PRICES, None)
    assert (alone[0], worth) == (0, pytest.approx(3 * PRICES[2]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ticker,shares\nXX,3\nYY,1\n", "holdings.csv: XX, YY are not in the panel; correct or leave out"),
        ("ticker,shares\nA0,many\n", "line 2: shares of A0 are 'many', expected a number"),
        ("ticker,shares\nA0,nan\n", "shares of A0 are 'nan'"),
        ("ticker,shares\nA0,1\nA0,2\n", "line 3: A0 stands twice"),
        ("symbol,count\nA0,1\n", "line 2: expected the columns ticker and shares"),
        ("ticker,shares\nA0,\n", "line 2: expected the columns ticker and shares, both filled"),
        ("ticker,shares\n", "shares and cash are worth 0 together; name cash, or --capital"),
        ("ticker,shares\nA0,1\ncash,-5000\n", "are worth -"),
    ],
)
def test_holdings_that_make_no_sense_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Holdings.read(written(tmp_path, text)).account(PANEL.assets, PRICES, None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holdings.csv: no such file; write one with the columns ticker and shares"):
        Holdings.read(tmp_path / "holdings.csv")


def test_orders_are_shares_and_money_that_lead_to_the_target() -> None:
    account = np.array([0.2, 0.8, 0.0, 0.0, 0.0])
    stated = np.array([0.1, 0.0, 0.5, 0.4, 0.0])
    found = decide(tape(), PANEL, TargetWeights(), stated, account, 1e5, COSTS, states_of(PANEL))
    orders = found.orders.set_index("ticker")
    np.testing.assert_allclose(found.target, stated, atol=1e-12)
    assert list(found.orders["ticker"]) == ["A0", "A1", "A2"]  # the largest change first, nothing of A3
    assert orders.loc["A0", "money"] == pytest.approx(-8e4)
    left = 1e5 - found.cost
    np.testing.assert_allclose(orders.loc[["A1", "A2"], "money"], [0.5 * left, 0.4 * left])
    np.testing.assert_allclose(orders["shares"] * orders["close"], orders["money"])
    assert found.cost == pytest.approx(1e-3 * orders["money"].abs().sum())
    assert orders["cost"].sum() == pytest.approx(found.cost)
    np.testing.assert_allclose(orders["close"], PRICES[:3])
    assert {"forecast", "rank"} <= set(orders.columns)


def test_shares_are_counted_at_the_quoted_close() -> None:
    """Adjusted closes of a panel that goes on may have another level than what a share costs today."""
    adjusted = PANEL.values.copy()
    adjusted[:, 1, [PANEL.fields.index(name) for name in ("open", "close") if name in PANEL]] *= 2
    quoted = np.concatenate([adjusted, PANEL["close"][..., None]], axis=2)
    panel = replace(PANEL, values=quoted, fields=(*PANEL.fields, "raw_close"))
    goal, held = np.array([0.1, 0.4, 0.3, 0.1, 0.1]), np.eye(5)[0]
    orders = decide(tape(panel), panel, TargetWeights(), goal, held, 1e4, COSTS).orders
    row = orders.set_index("ticker").loc["A1"]
    assert row["close"] == pytest.approx(PRICES[1])
    assert row["shares"] * PRICES[1] == pytest.approx(row["money"])


def test_what_is_halted_is_shown_and_not_traded() -> None:
    tradable = PANEL.tradable.copy()
    tradable[-1, 1] = False
    panel = replace(PANEL, tradable=tradable)
    account = np.array([0.5, 0.25, 0.25, 0.0, 0.0])
    found = decide(tape(panel), panel, StatedWeights(), np.array([1.0, 0, 0, 0, 0]), account, 1e4, COSTS)
    orders = found.orders.set_index("ticker")
    assert orders.loc["A1", "blocked"] == "halted"
    assert orders.loc["A1", "money"] == 0
    assert orders.loc["A0", "money"] == pytest.approx(-2500)
    assert found.target[2] == pytest.approx(0.25, rel=1e-3)


def test_a_close_at_its_limit_is_said() -> None:
    values = PANEL.values.copy()
    close = PANEL.fields.index("close")
    values[-1, :, close] = values[-2, :, close] * np.array([1.1, 0.9, 1.05, 1.0])
    panel = replace(PANEL, values=values)
    assert blocked(panel, 0.1).tolist() == ["upper limit", "lower limit", "", ""]
    assert blocked(panel, None).tolist() == ["", "", "", ""]


def test_old_data_are_refused_by_their_age() -> None:
    assert stale(PANEL, PANEL.dates[-1] + 5, 5) is None
    assert "6 days ago; prepare or download newer days, or raise --max-age" in (
        stale(PANEL, PANEL.dates[-1] + 6, 5) or ""
    )


def test_a_day_that_is_not_over_is_refused() -> None:
    assert half_day(PANEL) is None
    tradable = PANEL.tradable.copy()
    tradable[-1, :3] = False
    assert "only 1 of 4 assets that traded the day before have a bar" in (
        half_day(replace(PANEL, tradable=tradable)) or ""
    )
    values = PANEL.values.copy()
    volume = PANEL.fields.index("volume")
    values[:, :, volume] = 100.0
    assert half_day(replace(PANEL, values=values)) is None
    values[-1, :, volume] = 40.0  # a short session before a holiday
    assert half_day(replace(PANEL, values=values)) is None
    values[-1, :, volume] = 20.0
    assert "has 20% of its usual volume" in (half_day(replace(PANEL, values=values)) or "")
