"""A synthetic market with planted factors and a predictable component whose oracle is known."""

from configs.schema.prepare import Prepare
from market.sources.synthetic import Synthetic

experiment = Prepare(name="synthetic", source=Synthetic())
