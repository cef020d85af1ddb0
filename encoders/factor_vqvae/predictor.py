"""FactorVQVAE, second stage: a transformer predicts today's token, and the token's factors forecast the return.

The first stage (`encoders.factor_vqvae.tokenizer`, which says when a token is known) comes from a run of its own. Its
extractor, tokens, codebook and factors stay as they are, so training reads them once a day and run; only its decoder
learns on. Its weights are part of this encoder's: a checkpoint of this stage needs neither that run nor its folder.

The forecast is decoded from the *expected* code, ``sum_c p_c e_c``, through which errors and ranks teach the
transformer; its deviation adds the spread over the likeliest codes to what the decoder leaves over.

Reference: Kim et al. (2025), FactorVQVAE: discrete latent factor model via vector quantized variational autoencoder,
Knowledge-Based Systems.

Differs from the reference, because:

* its tokens use labels that are not known yet, and so do the codes that are predicted
  (`encoders.factor_vqvae.gpt.next_token_targets`);
* all of its decoder learns on, here only the maps from an asset to its own return and exposures: the network from codes
  to factors, too, says the same every epoch, and on the synthetic market forecasts are no worse for it;
* it decodes the likeliest code, whose choice has no gradient, so that only the cross-entropy reaches its transformer;
* its rank loss compares days of one stock; here stocks of one day;
* the embedding of the asset joins the last position, so that the choice of a code knows today's features;
* an optional term rewards the correlation with the label's ranks, as in the other encoders.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoders.base import Encoder, Encoding, Inference, State, evaluating
from encoders.common.layers import masked_mean, unpack
from encoders.common.losses import gaussian_nll, pairwise_rank_loss, rank_loss
from encoders.data import TrainingData
from encoders.factor_vqvae.frozen_cache import FrozenCache
from encoders.factor_vqvae.gpt import CodeGPT, MarketMemory, next_token_targets
from encoders.factor_vqvae.networks import ReturnDistribution, market_of
from encoders.factor_vqvae.tokenizer import FactorVQVAE
from encoders.training.hooks import checkpoint_of_same_data
from encoders.windows import InputShape, Window, WindowStore

LIKELIEST = 8  # codes whose spread is measured; the rest of a sharp distribution adds nothing


@dataclass(frozen=True)
class FactorVQVAEPredictor:
    """Everything that decides the second stage.

    Attributes:
        run: Directory of the first stage's run, in the workdir; read when training begins and never again.
        tokens: The first stage, as that run was configured.
        width: Width of the transformer.
        depth: Layers of it.
        heads: Heads of its attention.
        market_layers: Layers, from the first on, that look at the market.
        dropout: Share dropped in training.
        code: Weight of the cross-entropy of the codes to come.
        error: Weight of the squared error of the label decoded from the expected code.
        likelihood: Weight of the label's negative log likelihood, which teaches the deviation.
        pairs: Weight of wrongly ordered pairs of assets of a day.
        rank: Weight of one minus the correlation of the forecast with the label's ranks.
    """

    run: str = field(metadata={"in_workdir": "pretrain/{}"})
    tokens: FactorVQVAE = FactorVQVAE()
    width: int = 64
    depth: int = 4
    heads: int = 4
    market_layers: int = 1
    dropout: float = 0.0
    code: float = 1.0
    error: float = 1.0
    likelihood: float = 0.2
    pairs: float = 1.0
    rank: float = 1.0

    @property
    def lookback(self) -> int:
        """Days of history that a window holds: those of the first stage."""
        return self.tokens.lookback

    def of_seed(self, seed: int) -> "FactorVQVAEPredictor":
        """Returns the same on the first stage's run of a seed: seeds of one first stage alone would vary too little."""
        return replace(self, run=f"{self.run}_seed_{seed}")

    def build(self, shape: InputShape) -> "FactorVQVAEPredictorEncoder":
        """Returns a new encoder for data of this shape, its first stage untrained until `begin`.

        Raises:
            ValueError: A size does not fit, with the numbers.
        """
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of the heads, {self.heads}; change either")
        if not self.tokens.quantizer.codebook_size:
            raise ValueError("encoder.tokens has no codes to predict; the twin without codes ends with the first stage")
        if not 1 <= self.market_layers <= self.depth:
            raise ValueError(
                f"market_layers is {self.market_layers} of depth {self.depth}; expected at least 1 and at most all"
            )
        if self.tokens.market_features < 1:
            raise ValueError(
                "encoder.tokens.market_features is 0, but the transformer looks at the market; add windows"
            )
        return FactorVQVAEPredictorEncoder(self, shape)

    def begin(self, encoder: Encoder, data: TrainingData) -> None:
        """Brings in the first stage, if it saw the same data and no later ones.

        Raises:
            ValueError: There is no such run, it is another architecture, or its data were others; with what differs.
        """
        assert isinstance(encoder, FactorVQVAEPredictorEncoder)
        checkpoint = checkpoint_of_same_data(self.run, data, "train the first stage and name it in encoder.run")
        self.tokens.begin(encoder.stage, data)
        checkpoint.load_into(encoder.stage)


