from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.backtest import GRIDS, SERIES, Backtest
from tests.evaluation.accounts import random_backtest, share_counting_backtest


def test_save_and_load_are_equal_to_the_bit(tmp_path):
    backtest = random_backtest()
    backtest.save(tmp_path / "new" / "backtest.parquet")
    loaded = Backtest.load(tmp_path / "new" / "backtest.parquet")
    for label in ("dates", *SERIES, *GRIDS):
        np.testing.assert_array_equal(getattr(loaded, label), getattr(backtest, label))
    assert (loaded.name, loaded.assets) == (backtest.name, backtest.assets)
    assert loaded.dates.dtype == np.dtype("datetime64[D]")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["backtest.parquet"]


def test_an_asset_may_be_called_cash(tmp_path):
    backtest = replace(random_backtest(), assets=("cash", "date", "weights:cash"))
    backtest.save(tmp_path / "b.parquet")
    np.testing.assert_array_equal(Backtest.load(tmp_path / "b.parquet").weights, backtest.weights)


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "b.parquet"
    with pytest.raises(ValueError, match="no such file"):
        Backtest.load(path)
    path.write_text("no table")
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        Backtest.load(path)
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(ValueError, match="kind is None, expected 'backtest'"):
        Backtest.load(path)
    random_backtest().save(path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["profits:A1"]), path)
    with pytest.raises(ValueError, match=r"b\.parquet: .*profits:A1.* is missing"):
        Backtest.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"returns": np.zeros(3)}, r"returns has shape \(3,\), expected \(60,\)"),
        ({"weights": np.zeros((60, 3))}, r"weights has shape \(60, 3\), expected \(60, 4\)"),
        ({"costs": np.full(60, np.nan)}, "costs is not finite on 2020-01-02"),
        ({"dates": np.full(60, np.datetime64("2020-01-02"))}, "dates do not increase"),
        ({"dates": np.array([], dtype="datetime64[D]")}, "it has no days"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(random_backtest(), **changes)


def test_wealth_is_the_product_of_the_returns():
    backtest = random_backtest()
    assert len(backtest.wealth) == len(backtest) + 1
    assert backtest.wealth[0] == 1
    assert backtest.wealth[-1] == pytest.approx(np.prod(1 + backtest.returns), rel=1e-15)
    assert backtest.renamed("other").name == "other"


@pytest.mark.parametrize("seed", range(5))
def test_profits_of_holdings_add_up_to_the_change_of_wealth(seed):
    backtest = random_backtest(seed)
    holdings = backtest.holdings()
    assert holdings["profit"].sum() == pytest.approx(backtest.wealth[-1] - 1, abs=1e-12)
    assert len(backtest.trade_list()) == backtest.n_trades == 2 * len(holdings) - holdings["open"].sum()
    assert backtest.trade_list()["cost"].sum() == pytest.approx(backtest.costs.sum(), rel=1e-12)


def test_what_rounding_moves_is_no_trade():
    backtest = random_backtest()
    still = np.zeros_like(backtest.trades)
    still[3, 0], still[4, 0] = 2e-6 * backtest.wealth[3], 5e-7 * backtest.wealth[4]
    assert replace(backtest, trades=still).n_trades == 1


def test_holdings_by_hand():
    prices = np.array([[1.0, 4], [2, 4], [3, 2], [4, 1], [5, 1]])
    orders = np.array([[0.25, 0.125], [0, -0.125], [-0.25, 0], [0.1, 0]])
    backtest = share_counting_backtest(prices, orders, fee=0.01)
    holdings = backtest.holdings()
    assert holdings["asset"].tolist() == ["A0", "A0", "A1"]
    assert holdings["days"].tolist() == [2, 1, 1]
    assert holdings["open"].tolist() == [False, True, False]
    # bought at 2 and sold at 4, bought at 5, bought at 4 and sold at 2; the fee is 1 % of each trade
    np.testing.assert_allclose(holdings["profit"], [0.5 - 0.015, -0.005, -0.25 - 0.0075], atol=1e-15)
    dates = backtest.dates
    assert holdings["first"].to_numpy().astype("datetime64[D]").tolist() == dates[[0, 3, 0]].tolist()
    assert holdings["last"].to_numpy().astype("datetime64[D]").tolist() == dates[[2, 3, 1]].tolist()
    trades = backtest.trade_list()
    assert trades["asset"].tolist() == ["A0", "A1", "A1", "A0", "A0"]
    np.testing.assert_allclose(trades["value"], [0.5, 0.5, -0.25, -1, 0.5])


def test_a_position_the_account_began_with_counts_when_it_is_sold_at_once():
    backtest = random_backtest()
    profits, trades, weights = backtest.profits.copy(), backtest.trades.copy(), backtest.weights.copy()
    weights[:, 1] = trades[:, 0] = profits[:, 0] = 0
    trades[0, 0], profits[0, 0] = -0.5, 0.1
    holdings = replace(backtest, profits=profits, trades=trades, weights=weights).holdings()
    assert holdings.loc[holdings["asset"] == "A0", "days"].tolist() == [0]
    assert holdings.loc[holdings["asset"] == "A0", "profit"].item() > 0.09
