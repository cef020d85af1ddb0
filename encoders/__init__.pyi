from .base import (
    Encoder,
    EncoderConfig,
    Encoding,
    Forecast,
    Inference,
    State,
)
from .baselines.gru import GRU
from .baselines.lightgbm import Boosting, LightGBM
from .baselines.pca import PCA
from .baselines.ridge import Ridge
from .checkpoint import Checkpoint
from .data import EncodedDays, FrozenEncoder, Pipeline, TrainingData
from .factor_vae import FactorVAE
from .factor_vqvae.predictor import FactorVQVAEPredictor
from .factor_vqvae.tokenizer import FactorVQVAE
from .quantizers import (
    EMA,
    FSQ,
    Affine,
    Continuous,
    Learnable,
    QuantizedTokens,
    Quantizer,
    QuantizerConfig,
    VQTorch,
)
from .states.audit import Audit, AuditResult, TrainingFacts, audit
from .states.extraction import AuditError, Extraction, extract
from .storm.branches import StormSizes
from .storm.factors import StormFactors
from .storm.model import LossWeights, Storm
from .training.loop import Experiment, pretrain
from .training.optim import Optim
from .vae.model import VAE
from .vae.networks import CrossSection, RecurrentWindow, SectorCondition
from .windows import InputShape, Window, WindowStore

__all__ = [
    "EMA",
    "FSQ",
    "GRU",
    "PCA",
    "VAE",
    "Affine",
    "Audit",
    "AuditError",
    "AuditResult",
    "Boosting",
    "Checkpoint",
    "Continuous",
    "CrossSection",
    "EncodedDays",
    "Encoder",
    "EncoderConfig",
    "Encoding",
    "Experiment",
    "Extraction",
    "FactorVAE",
    "FactorVQVAE",
    "FactorVQVAEPredictor",
    "Forecast",
    "FrozenEncoder",
    "Inference",
    "InputShape",
    "Learnable",
    "LightGBM",
    "LossWeights",
    "Optim",
    "Pipeline",
    "QuantizedTokens",
    "Quantizer",
    "QuantizerConfig",
    "RecurrentWindow",
    "Ridge",
    "SectorCondition",
    "State",
    "Storm",
    "StormFactors",
    "StormSizes",
    "TrainingData",
    "TrainingFacts",
    "VQTorch",
    "Window",
    "WindowStore",
    "audit",
    "extract",
    "pretrain",
]
