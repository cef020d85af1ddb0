"""Run by torchrun in a test: trains quantisers on two ranks with different data and names those that agree."""

from dataclasses import replace
from itertools import product

import torch
import torch.distributed as distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from encoders.common.losses import LabelScale
from encoders.quantizers import EMA, Affine, Learnable, Quantizer


class Model(nn.Module):
    """One linear layer in front of a quantiser."""

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.quantizer = quantizer
        self.scale = LabelScale()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.scale.observe(x, torch.ones_like(x, dtype=torch.bool))
        tokens = self.inner(x)
        found = self.quantizer(tokens)
        return (found.quantised - x).square().mean() + sum(found.loss_terms.values()) + 0.0 * tokens.sum()


def agree(model: nn.Module) -> bool:
    for value in (*model.parameters(), *model.buffers()):
        others = [torch.empty_like(value) for _ in range(distributed.get_world_size())]
        distributed.all_gather(others, value.detach().contiguous())
        if not all(value.equal(other) for other in others):
            return False
    return True


KINDS = {
    "ema": EMA(decay=0.8, dead_share=0.5),
    "learnable": Learnable(decay=0.8, dead_share=0.5),
    "affine": Affine(replace_every=2),
}


def run(kind: str, broadcast: bool) -> None:
    rank = distributed.get_rank()
    torch.manual_seed(rank)  # ranks draw differently, and must still agree
    config = replace(KINDS[kind], codebook_size=16)
    model = DistributedDataParallel(Model(config.build(4)), forward_sync_buffers=broadcast)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for step in range(12):
        rows = (12 + 5 * step) if rank else (0 if step == 3 else 9)  # different sizes; once nothing at all
        loss = model(torch.randn(rows, 4) * (1 + rank) + rank * step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert agree(model), f"{kind}, broadcast={broadcast}: rank {rank} differs at step {step}"
    assert float(model.module.scale.count) == 4 * sum((12 + 5 * s) + (0 if s == 3 else 9) for s in range(12))


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    for kind, broadcast in product(KINDS, (True, False)):
        run(kind, broadcast)  # the model must be gone before its process group
        if distributed.get_rank() == 0:
            print(kind, broadcast)
    distributed.destroy_process_group()
