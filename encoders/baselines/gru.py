"""A recurrent forecaster: what a plain deep network makes of the windows, beside which every factor model is seen.

Reference: Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, for the gated unit; the two
layers of 64 are those of qlib's GRU benchmark.

Differs from that benchmark, because: the loss is that of the other encoders here (likelihood and ranks), so that the
comparison is one of architectures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.bars import BarHistory, BarReader, bar_columns
from encoders.base import Encoder, Encoding, Forecast, Inference, State, evaluating
from encoders.common.distributions import positive_std
from encoders.common.layers import pack, unpack
from encoders.common.losses import LabelScale, gaussian_nll, rank_terms
from encoders.windows import InputShape, Window


@dataclass(frozen=True)
class GRU(BarReader):
    """Everything that decides a recurrent forecaster.

    Attributes:
        lookback: Days of history that a window holds.
        hidden: Width of a layer, and of an asset's state.
        layers: Layers.
        dropout: Share of each layer's output that is dropped in training.
        likelihood: Weight of the negative log likelihood of labels.
        rank: Weight of one minus the correlation of the forecast with the label's ranks.
        pairwise: Weight of wrongly ordered pairs of assets in the forecast.
        listwise: Weight of the cross-entropy between forecast and label as shares of the day.
        bars: Reads the last columns of the features as 60 days of bars; None takes all features alike.
    """

    lookback: int = 20
    hidden: int = 64
    layers: int = 2
    dropout: float = 0.0
    likelihood: float = 0.2
    rank: float = 1.0
    pairwise: float = 0.0
    listwise: float = 0.0
    bars: BarHistory | None = None

    def build(self, shape: InputShape) -> "GRUEncoder":
        """Returns a new encoder for data of this shape.

        Raises:
            ValueError: The windows have another look-back.
        """
        shape.check_lookback(self.lookback)
        return GRUEncoder(self, shape)


class GRUEncoder(Encoder):
    """Each asset by itself: its state is the network's on the last day, the market's the mean over listed assets."""

    def __init__(self, config: GRU, shape: InputShape) -> None:
        super().__init__()
        self.config = config
        self.n_bars = bar_columns(config.bars)
        n_own, hidden = shape.n_features - self.n_bars, config.hidden
        self.days = nn.GRU(n_own, hidden, config.layers, batch_first=True, dropout=config.dropout)
        self.bars = None if config.bars is None else config.bars.build(hidden)
        self.head = nn.Linear(config.hidden, 2)
        self.label_scale = LabelScale()

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """Nothing is quantised."""
        return {}

    def forward(self, window: Window) -> Encoding:
        """Returns the losses of a batch; the only place where labels enter."""
        known = window.mask & window.forward_return.isfinite()
        if self.training:
            self.label_scale.observe(window.forward_return, known)
        standard = self.label_scale.standard(window.forward_return, known)
        mean, std = self._returns(self._states(window.features, window.mask))
        terms = {
            "likelihood": self.config.likelihood * gaussian_nll(mean, std, standard, known),
            **rank_terms(self.config, mean, window.forward_return, known),
        }
        return Encoding.summed(terms, self._forecast(mean, std, window.mask))

    @torch.no_grad()
    def infer(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        calendar: Float[Tensor, "B L c"],
        *,
        tokens: bool = False,
    ) -> Inference:
        """Returns states and forecast, in evaluation mode whatever the mode the encoder is in; there are no tokens."""
        with evaluating(self):
            asset = self._states(features, mask)
            forecast = self._forecast(*self._returns(asset), mask)
        market = reduce(asset, "b n d -> b d", "sum") / mask.sum(1, keepdim=True).clamp(min=1)
        return Inference(State(asset, market, None), forecast, {})

    def _states(self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
        rows = pack(rearrange(features, "b l n f -> b n l f"), mask)
        if not len(rows):  # the recurrent kernels need at least one asset
            return features.new_zeros(*mask.shape, self.config.hidden)
        own = rows[..., : rows.shape[-1] - self.n_bars]
        found = self.days(own)[0][:, -1].float()
        if self.bars is not None:
            found = found + self.bars(rows[:, -1, -self.n_bars :]).float()
        return unpack(found, mask)

    def _returns(self, asset: Float[Tensor, "B N D"]) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
        with torch.autocast(asset.device.type, enabled=False):
            mean, width = self.head(asset).unbind(-1)
            return mean, positive_std(width)

    def _forecast(self, mean: Float[Tensor, "B N"], std: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]) -> Forecast:
        mean, std = self.label_scale.restore(mean.detach(), std.detach())
        return Forecast(mean.where(mask, torch.nan), std.where(mask, torch.nan))
