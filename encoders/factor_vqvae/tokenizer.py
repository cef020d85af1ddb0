"""FactorVQVAE, first stage: a vocabulary of returns, and the return factor of each token.

The label that belongs to day ``d`` becomes a token; a codebook of them is what the second stage
(`encoders.factor_vqvae.predictor`) learns to predict.

When a token is known
---------------------
A label of day ``d`` is known ``span`` days later (`market.prices.labels.Label`). The features hold it there and not
before: column ``REALISED`` of row ``t`` is the label of day ``t - span`` (`market.features.realised`), so a window that
ends on ``t`` holds the labels of days up to ``t - span`` and nothing of the days after, which `infer` never learns.
Those of ``t - span + 1`` to ``t - 1`` stay unknown in training too, although they would be there: a token is made from
its own label and from the rows that were known on its own day, never from the rows between. So the token of today,
which training makes from `Window.forward_return` and forecasting has to guess, is made as every token of the past was.
`begin` compares column and labels of the training data and refuses any other shift.

Reference: Kim et al. (2025), FactorVQVAE: discrete latent factor model via vector quantized variational autoencoder,
Knowledge-Based Systems.

Differs from the reference, because:

* its tokens use one or two labels that are not known yet (see above);
* the first stage forecasts too, with a learnt word in place of today's token, so that the embedding of an asset learns
  what its features say of the next return, and so that this stage is worth something by itself;
* the label rebuilt from its token teaches tokens and decoder, but not the extractor: at ten times the weight of the
  forecast, and with the answer at hand, it would keep it from learning what features predict;
* keys, queries and values come from the scalar's hidden layer in one product: a second map before them adds nothing;
* attention knows distances in days instead of positions, so that a token does not change as its window moves on;
* tokens are standardised by their running spread in front of the quantiser (`encoders.common.layers.RunningNorm`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoders.bars import BarHistory
from encoders.base import Encoder, Encoding, Forecast, Inference, State, evaluating
from encoders.common.layers import RunningNorm, masked_mean, unpack
from encoders.common.losses import LabelScale, gaussian_nll, rank_loss
from encoders.data import TrainingData
from encoders.factor_vqvae.networks import (
    Extractor,
    FactorVQVAEDecoder,
    ReturnDistribution,
    ReturnTokenizer,
    pack_windows,
)
from encoders.quantizers import Affine, QuantizedTokens, QuantizerConfig
from encoders.training.hooks import refuse_misaligned
from encoders.windows import InputShape, Window


@dataclass(frozen=True)
class FactorVQVAE:
    """Everything that decides the first stage.

    Attributes:
        lookback: Days of history that a window holds.
        span: Days after which a label is known: its horizon, and one more where the fill is on the next day.
        market_features: Last columns of the features, which describe the market; the one before them is the realised
            label. For the second stage.
        hidden: Width of an asset's embedding.
        dim: Width of a token.
        factors: Width of the factors that tokens are decoded to.
        heads: Heads of the attention among tokens.
        quantizer: `Affine`, or any other; `Continuous` for the twin without codes, which has no second stage.
        error: Weight of the squared error of the label rebuilt from its token.
        likelihood: Weight of the negative log likelihood of the label, forecast from the tokens before it.
        rank: Weight of one minus the correlation of that forecast with the label's ranks.
        norm: Whether an asset's features are brought to mean zero and deviation one of each day, as in the reference.
            Features that are cross-sectional scores lose by it how unusual the asset is.
        bars: Reads the last columns in front of the realised label as 60 days of bars; None takes them as the others.
    """

    lookback: int = 20
    span: int = 2
    market_features: int = 63
    hidden: int = 128
    dim: int = 128
    factors: int = 64
    heads: int = 4
    quantizer: QuantizerConfig = Affine()
    error: float = 10.0
    likelihood: float = 0.2
    rank: float = 1.0
    norm: bool = True
    bars: BarHistory | None = None

    def build(self, shape: InputShape) -> "FactorVQVAEEncoder":
        """Returns a new encoder for data of this shape.

        Raises:
            ValueError: A size does not fit, with the numbers.
        """
        shape.check_lookback(self.lookback)
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of the heads, {self.heads}; change either")
        if not 1 <= self.span < self.lookback:
            raise ValueError(f"span is {self.span} days, expected at least 1 and less than lookback {self.lookback}")
        if shape.n_features < self.market_features + 2:
            raise ValueError(
                f"windows hold {shape.n_features} features, the encoder wants at least one, the realised label and "
                f"{self.market_features} of the market; wrap the features in WithRealisedReturns or lower "
                "encoder.market_features"
            )
        return FactorVQVAEEncoder(self, shape)

    def begin(self, encoder: Encoder, data: TrainingData) -> None:
        """Refuses data whose realised labels are others than those that are known."""
        refuse_misaligned(data, -1 - self.market_features, self.span)
        if self.bars is not None:
            self.bars.refuse_other_columns(data.pipeline.scaler.fields[: -1 - self.market_features])


class WindowEmbedding(NamedTuple):
    """Embeddings and known labels of a window's packed assets, before any label of its last day."""

    asset: Float[Tensor, "S H"]
    labels: Float[Tensor, "S L"]


