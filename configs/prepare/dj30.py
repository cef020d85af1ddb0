"""29 Dow Jones stocks, 2008-04-01 to 2024-03-28, from one long table; name yours with --source.path."""

from configs.schema.prepare import Prepare
from market.sources.tables.source import Tables

experiment = Prepare(name="dj30", source=Tables(path="data/dj30.parquet"))
