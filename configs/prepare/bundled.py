"""The 20 S&P 500 closes that ship inside skfolio: real data without a network."""

from configs.schema.prepare import Prepare
from market.sources.bundled import Bundled

experiment = Prepare(name="bundled", source=Bundled())
