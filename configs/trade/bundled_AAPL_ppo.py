"""PPO sells, holds and buys AAPL among the bundled S&P 500 stocks; seconds on one CPU core."""

from dataclasses import replace

from configs.trade.bundled_portfolio_ppo import experiment as portfolio
from envs import SellHoldBuy

experiment = replace(portfolio, name="bundled_AAPL_ppo", asset="AAPL", action=SellHoldBuy())
