"""505 S&P 500 stocks, 2013-02-08 to 2018-02-07 (the Kaggle five-year table); name yours with --source.path."""

from configs.schema.prepare import Prepare
from market.sources.tables.source import Tables

experiment = Prepare(name="sp500", source=Tables(path="data/sp500.parquet"))
