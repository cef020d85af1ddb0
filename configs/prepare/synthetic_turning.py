"""A synthetic market whose signal makes a quarter turn in 1,000 days, so that an old fit goes stale."""

from configs.schema.prepare import Prepare
from market.sources.synthetic.signal import Dynamics
from market.sources.synthetic.source import Synthetic

experiment = Prepare(
    name="synthetic_turning", source=Synthetic(stocks=60, days=1500, dynamics=Dynamics(turn_days=4000))
)
