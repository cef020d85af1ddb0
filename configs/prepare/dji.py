"""The Dow Jones Industrial Average itself, the benchmark of the Dow Jones runs; name yours with --source.path."""

from configs.schema.prepare import Prepare
from market.sources.tables.source import Tables

experiment = Prepare(name="dji", source=Tables(path="data/dji.csv", symbol="^DJI"))
