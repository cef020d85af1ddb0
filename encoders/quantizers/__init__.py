"""Vector quantisers behind one interface: tokens in; quantised tokens, codes, loss terms and usage out.

`EMA` moves the codebook by averages, `Learnable` by gradient (with orthogonality and diversity), `Affine` by gradient
under a shared affine map, `FSQ` needs none; `VQTorch` is the affine one of another library, where that is installed.
`Continuous` does not quantise.

FSQ is vector-quantize-pytorch's. Its ``VectorQuantize`` (1.32) does not stand behind the codebooks, because there
the diversity loss counts masked tokens, an all-masked batch gives NaN, bf16 autocast on a CPU also rounds the
distances, whether ranks are synchronised is cached at the first call of the process, and the one-hot products cost
three times the arithmetic of the search. What differs here from its algorithm: revival happens before the search, so
that no tensor that backward needs is overwritten, and a code is dead by its share, not by a count that depends on the
batch size.
"""

from encoders.quantizers.affine import Affine, AffineQuantizer
from encoders.quantizers.base import QuantizedTokens, Quantizer, QuantizerConfig, straight_through
from encoders.quantizers.codebook import kmeans, nearest
from encoders.quantizers.continuous import Continuous, ContinuousQuantizer
from encoders.quantizers.ema import EMA, EMAQuantizer
from encoders.quantizers.fsq import FSQ, FSQQuantizer
from encoders.quantizers.learnable import Learnable, LearnableQuantizer, distances, diversity, orthogonality
from encoders.quantizers.residual import Residual, ResidualQuantizer
from encoders.quantizers.simvq import SimVQ, SimVQQuantizer
from encoders.quantizers.usage import dead_codes, perplexity, usage
from encoders.quantizers.vqtorch import VQTorch

__all__ = [
    "EMA",
    "FSQ",
    "Affine",
    "AffineQuantizer",
    "Continuous",
    "ContinuousQuantizer",
    "EMAQuantizer",
    "FSQQuantizer",
    "Learnable",
    "LearnableQuantizer",
    "QuantizedTokens",
    "Quantizer",
    "QuantizerConfig",
    "Residual",
    "ResidualQuantizer",
    "SimVQ",
    "SimVQQuantizer",
    "VQTorch",
    "dead_codes",
    "distances",
    "diversity",
    "kmeans",
    "nearest",
    "orthogonality",
    "perplexity",
    "straight_through",
    "usage",
]

# Runs name these classes in their files. The name is that of the package, which outlives the modules in it.
for _config in (EMA, FSQ, Affine, Continuous, Learnable, Residual, SimVQ, VQTorch):
    _config.__module__ = __name__
