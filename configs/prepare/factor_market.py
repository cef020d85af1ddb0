"""A market of five planted factors that returns alone can identify, for methods that discover factors."""

from configs.schema.prepare import Prepare
from market.sources.factor_market import FactorMarket

experiment = Prepare(name="factor_market", source=FactorMarket())
