"""The 149 features of STORM, by the names and in the order of its reference code, in the definitions it meant.

The reference (``cal_factor`` in storm/processor/processor.py of https://github.com/DVampire/Storm, and the feature list
of its configs/exp/pretrain/pretrain_day_dj30_dynamic_dual_vqvae.py) reads 149 columns: five prices, nine candle shapes
and 27 rolling statistics over 5, 10, 20, 30 and 60 days; three calendar columns make the 152 of its configs. A column
``log_volume`` is computed there but is not among them. Where the reference does what its names and Alpha158, its model,
say, the definition is kept with its own choices: ``kmid`` over the close, ``max`` and ``min`` of closes, places counted
from 0, gains and losses of returns rather than of prices.

Differs from the reference, because there

- ``open``, ``high``, ``low``, ``close`` and ``adj_close`` are price levels. Prices that are adjusted backwards carry
  every later split and dividend in their level, so a level of the past knows the future; here each is divided by the
  close of the day before;
- ``beta`` is the change over the window per day with the wrong sign; here it is the regression slope per day;
- ``corr`` and ``cord`` pass the second series as ``pairwise=``, so each correlates the price with itself and is one;
  here they are correlations with volume;
- ``rank`` divides a share by the window once more; here it is the share;
- ``rsv`` compares one day's bar with one earlier close; here it is the place of the close between the window's lowest
  low and highest high;
- ``sumn`` and ``vsumn`` are one, and ``sumd`` and ``vsumd`` minus one, where nothing moved; here they are zero;
- the first rows of every window, and whatever is missing, become zeros; here windows are shorter at first and what is
  missing stays NaN.
"""

from dataclasses import dataclass

from market.features.blocks import compute_features
from market.features.table import Feature, over_windows
from market.panel import Panel

_BAR = (
    Feature("open", "open / delay(close, 1)"),
    Feature("high", "high / delay(close, 1)"),
    Feature("low", "low / delay(close, 1)"),
    Feature("close", "close / delay(close, 1)"),
    Feature("adj_close", "adj_close / delay(adj_close, 1)"),
    Feature("kmid", "(close - open) / close"),
    Feature("kmid2", "(close - open) / (high - low + 1e-12)"),
    Feature("klen", "(high - low) / open"),
    Feature("kup", "(high - maximum(open, close)) / open"),
    Feature("kup2", "(high - maximum(open, close)) / (high - low + 1e-12)"),
    Feature("klow", "(minimum(open, close) - low) / open"),
    Feature("klow2", "(minimum(open, close) - low) / (high - low + 1e-12)"),
    Feature("ksft", "(2 * close - high - low) / open"),
    Feature("ksft2", "(2 * close - high - low) / (high - low + 1e-12)"),
)

_RETURN = "close / delay(close, 1) - 1"
_GAIN = f"maximum({_RETURN}, 0)"
_LOSS = f"maximum(-({_RETURN}), 0)"
_VOLUME_CHANGE = "volume - delay(volume, 1)"
_VOLUME_GAIN = f"maximum({_VOLUME_CHANGE}, 0)"
_VOLUME_LOSS = f"maximum(-({_VOLUME_CHANGE}), 0)"
_TURMOIL = f"abs({_RETURN}) * volume"
_MOVES = f"(total(abs({_RETURN}), {{w}}) + 1e-12)"
_VOLUME_MOVES = f"(total(abs({_VOLUME_CHANGE}), {{w}}) + 1e-12)"

_ROLLING = over_windows(
    ("roc_{w}", "delay(close, {w}) / close"),
    ("ma_{w}", "mean(close, {w}) / close"),
    ("std_{w}", "std(close, {w}) / close"),
    ("beta_{w}", "slope(close, {w}) / close"),
    ("max_{w}", "highest(close, {w}) / close"),
    ("min_{w}", "lowest(close, {w}) / close"),
    ("qtlu_{w}", "quantile(close, {w}, 0.8) / close"),
    ("qtld_{w}", "quantile(close, {w}, 0.2) / close"),
    ("rank_{w}", "rank(close, {w})"),
    ("imax_{w}", "(argmax(high, {w}) - 1) / {w}"),
    ("imin_{w}", "(argmin(low, {w}) - 1) / {w}"),
    ("imxd_{w}", "(argmax(high, {w}) - argmin(low, {w})) / {w}"),
    ("rsv_{w}", "(close - lowest(low, {w})) / (highest(high, {w}) - lowest(low, {w}) + 1e-12)"),
    ("cntp_{w}", "mean(close > delay(close, 1), {w})"),
    ("cntn_{w}", "mean(close < delay(close, 1), {w})"),
    ("cntd_{w}", "mean(close > delay(close, 1), {w}) - mean(close < delay(close, 1), {w})"),
    ("corr_{w}", "corr(close, log(volume + 1), {w})"),
    ("cord_{w}", "corr(close / delay(close, 1), log(volume / delay(volume, 1) + 1), {w})"),
    ("sump_{w}", f"total({_GAIN}, {{w}}) / {_MOVES}"),
    ("sumn_{w}", f"total({_LOSS}, {{w}}) / {_MOVES}"),
    ("sumd_{w}", f"(total({_GAIN}, {{w}}) - total({_LOSS}, {{w}})) / {_MOVES}"),
    ("vma_{w}", "mean(volume, {w}) / volume"),
    ("vstd_{w}", "std(volume, {w}) / volume"),
    ("wvma_{w}", f"std({_TURMOIL}, {{w}}) / (mean({_TURMOIL}, {{w}}) + 1e-12)"),
    ("vsump_{w}", f"total({_VOLUME_GAIN}, {{w}}) / {_VOLUME_MOVES}"),
    ("vsumn_{w}", f"total({_VOLUME_LOSS}, {{w}}) / {_VOLUME_MOVES}"),
    ("vsumd_{w}", f"(total({_VOLUME_GAIN}, {{w}}) - total({_VOLUME_LOSS}, {{w}})) / {_VOLUME_MOVES}"),
)


@dataclass(frozen=True)
class StormFeatures:
    """STORM's prices, candle shapes and rolling statistics over 5, 10, 20, 30 and 60 days.

    Attributes:
        extra: Further features, after the 149.
    """

    extra: tuple[Feature, ...] = ()

    def table(self) -> tuple[Feature, ...]:
        """Returns the 149 features in the reference's order, then the extra ones."""
        return (*_BAR, *_ROLLING, *self.extra)

    def compute(self, panel: Panel) -> Panel:
        """Returns the features of `panel` as a panel; `market.features.blocks.compute_features` says how."""
        return compute_features("StormFeatures", self.table(), panel)