class TokenSequence(NamedTuple):
    """Quantised labels of packed assets, -1 where one is unknown, and the quantiser's loss."""

    quantised: Float[Tensor, "S n d"]
    codes: Int[Tensor, "S n"]
    loss_terms: Mapping[str, Tensor]


class FactorVQVAEEncoder(Encoder):
    """A set function over assets, each by itself; see `FactorVQVAE`.

    An asset's state is its embedding and its factors as expected of today, its codes those of the window's labels, the
    market's state the mean over listed assets.
    """

    def __init__(self, config: FactorVQVAE, shape: InputShape) -> None:
        super().__init__()
        self.config, self.n_assets = config, shape.n_assets
        n_own = shape.n_features - 1 - config.market_features
        self.extractor = Extractor(n_own, config.hidden, config.norm, config.bars)
        self.tokens = ReturnTokenizer(config.dim, config.heads, config.lookback, config.span)
        self.norm = RunningNorm(config.dim)
        self.quantizer = config.quantizer.build(config.dim)
        self.factors = nn.GRU(config.dim, config.factors, batch_first=True)
        self.unknown = nn.Parameter(torch.zeros(config.dim))  # stands where the token of today will be
        self.decoder = FactorVQVAEDecoder(config.hidden, config.factors)
        self.label_scale = LabelScale()

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """One codebook, of returns; none where nothing is quantised."""
        size = self.config.quantizer.codebook_size
        return {"returns": size} if size else {}

    @property
    def tokens_per_day(self) -> Mapping[str, int]:
        """A label an asset."""
        return dict.fromkeys(self.codebook_sizes, self.n_assets)

    def forward(self, window: Window) -> Encoding:
        """Returns the losses of a batch; the only place where labels enter."""
        mask, label, config = window.mask, window.forward_return, self.config
        known = mask & label.isfinite()
        if self.training:
            self.label_scale.observe(label, known)
        seen = self.look(window.features, mask)
        there, own = known[mask], self.label_scale.standard(label, known)[mask]
        sentence = self.quantise(torch.cat([seen.labels, own[:, None]], 1), there)
        factors = self.factors_of(sentence)
        (forecast,) = self.decoder(seen.asset, self.factors_before(factors[:, -2]))
        (rebuilt,) = self.decoder(seen.asset.detach(), factors[:, -1])  # the token tells all, so features need not
        mean, std = unpack(forecast.mean, mask), unpack(forecast.std, mask).where(mask, 1.0)
        standard = self.label_scale.standard(label, known)
        terms = {
            "error": config.error * masked_mean((rebuilt.mean - own).square(), there),
            "likelihood": config.likelihood * gaussian_nll(mean, std, standard, known),
            "rank": config.rank * rank_loss(mean, label, known),
            **sentence.loss_terms,
        }
        return Encoding.summed(terms, self.in_units(forecast, mask), dict.fromkeys(self.codebook_sizes, sentence.codes))

    @torch.no_grad()
    def infer(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        calendar: Float[Tensor, "B L c"],
        *,
        tokens: bool = False,
    ) -> Inference:
        """Returns states and forecast, in evaluation mode whatever the mode the encoder is in."""
        with evaluating(self):
            seen = self.look(features, mask)
            sentence = self.quantise(seen.labels, None)
            factors = self.factors_before(self.factors_of(sentence)[:, -1])
            (forecast,) = self.decoder(seen.asset, factors)
        asset = unpack(torch.cat([seen.asset, factors], -1), mask)
        market = reduce(asset, "b n d -> b d", "sum") / mask.sum(1, keepdim=True).clamp(min=1)
        state = State(asset, market, unpack(sentence.codes + 1, mask) - 1 if self.codebook_sizes else None)
        raw = {"returns": unpack(sentence.quantised, mask)} if tokens else {}
        return Inference(state, self.in_units(forecast, mask), raw)

    def look(self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"]) -> WindowEmbedding:
        """Returns what the window says before any label of its last day."""
        rows = pack_windows(features, mask, self.config.market_features)
        everyone = torch.ones_like(rows.realised, dtype=torch.bool)
        labels = self.label_scale.standard(rows.realised, everyone)
        if not len(labels):  # the recurrent kernels refuse to work for nobody
            return WindowEmbedding(features.new_zeros(0, self.config.hidden), labels)
        return WindowEmbedding(self.extractor(rows.features), labels)

    def quantise(self, labels: Float[Tensor, "S n"], there: Bool[Tensor, " S"] | None) -> TokenSequence:
        """Returns the codes of labels; `there` is true where the last one is known, None where all are."""
        tokens, exist = rearrange(self.tokens(labels), "s n d -> (s n) d"), None
        if there is not None and not there.all():  # without a mask nothing is copied
            exist = torch.cat([torch.ones_like(labels[:, 1:], dtype=torch.bool), there[:, None]], 1).flatten()
        found: QuantizedTokens = self.quantizer(self.norm(tokens, exist), exist)
        n = labels.shape[1]
        quantised = rearrange(found.quantised, "(s n) d -> s n d", n=n)
        return TokenSequence(quantised, rearrange(found.codes, "(s n) -> s n", n=n), found.loss_terms)

    def factors_of(self, sentence: TokenSequence) -> Float[Tensor, "S n k"]:
        """Returns the factors as each token leaves them."""
        if not len(sentence.codes):
            return sentence.quantised.new_zeros(*sentence.codes.shape, self.config.factors)
        factors: Tensor = self.factors(sentence.quantised)[0]
        return factors

    def factors_before(self, known: Float[Tensor, "S k"]) -> Float[Tensor, "S k"]:
        """Returns the factors of a day whose label is unknown, after those of the labels that are known.

        The decoder reads factors as the label of their own token: read before that token, they would give away today's
        label to be that of the last day that is known.
        """
        if not len(known):
            return known.float()
        word = self.unknown.expand(len(known), 1, -1)
        expected: Tensor = self.factors(word, known.float()[None])[0][:, 0].float()
        return expected

    def in_units(self, forecast: ReturnDistribution, mask: Bool[Tensor, "B N"]) -> Forecast:
        """Returns a forecast in the label's own units, NaN where masked."""
        places = (unpack(each.detach(), mask) for each in forecast)
        mean, std = self.label_scale.restore(*places)
        return Forecast(mean.where(mask, torch.nan), std.where(mask, torch.nan))
