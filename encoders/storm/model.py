"""STORM: a dual vector-quantised autoencoder of a market, with a factor model on top.

Reference: Zhao et al. (2024), STORM: a spatio-temporal factor model based on dual vector quantized variational
autoencoders for financial trading. https://arxiv.org/abs/2412.09468

Differs from the reference, because:

* assets are a set: no parameter depends on their number, and masked ones are invisible (the reference flattens all
  assets into one vector; at 408 of them, nine tenths of its parameters are in that one layer);
* nothing attends across the batch (`encoders.storm.factors` says where the reference does), so that a state depends on
  its own window alone;
* assets attend over their own patches by default; ``attention="joint"`` gives the reference's attention among all;
* decoders attend within one asset or one day; a joint decoder could rebuild an asset from the codes of another;
* alignment compares learnt pools over time of all tokens (the reference drops its CLS token and aligns one patch of
  one stock), and excludes days without a listed asset;
* an asset's state adds a linear map of the last day's features: a signal of one day in one feature must not have to
  pass sixteen patches and a codebook;
* orthogonality and diversity act on a learnable codebook (the reference applies them to one that its running means
  overwrite), each term enters the loss once, and every term is a mean, so that weights mean the same at any B, L or N;
* a term rewards the correlation of the prior's forecast with the label's ranks, which is what the forecast is used for;
* prices are rebuilt in units of each window's own spread, so that a calm asset counts as much as a wild one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoders.bars import BarHistory, BarReader, bar_columns
from encoders.base import Encoder, Encoding, Forecast, Inference, State, evaluating
from encoders.common.layers import masked_mean, pack, unpack
from encoders.common.losses import LabelScale, gaussian_kl, gaussian_nll, info_nce, price_inconsistency, rank_loss
from encoders.quantizers import Learnable, QuantizerConfig
from encoders.storm.branches import StormSizes
from encoders.storm.factors import StormFactorModel, StormFactorOutput, StormFactors
from encoders.storm.head import GatedHead, GatedResidual
from encoders.storm.trunk import Tokens, Trunk, TrunkOutput
from encoders.windows import InputShape, Window

BRANCHES = (("time_series", "cross_section"), ("time_series",), ("cross_section",), ("mix",))
ATTENTIONS = ("per_asset", "joint")


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms; the quantiser's are its own.

    Attributes:
        likelihood: Negative log likelihood of labels under the posterior of the factors.
        kl: Divergence of that posterior from the prior.
        rank: One minus the correlation of the prior's forecast with the label's ranks.
        reconstruction: Squared error of rebuilt prices.
        consistency: Rebuilt bars whose low or high does not bound open and close.
        alignment: Contrast between the two branches' views of a day.
        codes: One minus the correlation of the label's ranks with a linear reading of an asset's quantised tokens. It
            reaches the tokens straight through the quantiser, so that codes keep what predicts the label.
    """

    likelihood: float = 0.2
    kl: float = 0.1
    rank: float = 1.0
    reconstruction: float = 0.2
    consistency: float = 0.1
    alignment: float = 0.02
    codes: float = 0.0


@dataclass(frozen=True)
class Storm(BarReader):
    """Everything that decides a STORM encoder.

    Attributes:
        lookback: Days of history that a window holds.
        branches: ``("time_series", "cross_section")``, either alone, or ``("mix",)``: both kinds of token through one
            transformer and one codebook.
        attention: ``"per_asset"``, linear in the number of assets, or ``"joint"`` over all tokens of a day.
        quantizer: `EMA`, `Learnable`, `Affine`, `FSQ`, `Residual`, `SimVQ` or `VQTorch`, each with the size of a
            codebook; `Continuous` for the twin without codes; or one of your own, see `encoders.quantizers.Quantizer`.
        sizes: Widths and depths.
        factors: The factor model.
        weights: Weights of the loss.
        head: What an asset's window adds to its state past the tokens; None leaves it to the last day's features.
        bars: Reads the last columns of the features as 60 days of bars, in the head alone; tokens do not see them.
    """

    lookback: int = 64
    branches: tuple[str, ...] = ("time_series", "cross_section")
    attention: str = "per_asset"
    quantizer: QuantizerConfig = Learnable()
    sizes: StormSizes = StormSizes()
    factors: StormFactors = StormFactors()
    weights: LossWeights = LossWeights()
    head: GatedHead | None = None
    bars: BarHistory | None = None

    def build(self, shape: InputShape) -> "StormEncoder":
        """Returns a new encoder for data of this shape.

        Raises:
            ValueError: A size does not fit, with the numbers.
        """
        sizes = self.sizes
        shape.check_lookback(self.lookback)
        if self.lookback % sizes.patch:
            raise ValueError(f"patch {sizes.patch} does not divide lookback {self.lookback}; change either")
        if sizes.dim % (2 * sizes.heads):
            raise ValueError(f"dim {sizes.dim} is no multiple of twice the heads, {2 * sizes.heads}; change either")
        if self.branches not in BRANCHES:
            raise ValueError(f"branches {self.branches} unknown; use one of {BRANCHES}")
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention {self.attention!r} unknown; use one of {ATTENTIONS}")
        if self.weights.codes and "time_series" not in self.branches:
            raise ValueError(
                f"weights.codes reads an asset's own tokens, and branches {self.branches} have none; set it to 0"
            )
        if self.bars is not None and self.head is None:
            raise ValueError("bars are read by the head, and there is none; give the encoder a GatedHead or no bars")
        return StormEncoder(self, shape)


