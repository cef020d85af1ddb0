"""Futures that FactorVQVAE's second stage can imagine: codes drawn day after day, and the labels they stand for.

frozen = Checkpoint.load(path).restore(experiment.encoder, experiment.features, experiment.scaling)
window = frozen.store(panel).gather(days)
draw = torch.Generator().manual_seed(0)
labels = scenarios(frozen.encoder, window.features, window.mask, 20, draw, top_k=16).labels  # [days, assets, 20]
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from encoders.base import evaluating
from encoders.common.layers import unpack
from encoders.factor_vqvae.predictor import FactorVQVAEPredictorEncoder, FirstStageOutput


class Scenarios(NamedTuple):
    """Sampled futures: codes of the days to come, -1 where masked, and their labels, NaN where masked."""

    codes: Int[Tensor, "B N n"]
    labels: Float[Tensor, "B N n"]


@torch.no_grad()
def scenarios(
    encoder: FactorVQVAEPredictorEncoder,
    features: Float[Tensor, "B L N F"],
    mask: Bool[Tensor, "B N"],
    n_days: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> Scenarios:
    """Samples the labels that become known on the days to come; equal for equal states of `generator`.

    Each is drawn from what is known on its own day, of which the draws before it are part. Embeddings and market stay
    those of today.

    Args:
        encoder: The predictor.
        features: Windows, scaled.
        mask: True where the asset was listed.
        n_days: Days to come.
        generator: Where randomness comes from.
        temperature: Below one keeps to likely codes, above one strays.
        top_k: Draw among so many likeliest codes; None among all.

    Raises:
        ValueError: `n_days`, `temperature` or `top_k` is not positive.
    """
    if n_days < 1 or temperature <= 0 or (top_k is not None and top_k < 1):
        raise ValueError(f"scenarios: n_days {n_days}, temperature {temperature}, top_k {top_k}; all must be positive")
    with evaluating(encoder):
        reading = encoder.read(features, mask)
        if not len(reading.codes):
            nothing = torch.full((*mask.shape, n_days), torch.nan, device=mask.device)
            return Scenarios(torch.full_like(nothing, -1, dtype=torch.long), nothing)
        memory, codes = encoder.market(reading.market), reading.codes
        for _ in range(n_days):
            logits = _following(encoder, reading._replace(codes=codes), memory, mask) / temperature
            codes = torch.cat([codes, _drawn(logits, top_k, generator)], 1)
        factors = encoder.stage.factors(encoder.words(codes))[0][:, -n_days:]
        returns = encoder.stage.decoder(reading.asset, *factors.unbind(1))
    labels = torch.stack([encoder.stage.in_units(each, mask).mean for each in returns], -1)
    return Scenarios(unpack(codes[:, -n_days:] + 1, mask) - 1, labels)


def _following(
    encoder: FactorVQVAEPredictorEncoder,
    reading: FirstStageOutput,
    memory: Float[Tensor, "B p w"],
    mask: Bool[Tensor, "B N"],
) -> Float[Tensor, "S C"]:
    # The label that follows n rows belongs to the day of row n - span, and is predicted from what had read that row.
    length, gpt = encoder.config.lookback, encoder.gpt
    place = reading.codes.shape[1] + 1 - encoder.config.tokens.span
    gone = max(0, place - length)  # rows that the window has moved on; the market of new days is that of today
    new = min(gone, length)
    days = torch.cat([memory[:, :1], memory[:, 1 + new :], memory[:, -1:].expand(-1, new, -1)], 1)
    read = gpt(reading.codes[:, gone : gone + length], encoder.vectors(), days, mask.nonzero()[:, 0])
    hidden = read[:, min(place, length)].float()
    following: Tensor = gpt.next(hidden + encoder.asset(reading.asset) if place >= length else hidden).float()
    return following


def _drawn(logits: Float[Tensor, "S C"], top_k: int | None, generator: torch.Generator) -> Int[Tensor, "S 1"]:
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)
