"""Configuration of a pretraining run."""

from dataclasses import dataclass, field

from agents.baselines.simple import TopKDropN
from configs.paths import IN_WORKDIR
from configs.schema.names import check_folder_name
from encoders.base import EncoderConfig
from encoders.training.optim import Optim
from envs import Costs
from market.features import FeatureSet
from market.features.alpha158 import Alpha158
from market.prices.labels import Label
from market.scaling.scalers import RobustZScore, Scaling
from market.splits import Split


@dataclass(frozen=True)
class Pretrain:
    """Everything that decides a pretraining run: prices, features, encoder, and how it learns."""

    name: str
    """Folder under workdir/pretrain that receives the run."""
    panel: str = field(metadata={IN_WORKDIR: "data/{}/panel.safetensors"})
    """Panel file to learn from, in the workdir, or the name of a prepared panel."""
    encoder: EncoderConfig
    """The encoder; --encoder.lookback, --encoder.quantizer.codebook-size, ... override its sizes."""
    split: Split
    """Days to fit on, to choose on and to test on."""
    features: FeatureSet = Alpha158()
    """Features computed from the prices."""
    scaling: Scaling = RobustZScore()
    """How features are scaled; fitted on the train days."""
    label: Label = Label()
    """The return that is forecast."""
    portfolio: TopKDropN = TopKDropN(k=5, n_drop=1)
    """How the forecast is traded for the portfolio measures of valid and test; nothing is chosen by them."""
    costs: Costs = Costs(fee_rate=1e-3)
    """Costs of that trading, as fractions."""
    price_limit: float | None = None
    """Daily limit on moves that trading respects, 0.1 for 10 %: no buying at limit-up, no selling at limit-down.
    None takes that of the panel, 0 is none."""
    delisting_return: float | None = None
    """Return on the last price when a listing ends, -0.3 for a loss of 30 %; None takes that of the panel, else 0."""
    optim: Optim = Optim()
    """How the encoder learns."""
    seed: int = 0
    """Decides first weights, order of days and every random number."""
    warm_start: str | None = None
    """Directory of a finished run whose best weights training starts from; None draws them anew."""

    def __post_init__(self) -> None:
        check_folder_name("Pretrain", self.name)
        if self.price_limit is not None and not 0 <= self.price_limit < 1:
            raise ValueError(f"Pretrain: price_limit is {self.price_limit}, expected a fraction such as 0.1 for 10 %")
