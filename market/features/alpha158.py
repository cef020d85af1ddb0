"""Alpha158: qlib's 158 features of daily bars, in its definitions, its spelling and its order.

Reference: ``Alpha158DL`` of https://github.com/microsoft/qlib/blob/main/qlib/contrib/data/loader.py with the default
configuration of the ``Alpha158`` handler. Prices are divided by the close and volumes by the volume of the day, so no
feature carries a currency. `market.features.operators` says where an operator departs from qlib's on missing or
constant values. Volume over the day's volume is missing on a day without volume, where qlib divides by 1e-12.
"""

from dataclasses import dataclass

from market.features.blocks import compute_features
from market.features.table import Feature, over_windows
from market.panel import Panel

_BAR = (
    Feature("KMID", "(close - open) / open"),
    Feature("KLEN", "(high - low) / open"),
    Feature("KMID2", "(close - open) / (high - low + 1e-12)"),
    Feature("KUP", "(high - maximum(open, close)) / open"),
    Feature("KUP2", "(high - maximum(open, close)) / (high - low + 1e-12)"),
    Feature("KLOW", "(minimum(open, close) - low) / open"),
    Feature("KLOW2", "(minimum(open, close) - low) / (high - low + 1e-12)"),
    Feature("KSFT", "(2 * close - high - low) / open"),
    Feature("KSFT2", "(2 * close - high - low) / (high - low + 1e-12)"),
    Feature("OPEN0", "open / close"),
    Feature("HIGH0", "high / close"),
    Feature("LOW0", "low / close"),
    Feature("VWAP0", "vwap / close"),
)

_CHANGE = "(close - delay(close, 1))"
_GAIN = "maximum(close - delay(close, 1), 0)"
_LOSS = "maximum(delay(close, 1) - close, 0)"
_VOLUME_CHANGE = "(volume - delay(volume, 1))"
_VOLUME_GAIN = "maximum(volume - delay(volume, 1), 0)"
_VOLUME_LOSS = "maximum(delay(volume, 1) - volume, 0)"
_TURMOIL = "abs(close / delay(close, 1) - 1) * volume"

_ROLLING = over_windows(
    ("ROC{w}", "delay(close, {w}) / close"),
    ("MA{w}", "mean(close, {w}) / close"),
    ("STD{w}", "std(close, {w}) / close"),
    ("BETA{w}", "slope(close, {w}) / close"),
    ("RSQR{w}", "rsquare(close, {w})"),
    ("RESI{w}", "residual(close, {w}) / close"),
    ("MAX{w}", "highest(high, {w}) / close"),
    ("MIN{w}", "lowest(low, {w}) / close"),
    ("QTLU{w}", "quantile(close, {w}, 0.8) / close"),
    ("QTLD{w}", "quantile(close, {w}, 0.2) / close"),
    ("RANK{w}", "rank(close, {w})"),
    ("RSV{w}", "(close - lowest(low, {w})) / (highest(high, {w}) - lowest(low, {w}) + 1e-12)"),
    ("IMAX{w}", "argmax(high, {w}) / {w}"),
    ("IMIN{w}", "argmin(low, {w}) / {w}"),
    ("IMXD{w}", "(argmax(high, {w}) - argmin(low, {w})) / {w}"),
    ("CORR{w}", "corr(close, log(volume + 1), {w})"),
    ("CORD{w}", "corr(close / delay(close, 1), log(volume / delay(volume, 1) + 1), {w})"),
    ("CNTP{w}", "mean(close > delay(close, 1), {w})"),
    ("CNTN{w}", "mean(close < delay(close, 1), {w})"),
    ("CNTD{w}", "mean(close > delay(close, 1), {w}) - mean(close < delay(close, 1), {w})"),
    ("SUMP{w}", f"total({_GAIN}, {{w}}) / (total(abs{_CHANGE}, {{w}}) + 1e-12)"),
    ("SUMN{w}", f"total({_LOSS}, {{w}}) / (total(abs{_CHANGE}, {{w}}) + 1e-12)"),
    ("SUMD{w}", f"(total({_GAIN}, {{w}}) - total({_LOSS}, {{w}})) / (total(abs{_CHANGE}, {{w}}) + 1e-12)"),
    ("VMA{w}", "mean(volume, {w}) / volume"),
    ("VSTD{w}", "std(volume, {w}) / volume"),
    ("WVMA{w}", f"std({_TURMOIL}, {{w}}) / (mean({_TURMOIL}, {{w}}) + 1e-12)"),
    ("VSUMP{w}", f"total({_VOLUME_GAIN}, {{w}}) / (total(abs{_VOLUME_CHANGE}, {{w}}) + 1e-12)"),
    ("VSUMN{w}", f"total({_VOLUME_LOSS}, {{w}}) / (total(abs{_VOLUME_CHANGE}, {{w}}) + 1e-12)"),
    (
        "VSUMD{w}",
        f"(total({_VOLUME_GAIN}, {{w}}) - total({_VOLUME_LOSS}, {{w}})) / (total(abs{_VOLUME_CHANGE}, {{w}}) + 1e-12)",
    ),
)


@dataclass(frozen=True)
class Alpha158:
    """qlib's Alpha158: candle shapes, prices, and rolling statistics over 5, 10, 20, 30 and 60 days.

    Attributes:
        extra: Further features, after the 158.
    """

    extra: tuple[Feature, ...] = ()

    def table(self) -> tuple[Feature, ...]:
        """Returns the 158 features in qlib's order, then the extra ones."""
        return (*_BAR, *_ROLLING, *self.extra)

    def compute(self, panel: Panel) -> Panel:
        """Returns the features of `panel` as a panel; `market.features.blocks.compute_features` says how."""
        return compute_features("Alpha158", self.table(), panel)
