"""How well a codebook is used, from counts of tokens per code."""

import torch
from jaxtyping import Int
from torch import Tensor


def perplexity(counts: Int[Tensor, " C"]) -> float:
    """Returns the exponential of the entropy of the codes' use: C where all are used alike, 1 for one, 0 for none."""
    share = counts.double() / counts.sum().clamp(min=1)
    return float(torch.special.entr(share).sum().exp()) if counts.any() else 0.0


def usage(counts: Int[Tensor, " C"]) -> float:
    """Returns the share of codes that were used at all."""
    return float((counts > 0).double().mean())


def dead_codes(counts: Int[Tensor, " C"]) -> int:
    """Returns the number of codes that were never used."""
    return int((counts == 0).sum())
