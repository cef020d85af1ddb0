"""The Dow Jones Industrial Average itself from Yahoo Finance, the benchmark of the Dow Jones runs."""

from dataclasses import replace

from configs.download.dj30 import experiment as dj30
from market.sources.yahoo.source import YFinance

experiment = replace(dj30, name="dji", source=YFinance(tickers=("^DJI",), start="2008-04-01", stop="2024-03-28"))
