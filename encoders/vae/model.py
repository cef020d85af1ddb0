"""A variational autoencoder of the cross-section of returns: factors that are discovered, not forecast.

The windows hold one feature, the return of the day. Each asset is standardised by what training has seen of it; assets
that are not listed stand at zero and are left out of the loss. An asset's return is normal around what the decoder
makes of the day's factors, with a deviation of its own, so the loss is the negative evidence lower bound, in nats per
listed asset and day, and the model can draw days that never were.

References: Kingma and Welling (2014), Auto-encoding variational Bayes, https://arxiv.org/abs/1312.6114;
Higgins et al. (2017), beta-VAE, for the weight of the divergence; Bowman et al. (2016), Generating sentences from a
continuous space, https://arxiv.org/abs/1511.06349, section 3.1, for its annealing; Sohn et al. (2015), Learning
structured output representation using deep conditional generative models, for what is given.

Which axes a factor has is not decided by returns alone: any rotation of normal factors explains them as well. The
posterior's independent deviations choose the axes of a locally principal analysis (Rolinek et al. 2019, Variational
autoencoders pursue PCA directions (by accident), https://arxiv.org/abs/1812.06775), so factors of different strengths
come out one by one and equally strong ones may come out mixed.

Differs from the references, because:

* the deviation of each asset is learnt: with a fixed one, `beta` would mean something else for every market;
* in evaluation factors are their posterior's mean, so that two calls agree, and `beta` has its full weight, so that the
  epochs of the annealing can be compared;
* a linear map from the factors to tomorrow's label, asset by asset, makes the forecast every encoder owes. Its gradient
  ends at the factors: labels have no part in what is discovered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.base import Encoder, Encoding, Forecast, Inference, State, evaluating
from encoders.common.distributions import Normal, positive_std
from encoders.common.losses import LabelScale, gaussian_kl, gaussian_nll
from encoders.vae.networks import AssetScale, CrossSection, RecurrentWindow, SectorCondition, Unconditional, VAEDecoder
from encoders.windows import InputShape, Window


@dataclass(frozen=True)
class VAE:
    """Everything that decides a VAE of returns.

    Attributes:
        lookback: Days of history that a window holds; `CrossSection` reads the last one.
        factors: Latent factors.
        inference: How factors are inferred: `CrossSection` from the day, `RecurrentWindow` from all days of the window.
        condition: What is given of a day (`SectorCondition`), None where nothing is.
        decoder: Widths of the layers between the factors and the returns; none makes returns linear in factors, which
            keeps weak factors that layers lose.
        beta: Weight of the divergence of the factors from independent standard normals; 1 is the evidence lower bound.
        annealing: Training batches over which `beta` rises from zero.
        forecast: Weight of the negative log likelihood of labels under the forecast.
    """

    lookback: int = 1
    factors: int = 5
    inference: CrossSection | RecurrentWindow = CrossSection()
    condition: SectorCondition | None = None
    decoder: tuple[int, ...] = ()
    beta: float = 1.0
    annealing: int = 500
    forecast: float = 0.1

    def __post_init__(self) -> None:
        for name, least in (("factors", 1), ("beta", 0), ("annealing", 0), ("forecast", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(f"VAE: {name} is {getattr(self, name)}, expected at least {least}")

    def build(self, shape: InputShape) -> "VAEEncoder":
        """Returns a new encoder for data of this shape.

        Raises:
            ValueError: The windows have another look-back or hold more than the return, or the sectors do not fit.
        """
        shape.check_lookback(self.lookback)
        if shape.n_features != 1:
            raise ValueError(
                f"VAE: reads one feature, the return of the day, the windows hold {shape.n_features}; "
                "use features=Formulas((Feature('RET1', 'close / delay(close, 1) - 1'),))"
            )
        return VAEEncoder(self, shape.n_assets)


class VAEOutput(NamedTuple):
    """Standardised returns, condition and inferred factors of a day, before any sample is drawn."""

    standard: Float[Tensor, "B N"]
    given: Float[Tensor, "B S"]
    factors: Normal


class VAEEncoder(Encoder):
    """Fixed assets by place; see `VAE`.

    The market's state is the day's factors, their posterior mean; an asset's its loadings there: by how many standard
    deviations its expected return moves with each factor, the derivative of the decoder.

    A day in use is encoded alone. In training batch normalisation ties a day to the others of its batch, which must
    therefore be at least two.
    """

    batches: Tensor

    def __init__(self, config: VAE, n_assets: int) -> None:
        super().__init__()
        self.config, self.n_assets = config, n_assets
        self.given = Unconditional() if config.condition is None else config.condition.build(n_assets)
        width = self.given.width
        self.inference = config.inference.build(n_assets + width, config.factors)
        self.decoder = VAEDecoder(config.factors, width, config.decoder, n_assets)
        self.own = nn.Parameter(torch.full((n_assets,), 0.5413))  # whose softplus is one
        self.tomorrow = nn.Linear(config.factors + width, n_assets)
        self.error = nn.Parameter(torch.full((n_assets,), 0.5413))
        self.asset_scale = AssetScale(n_assets)
        self.label_scale = LabelScale()
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))  # saved, so a continued run anneals on

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """Nothing is quantised."""
        return {}

    @property
    def beta(self) -> float:
        """Weight of the divergence at this moment: what annealing has come to in training, all of it otherwise."""
        if not self.training or not self.config.annealing:
            return self.config.beta
        return self.config.beta * min(1.0, int(self.batches) / self.config.annealing)

    def forward(self, window: Window) -> Encoding:
        """Returns the losses of a batch; the only place where labels enter.

        Raises:
            ValueError: A training batch holds a single day, or there are other assets than those it was built for.
        """
        mask, label = window.mask, window.forward_return
        known = mask & label.isfinite()
        if self.training:
            self._observe(window, known)
        with torch.autocast(label.device.type, enabled=False):
            day = self._look(window.features, mask)
            factors = day.factors.mean
            if self.training:
                factors = factors + day.factors.std * torch.randn_like(factors)
            rebuilt = self.decoder(factors, day.given)
            divergence = gaussian_kl(*day.factors, torch.zeros_like(factors), torch.ones_like(factors)).sum(-1)
            tomorrow = self._tomorrow(day)
            standard = self.label_scale.standard(label, known)
            terms = {
                "reconstruction": gaussian_nll(rebuilt, self._deviation(self.own, mask), day.standard, mask),
                "kl": self.beta * divergence.where(mask.any(-1), 0.0).sum() / mask.sum().clamp(min=1),
                "forecast": self.config.forecast * gaussian_nll(*tomorrow, standard, known),
            }
        return Encoding.summed(terms, self._forecast(tomorrow, mask))

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
        with evaluating(self), torch.autocast(features.device.type, enabled=False):
            day = self._look(features, mask)
            loadings = self.decoder.loadings(day.factors.mean, day.given)
            forecast = self._forecast(self._tomorrow(day), mask)
        asset = loadings.where(rearrange(mask, "b n -> b n 1"), 0.0)
        return Inference(State(asset, day.factors.mean, None), forecast, {})

    @torch.no_grad()
    def reconstruct(self, features: Float[Tensor, "B L N 1"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns the last day as its factors explain it, in the feature's own units; NaN where masked."""
        with evaluating(self):
            day = self._look(features, mask)
            return self.asset_scale.restore(self.decoder(day.factors.mean, day.given), mask)

    @torch.no_grad()
    def draw(
        self, features: Float[Tensor, "B L N 1"], mask: Bool[Tensor, "B N"], generator: torch.Generator
    ) -> Float[Tensor, "B N"]:
        """Returns a simulated day for each of these, in the feature's own units; NaN where masked.

        Factors come from the prior and every asset adds noise of its own. Of the day itself only what is given is used.
        """
        with evaluating(self):
            given = self._look(features, mask).given
            factors = torch.randn(len(mask), self.config.factors, generator=generator).to(given.device)
            noise = torch.randn(mask.shape, generator=generator).to(given.device)
            returns = self.decoder(factors, given) + self._deviation(self.own, mask) * noise
            return self.asset_scale.restore(returns, mask)

    def _observe(self, window: Window, known: Bool[Tensor, "B N"]) -> None:
        if len(known) < 2:
            raise ValueError("VAE: a training batch holds one day, which cannot be normalised; use at least two a part")
        self._refuse_other_assets(known)
        self.asset_scale.observe(window.features[:, -1, :, 0], window.mask)
        self.label_scale.observe(window.forward_return, known)
        self.batches += 1

    def _look(self, features: Float[Tensor, "B L N 1"], mask: Bool[Tensor, "B N"]) -> VAEOutput:
        self._refuse_other_assets(mask)
        days = self.asset_scale.standard(features[..., 0].float(), mask)
        given = self.given(days, mask)
        return VAEOutput(days[:, -1], given[:, -1], self.inference(torch.cat([days, given], -1)))

    def _tomorrow(self, day: VAEOutput) -> Normal:
        seen = torch.cat([day.factors.mean, day.given], -1).detach()
        mean = self.tomorrow(seen)
        return Normal(mean, self._deviation(self.error, mean))

    def _deviation(self, width: Float[Tensor, " N"], like: Tensor) -> Float[Tensor, "B N"]:
        return positive_std(width).expand(like.shape)

    def _forecast(self, tomorrow: Normal, mask: Bool[Tensor, "B N"]) -> Forecast:
        mean, std = self.label_scale.restore(tomorrow.mean.detach(), tomorrow.std.detach())
        return Forecast(mean.where(mask, torch.nan), std.where(mask, torch.nan))

    def _refuse_other_assets(self, mask: Bool[Tensor, "B N"]) -> None:
        if mask.shape[1] != self.n_assets:
            raise ValueError(f"VAE: built for {self.n_assets} assets, asked about {mask.shape[1]}; train it again")
