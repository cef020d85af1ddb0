"""A synthetic market with planted factors and a predictable component whose oracle is known."""

from configs.schema.prepare import Prepare
from market.sources.synthetic.source import Synthetic

experiment = Prepare(name="synthetic", source=Synthetic())
