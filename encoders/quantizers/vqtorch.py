"""The affine codebook of its authors, where it is installed; `encoders.quantizers.affine` needs nothing.

Reference: Huh et al. (2023), https://arxiv.org/abs/2305.08842, in its implementation
https://github.com/minyoungg/vqtorch, whose faults come along: k-means needs CUDA, so it is left out on other devices,
and replaced codes ignore the affine map. Replacement draws different codes on each rank, so it is for one process.
"""

import importlib
from dataclasses import dataclass
from types import ModuleType

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from encoders.distributed import is_shared
from encoders.quantizers.base import QuantizedTokens, Quantizer


@dataclass(frozen=True)
class VQTorch:
    """The same settings as `encoders.quantizers.Affine`, for the ``VectorQuant`` of vqtorch."""

    codebook_size: int = 512
    affine_lr: float = 2.0
    nu: float = 2.0
    beta: float = 0.9
    replace_every: int = 20

    def build(self, dim: int) -> Quantizer:
        """Returns a new quantiser.

        Raises:
            ValueError: vqtorch is not installed, or several processes train.
        """
        try:
            library = importlib.import_module("vqtorch")
        except ImportError as error:
            raise ValueError(
                f"quantizer VQTorch: vqtorch cannot be imported ({error}); install requirements-gpu.txt or use "
                "encoders.quantizers.Affine, the same method without it"
            ) from None
        if is_shared():
            raise ValueError("quantizer VQTorch: its codebooks diverge between processes; use one process or Affine")
        return VQTorchQuantizer(dim, self, library)


class VQTorchQuantizer(Quantizer):
    """Hands tokens to ``vqtorch.nn.VectorQuant`` and takes back what the interface asks for."""

    def __init__(self, dim: int, config: VQTorch, library: ModuleType) -> None:
        super().__init__(config.codebook_size)
        self.inner = library.nn.VectorQuant(
            feature_size=dim,
            num_codes=config.codebook_size,
            beta=config.beta,
            sync_nu=config.nu,
            affine_lr=config.affine_lr,
            replace_freq=config.replace_every,
            kmeans_init=torch.cuda.is_available(),
            dim=-1,
        )

    def quantize(self, tokens: Float[Tensor, "n d"]) -> QuantizedTokens:
        """Quantises tokens that all exist."""
        if not len(tokens):  # vqtorch has no mean of nothing
            codes = torch.zeros(0, dtype=torch.long, device=tokens.device)
            return QuantizedTokens(tokens, codes, {}, torch.bincount(codes, minlength=self.codebook_size))
        quantised, found = self.inner(rearrange(tokens, "n d -> 1 n d"))
        codes = found["q"].flatten().long()
        counts = torch.bincount(codes, minlength=self.codebook_size)
        return QuantizedTokens(quantised[0], codes, {"codebook": found["loss"]}, counts)

    def lookup(self, codes: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d"]:
        """Returns the vectors of codes, under the affine map."""
        vectors: Tensor = self.inner.get_codebook()
        return F.embedding(codes, vectors)
