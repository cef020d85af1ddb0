from market.features import Feature, feature
from market.features.alpha158 import Alpha158
from market.features.expressions import delay
from market.panel import Panel
from market.sources.synthetic.source import Synthetic


def overnight_gap(x):
    return x.open / delay(x.close, 1) - 1


features = Alpha158(extra=(feature(overnight_gap), Feature("RANGE", "mean(high / low - 1, 5)")))
computed = features.compute(Panel.from_frame(Synthetic(stocks=4, days=80).read()))
assert computed.fields[-2:] == ("overnight_gap", "RANGE")
