"""A feature of one's own: a small function of causal operators, or a formula as text."""

from market import Alpha158, Feature, Panel, Synthetic, feature
from market.features.expressions import delay


def overnight_gap(x):
    """Returns the gap between yesterday's close and today's open."""
    return x.open / delay(x.close, 1) - 1


features = Alpha158(extra=(feature(overnight_gap), Feature("RANGE", "mean(high / low - 1, 5)")))
computed = features.compute(Panel.from_frame(Synthetic(stocks=4, days=80).read()))
assert computed.fields[-2:] == ("overnight_gap", "RANGE")
print(f"{len(computed.fields)} features of {len(computed.assets)} stocks on {len(computed)} days")