class FirstStageOutput(NamedTuple):
    """Output of the frozen first stage for some windows.

    Attributes:
        asset: Embeddings of the packed assets.
        codes: Those of the realised labels, and in training of the last day's own; -1 where a label is unknown.
        factors: As the realised labels leave them.
        market: The market's features, day by day.
    """

    asset: Float[Tensor, "S H"]
    codes: Int[Tensor, "S n"]
    factors: Float[Tensor, "S k"]
    market: Float[Tensor, "B L m"]


class NextTokenPrediction(NamedTuple):
    """Prediction of the packed assets' labels of the last day.

    Attributes:
        memory: What the market's network says of each position.
        hidden: What the transformer says of each position.
        last: The same of the last one, with the asset's embedding.
        expected: Expected code of today.
        returns: The label decoded from it, in standard units.
    """

    memory: Float[Tensor, "B p w"]
    hidden: Float[Tensor, "S p w"]
    last: Float[Tensor, "S w"]
    expected: Float[Tensor, "S d"]
    returns: ReturnDistribution


class FactorVQVAEPredictorEncoder(Encoder):
    """A set function over assets; see `FactorVQVAEPredictor`.

    An asset's state is its embedding, what the transformer says of today and the expected code ``[h, g, E[e]]``, its
    codes those of the window's labels; the market's is its network's output on the last day.
    """

    def __init__(self, config: FactorVQVAEPredictor, shape: InputShape) -> None:
        super().__init__()
        self.config = config
        first = config.tokens
        self.stage = first.build(shape)
        self.stage.requires_grad_(False)
        self.stage.decoder.requires_grad_(True)
        self.market = MarketMemory(first.market_features, config.width)
        size = (first.dim, first.quantizer.codebook_size, first.lookback, config.width, config.depth, config.heads)
        self.gpt = CodeGPT(*size, config.dropout, config.market_layers)
        self.asset = nn.Linear(first.hidden, config.width)
        self._remembered: FrozenCache | None = None

    def use_windows(self, windows: WindowStore) -> None:
        """From now on training reads each of these windows once, by the first stage as it is."""
        self._remembered = FrozenCache(windows, lambda window: _narrow(self._read_all(window)))

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """The first stage's."""
        return self.stage.codebook_sizes

    def forward(self, window: Window) -> Encoding:
        """Returns the losses of a batch; the only place where labels enter."""
        mask, label, config = window.mask, window.forward_return, self.config
        known = mask & label.isfinite()
        standard = self.stage.label_scale.standard(label, known)
        frozen = self._remembered if self.training else None
        reading = self._read_all(window) if frozen is None else _wide(frozen(window.day))
        today = self.predict_next(reading._replace(codes=reading.codes[:, :-1]), mask)
        mean, std = unpack(today.returns.mean, mask), unpack(today.returns.std, mask).where(mask, 1.0)
        with torch.autocast(label.device.type, enabled=False):
            terms = {
                "code": config.code * self.cross_entropy(today, reading.codes),
                "error": config.error * masked_mean((mean - standard).square(), known),
                "likelihood": config.likelihood * gaussian_nll(mean.detach(), std, standard, known),
                "pairs": config.pairs * pairwise_rank_loss(mean, standard, known),
                "rank": config.rank * rank_loss(mean, label, known),
            }
        return Encoding.summed(terms, self.stage.in_units(today.returns, mask), {"returns": reading.codes})

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
            reading = self.read(features, mask)
            today = self.predict_next(reading, mask)
        asset = unpack(torch.cat([reading.asset, today.last, today.expected], -1), mask)
        state = State(asset, today.memory[:, -1], unpack(reading.codes + 1, mask) - 1)
        raw = {"returns": unpack(self.words(reading.codes), mask)} if tokens else {}
        return Inference(state, self.stage.in_units(today.returns, mask), raw)

    def read(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        own: Float[Tensor, " S"] | None = None,
        there: Bool[Tensor, " S"] | None = None,
    ) -> FirstStageOutput:
        """Returns what the frozen first stage says of a window, and of its last day's `own` label where it is given."""
        with torch.no_grad(), evaluating(self.stage):
            seen = self.stage.look(features, mask)
            labels = seen.labels if own is None else torch.cat([seen.labels, own[:, None]], 1)
            codes = self.stage.quantise(labels, there).codes
            market = market_of(features, mask, self.config.tokens.market_features)
            return FirstStageOutput(seen.asset, codes, self._factors(codes[:, : self.config.lookback]), market)

    def _read_all(self, window: Window) -> FirstStageOutput:
        known = window.mask & window.forward_return.isfinite()
        own = self.stage.label_scale.standard(window.forward_return, known)
        return self.read(window.features, window.mask, own[window.mask], known[window.mask])

    def predict_next(self, reading: FirstStageOutput, mask: Bool[Tensor, "B N"]) -> NextTokenPrediction:
        """Returns what is expected of today's labels after the codes of those that are known."""
        day, vectors, memory = mask.nonzero()[:, 0], self.vectors(), self.market(reading.market)
        hidden = self.gpt(reading.codes, vectors, memory, day)
        last = hidden[:, -1].float() + self.asset(reading.asset)
        with torch.autocast(last.device.type, enabled=False):
            chance = self.gpt.next(last).softmax(-1)
            expected = chance @ vectors
        return NextTokenPrediction(memory, hidden, last, expected, self._decode(reading, chance, expected))

    def cross_entropy(self, today: NextTokenPrediction, codes: Int[Tensor, "S n"]) -> Float[Tensor, ""]:
        """Returns the mean cross-entropy of the codes that came, in units of a uniform guess's."""
        positions, target, known = next_token_targets(codes, self.config.tokens.span)
        asked = torch.cat([today.hidden[:, : len(positions) - 1].float(), today.last[:, None]], 1)
        logits: Tensor = rearrange(self.gpt.next(asked), "s q c -> (s q) c")
        total = F.cross_entropy(logits, target.flatten(), ignore_index=-1, reduction="sum")
        return total / known.sum().clamp(min=1) / math.log(logits.shape[1])

    def vectors(self) -> Float[Tensor, "C d"]:
        """Returns the vector of every code; they do not learn."""
        codes = torch.arange(self.config.tokens.quantizer.codebook_size, device=self.gpt.start.device)
        with torch.no_grad():
            vectors: Tensor = self.stage.quantizer.lookup(codes)
        return vectors

    def words(self, codes: Int[Tensor, "*s"]) -> Float[Tensor, "*s d"]:
        """Returns the vectors of codes that are known."""
        return F.embedding(codes, self.vectors())

    def _factors(self, codes: Int[Tensor, "S n"]) -> Float[Tensor, "S k"]:
        if not len(codes):
            return self.gpt.start.new_zeros(0, self.config.tokens.factors)
        factors: Tensor = self.stage.factors(self.words(codes))[1][0].float()
        return factors

    def _decode(
        self, reading: FirstStageOutput, chance: Float[Tensor, "S C"], expected: Float[Tensor, "S d"]
    ) -> ReturnDistribution:
        returns: ReturnDistribution
        if not len(expected):
            (returns,) = self.stage.decoder(reading.asset, expected.new_zeros(0, self.config.tokens.factors))
            return returns
        after = self.stage.factors(expected[:, None], reading.factors[None])[0][:, 0]
        with torch.no_grad():
            likely, codes = chance.detach().topk(min(LIKELIEST, chance.shape[1]))
            words = rearrange(self.words(codes), "s c d -> (s c) 1 d")
            before = repeat(reading.factors, "s k -> 1 (s c) k", c=codes.shape[1])
            each = rearrange(self.stage.factors(words, before)[0], "(s c) 1 k -> c s k", c=codes.shape[1])
        returns, *others = self.stage.decoder(reading.asset, after, *each)
        with torch.no_grad():
            weight, value = likely / likely.sum(-1, keepdim=True), torch.stack([other.mean for other in others], -1)
            middle = (weight * value).sum(-1, keepdim=True)
            spread = (weight * (value - middle).square()).sum(-1)
        return returns._replace(std=(returns.std.square() + spread).sqrt())


def _narrow(reading: FirstStageOutput) -> FirstStageOutput:
    # Recurrent networks answered in the precision of autocast: nothing is lost.
    kind = reading.asset.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return reading._replace(asset=reading.asset.to(dtype), codes=reading.codes.int(), factors=reading.factors.to(dtype))


def _wide(narrow: Iterable[Tensor]) -> FirstStageOutput:
    reading = FirstStageOutput(*narrow)
    return reading._replace(asset=reading.asset.float(), codes=reading.codes.long(), factors=reading.factors.float())
