"""Ensemble: trained encoders that forecast together, behind the contract of a single one.

Members may be seeds of one encoder or encoders of different kinds; they share features, scaling and label. Each day a
member's forecasts become z-scores over the listed assets, so that none outweighs the others by its units; the mean of
the z-scores is put back into the label's units with the mean level and the mean dispersion of the members. The variance
follows from the law of total variance: the mean of the members' variances plus the variance of their means.

States stand side by side: an asset's state, the market's and the codes are those of the members one after the other.

Reference: Lakshminarayanan et al. (2017), Simple and scalable predictive uncertainty estimation using deep ensembles,
NeurIPS, section 2.4, for the moments of the mixture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.base import Encoder, EncoderConfig, Encoding, Forecast, Inference, State, evaluating
from encoders.common.losses import likelihood_of
from encoders.data import TrainingData
from encoders.training.hooks import checkpoint_of_same_data
from encoders.windows import InputShape, Window

TINY = 1e-12


@dataclass(frozen=True)
class Member:
    """One trained encoder.

    Attributes:
        run: Directory of its run; read when the ensemble is fitted and never again.
        encoder: The encoder, as that run was configured.
    """

    run: str
    encoder: EncoderConfig


@dataclass(frozen=True)
class Ensemble:
    """The encoders that forecast together. Nothing is trained: `fit` brings in the members' weights.

    Attributes:
        members: At least two.
    """

    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        runs = [member.run for member in self.members]
        if len(runs) < 2 or len(set(runs)) != len(runs):
            raise ValueError(f"Ensemble: its members are {', '.join(runs) or 'none'}; name two runs or more, each once")

    @property
    def lookback(self) -> int:
        """Days of history that a window holds: those of the member that looks back furthest."""
        return max(member.encoder.lookback for member in self.members)

    def of_seeds(self, seeds: Sequence[int]) -> "Ensemble":
        """Returns the ensemble of every member's runs of these seeds, ``<run>_seed_<seed>``."""
        return Ensemble(
            tuple(replace(member, run=f"{member.run}_seed_{seed}") for member in self.members for seed in seeds)
        )

    def build(self, shape: InputShape) -> "EnsembleEncoder":
        """Returns an ensemble of untrained members; `fit` returns one of trained ones."""
        return EnsembleEncoder(self, shape)

    def fit(self, data: TrainingData, seed: int) -> "EnsembleEncoder":
        """Returns the ensemble of the trained members, if they saw the same data and no later ones.

        Raises:
            ValueError: A run is missing, another architecture, or its data were others; with what differs.
        """
        encoder = self.build(data.store.shape)
        for member, own in zip(self.members, encoder.members, strict=True):
            assert isinstance(own, Encoder)
            checkpoint_of_same_data(member.run, data, "train the member and name its directory").load_into(own)
        return encoder


class EnsembleEncoder(Encoder):
    """Members side by side; see `Ensemble`."""

    def __init__(self, config: Ensemble, shape: InputShape) -> None:
        super().__init__()
        self.lookbacks = [member.encoder.lookback for member in config.members]
        self.members = nn.ModuleList(
            member.encoder.build(replace(shape, lookback=member.encoder.lookback)) for member in config.members
        )
        self.requires_grad_(False)

    @property
    def codebook_sizes(self) -> Mapping[str, int]:
        """Nothing is quantised here; what members quantise is evaluated with their own runs."""
        return {}

    def forward(self, window: Window) -> Encoding:
        """Returns the negative log likelihood of the labels; there is nothing to descend."""
        return likelihood_of(self.predict(window.features, window.mask, window.calendar), window)

    @torch.no_grad()
    def infer(
        self,
        features: Float[Tensor, "B L N F"],
        mask: Bool[Tensor, "B N"],
        calendar: Float[Tensor, "B L c"],
        *,
        tokens: bool = False,
    ) -> Inference:
        """Returns the members' states side by side, their common forecast, and their tokens by member and name."""
        with evaluating(self):
            found = [
                member.infer(features[:, -days:], mask, calendar[:, -days:], tokens=tokens)  # type: ignore[operator]
                for member, days in zip(self.members, self.lookbacks, strict=True)
            ]
        codes = [one.state.codes for one in found if one.state.codes is not None]
        state = State(
            torch.cat([one.state.asset for one in found], -1),
            torch.cat([one.state.market for one in found], -1),
            torch.cat(codes, -1) if codes else None,
        )
        raw = {f"{k}_{name}": token for k, one in enumerate(found) for name, token in one.tokens.items()}
        means, stds = (torch.stack([getattr(one.forecast, name) for one in found]) for name in ("mean", "std"))
        return Inference(state, combined(means.float(), stds.float(), mask), raw)


def combined(means: Float[Tensor, "M B N"], stds: Float[Tensor, "M B N"], mask: Bool[Tensor, "B N"]) -> Forecast:
    """Returns one forecast of M members: the mean of their z-scores in the label's units, and its deviation.

    NaN where masked; a member that says the same of all assets adds nothing to their order.
    """
    listed = rearrange(mask, "b n -> 1 b n")
    count = listed.sum(-1, keepdim=True).clamp(min=1)
    means = means.where(listed, 0.0).double()
    level = means.sum(-1, keepdim=True) / count  # [M, B, 1]
    centred = (means - level).where(listed, 0.0)
    dispersion = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    score = centred / dispersion.clamp(min=TINY)
    each = level.mean(0) + dispersion.mean(0) * score  # [M, B, N] every member in common units
    mean = each.mean(0)
    variance = stds.where(listed, 1.0).double().square().mean(0) + (each - mean).square().mean(0)
    return Forecast(mean.float().where(mask, torch.nan), variance.sqrt().float().where(mask, torch.nan))
