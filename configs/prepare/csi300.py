"""CSI 300 stocks, 2010 to 2020, with halts and price limits; name yours with --source.path."""

from configs.schema.prepare import Prepare
from market.sources.tables.source import Tables

experiment = Prepare(name="csi300", source=Tables(path="data/csi300.parquet"))