class StormOutput(NamedTuple):
    """Output of one pass before any label."""

    trunk: TrunkOutput
    asset: Float[Tensor, "B N D"]
    market: Float[Tensor, "B M"]
    day: StormFactorOutput


class StormEncoder(Encoder):
    """A set function over assets; see `Storm` for its parts and the module for its source.

    An asset's state carries its own pooled tokens, before and after the quantiser, and a linear map of its features on
    the last day; where there is no time-series branch, its pooled embedding instead of tokens. The market's
    state carries the pooled cross-section tokens, or the mean over assets of time-series pools.
    """

    def __init__(self, config: Storm, shape: InputShape) -> None:
        super().__init__()
        sizes = config.sizes
        self.config, self.shape = config, shape
        joint = config.attention == "joint"
        self.n_own = shape.n_features - bar_columns(config.bars)  # features that tokens are made of
        seen = replace(shape, n_features=self.n_own)
        self.trunk = Trunk(config.branches, joint, sizes, config.quantizer, seen)
        self.asset_tokens = nn.Linear(self.trunk.own_width, sizes.asset_state)
        self.asset_features = nn.Linear(shape.n_features, sizes.asset_state, bias=False)
        self.market_tokens = nn.Linear(2 * sizes.dim, sizes.market_state)
        self.market_factors = nn.Linear(sizes.market_state, sizes.asset_state)
        self.factors = StormFactorModel(sizes.asset_state, config.factors)
        self.label_scale = LabelScale()
        self.codes_read = None
        if config.weights.codes:
            self.codes_read = nn.Linear(config.lookback // sizes.patch * sizes.dim, 1, bias=False)
        self.head = None
        if config.head is not None:
            self.head = GatedResidual(config.head, shape.n_features, sizes.asset_state, config.bars)
        if config.branches not in (("time_series",), ("cross_section",)):
            self.alignment_scale = nn.Parameter(torch.tensor(2.0))  # logarithm of the inverse temperature

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """Number of codes of each codebook by name; empty where nothing is quantised."""
        size = self.config.quantizer.codebook_size
        return dict.fromkeys(self.config.branches if size else (), size)

    @property
    def tokens_per_day(self) -> Mapping[str, int]:
        """Tokens that one day of the training assets brings to each codebook."""
        own = self.shape.n_assets * self.config.lookback // self.config.sizes.patch
        days = self.config.lookback * self.config.sizes.day_tokens
        tokens = {"time_series": own, "cross_section": days, "mix": own + days}
        return {name: tokens[name] for name in self.codebook_sizes}

    def forward(self, window: Window) -> Encoding:
        """Returns the losses of a batch; the only place where labels enter."""
        mask = window.mask
        encoded = self._encode(window.features, mask, window.calendar)
        terms, rebuilt = self._reconstruct(encoded, window.prices, mask)
        if len(encoded.trunk.views) == 2:
            one, other = (view.float() for view in encoded.trunk.views.values())
            contrast = info_nce(one, other, mask.any(1), self.alignment_scale.clamp(max=4.6).exp())
            terms["alignment"] = self.config.weights.alignment * contrast
        terms |= self._predict_terms(encoded, window.forward_return, mask)
        for name, found in encoded.trunk.found.items():
            terms |= {f"{name}_{term}": value for term, value in found.loss_terms.items()}
        return Encoding.summed(
            terms,
            self._forecast(encoded.day, mask),
            {name: encoded.trunk.found[name].codes for name in self.codebook_sizes},
            rebuilt,
        )

    @torch.no_grad()
    def infer(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        calendar: Float[Tensor, "B L c"],
        *,
        tokens: bool = False,
    ) -> Inference:
        """Returns states and forecast, in evaluation mode whatever the mode the encoder is in.

        Codes are the asset's own, `L / patch` of them; without a time-series branch those of the last day; None where
        nothing is quantised.

        Tokens are both sides of the quantiser, `[enc, quant]`: ``cross_section`` `[B, L q, 2 d]` and ``time_series``
        `[B, N, L / patch, 2 d]`.
        """
        with evaluating(self):
            encoded = self._encode(features, mask, calendar)
        made = encoded.trunk.tokens
        codes = self._asset_codes(made, mask) if self.codebook_sizes else None
        state = State(encoded.asset, encoded.market, codes)
        raw = {kind: _raw(kind, each, mask) for kind, each in made.items()} if tokens else {}
        return Inference(state, self._forecast(encoded.day, mask), raw)

    def _encode(
        self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], calendar: Float[Tensor, "B L c"]
    ) -> StormOutput:
        features = features.where(rearrange(mask, "b n -> b 1 n 1"), 0.0)
        trunk: TrunkOutput = self.trunk(features[..., : self.n_own], mask, calendar)
        views = trunk.views
        market = self.market_tokens(views["cross_section" if "cross_section" in views else "time_series"]).float()
        own = None if self.head is None else self.head.read(features, mask)
        with torch.autocast(features.device.type, enabled=False):
            packed = self.asset_tokens(trunk.own.float()) + self.asset_features(pack(features[:, -1], mask))
            if self.head is not None:
                packed = self.head(packed, own)
            asset = unpack(packed, mask)
            day = self.factors(asset, mask, self.market_factors(market)[:, None])
        return StormOutput(trunk, asset, market, day)

    def _reconstruct(
        self, encoded: StormOutput, prices: Float[Tensor, "B L N P"], mask: Bool[Tensor, "B N"]
    ) -> tuple[dict[str, Tensor], Float[Tensor, "B L N P"]]:
        target = pack(rearrange(prices, "b l n p -> b n l p"), mask)
        spread = target.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-4)
        rebuilt = self.trunk.decode(encoded.trunk.tokens, encoded.asset, mask)
        weights, everywhere = self.config.weights, torch.ones_like(target, dtype=torch.bool)
        error = (rebuilt - target / spread).square()
        terms = {"reconstruction": weights.reconstruction * masked_mean(error, everywhere)}
        if prices.shape[-1] == 4:
            broken = price_inconsistency(rebuilt)
            terms["consistency"] = weights.consistency * masked_mean(broken, everywhere[..., 0])
        mean = unpack(rebuilt.detach().mean(0) * spread, mask)
        return terms, rearrange(mean, "b n l p -> b l n p")

    def _predict_terms(
        self, encoded: StormOutput, label: Float[Tensor, "B N"], mask: Bool[Tensor, "B N"]
    ) -> dict[str, Tensor]:
        known, weights, day = mask & label.isfinite(), self.config.weights, encoded.day
        if self.training:
            self.label_scale.observe(label, known)
        standard = self.label_scale.standard(label, known)
        with torch.autocast(label.device.type, enabled=False):
            posterior = self.factors.infer_factors(day, encoded.asset, standard, known)
            likelihood = gaussian_nll(*day.returns(posterior), standard, known)
            divergence = gaussian_kl(*posterior, *day.prior)
            rank = rank_loss(day.returns(day.prior).mean, label, known)
            terms = {
                "likelihood": weights.likelihood * likelihood,
                "kl": weights.kl * masked_mean(divergence, known.any(-1, keepdim=True)),
                "rank": weights.rank * rank,
            }
            if self.codes_read is not None:
                quantised = encoded.trunk.tokens["time_series"].quantised.float()
                read = unpack(self.codes_read(rearrange(quantised, "s t d -> s (t d)"))[:, 0], mask)
                terms["codes"] = weights.codes * rank_loss(read, label, known)
        return terms

    def _forecast(self, day: StormFactorOutput, mask: Bool[Tensor, "B N"]) -> Forecast:
        mean, std = self.label_scale.restore(*day.returns(day.prior))
        return Forecast(mean.detach().where(mask, torch.nan), std.detach().where(mask, torch.nan))

    def _asset_codes(self, tokens: Mapping[str, Tokens], mask: Bool[Tensor, "B N"]) -> Int[Tensor, "B N K"]:
        if "time_series" in tokens:
            codes = tokens["time_series"].codes
            places = codes.new_full((*mask.shape, codes.shape[1]), -1)
            places[mask] = codes
            return places
        last = tokens["cross_section"].codes[:, -self.config.sizes.day_tokens :]
        return repeat(last, "b q -> b n q", n=mask.shape[1]).where(mask[..., None], -1)


def _raw(kind: str, tokens: Tokens, mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B ..."]:
    both = torch.cat([tokens.encoded, tokens.quantised], -1)
    return unpack(both, mask) if kind == "time_series" else both
