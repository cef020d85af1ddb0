"""30 simulated stocks whose signal turns by a circle in 5,000 days; the best that can be known is known."""

from configs.schema.prepare import Prepare
from market.sources.synthetic.signal import Dynamics
from market.sources.synthetic.source import NO_EVENTS, Synthetic

experiment = Prepare(
    name="simulated",
    source=Synthetic(stocks=30, days=1500, signal=0.15, events=NO_EVENTS, dynamics=Dynamics(turn_days=5000)),
)
