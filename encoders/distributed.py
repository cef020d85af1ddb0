"""Sums and samples over all processes of a run, so that what is fitted without a gradient is equal on every rank.

On a single process each function returns its argument.
"""

import torch
import torch.distributed as distributed
from jaxtyping import Float, Shaped
from torch import Tensor


def is_shared() -> bool:
    """Returns whether several processes train together at this moment."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def summed_over_ranks(value: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
    """Returns the sum of `value` over all ranks, bit-equal on each of them."""
    if is_shared():
        value = value.clone()
        distributed.all_reduce(value)
    return value


def from_first_rank(value: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
    """Returns the `value` of rank 0."""
    if is_shared():
        value = value.contiguous()
        distributed.broadcast(value, src=0)
    return value


def gathered_over_ranks(rows: Float[Tensor, "n d"]) -> Float[Tensor, "m d"]:
    """Returns the rows of all ranks one after another; the ranks may hold different numbers of rows, or none."""
    if not is_shared():
        return rows
    counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    longest = int(max(counts))
    padded = torch.cat([rows, rows.new_zeros(longest - len(rows), rows.shape[1])])
    parts = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(parts, padded)
    return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)])
