"""Configuration of a study of discovered factors."""

from dataclasses import dataclass, field

from configs.paths import IN_WORKDIR
from configs.schema.names import check_folder_name
from configs.schema.prepare import Prepare
from encoders.base import EncoderConfig
from encoders.training.optim import Optim
from market.features import Feature, FeatureSet, Formulas
from market.prices.labels import Label
from market.scaling.scalers import RobustZScore, Scaling
from market.sources.known_factors import FactorSource
from market.splits import Split


@dataclass(frozen=True)
class DiscoverModel:
    """One model of the study, under the name that tables and figures give it."""

    name: str
    """Name in tables and figures, and, with spaces as underscores, of its run."""
    encoder: EncoderConfig
    """A factor model: PCA or a VAE."""

    def __post_init__(self) -> None:
        check_folder_name("DiscoverModel", self.name)


@dataclass(frozen=True)
class Discover:
    """Factor discovery: PCA and VAEs of the same returns, beside known factors and each other on one page."""

    name: str
    """Folder under workdir/discover that receives the page."""
    models: tuple[DiscoverModel, ...]
    """Models to compare; the first is the one the others are measured by."""
    split: Split
    """Days to fit on, to choose on and to test on."""
    prepare: Prepare | None = None
    """Where the prices come from; prepared where that is not done. Not used where `panel` names a file."""
    panel: str | None = field(default=None, metadata={IN_WORKDIR: "data/{}/panel.safetensors"})
    """Panel file, in the workdir, or the name of a prepared panel; None takes what `prepare` writes."""
    known: FactorSource | None = None
    """Known factors to compare with; None compares the models with each other alone."""
    factor_table: str | None = None
    """CSV or Parquet table of known factors (a column 'date', and theirs); takes the place of `known`."""
    sectors: str | None = None
    """CSV or Parquet table of 'symbol' and 'sector'; takes the place of the sectors in the config."""
    features: FeatureSet = Formulas((Feature("RET1", "close / delay(close, 1) - 1"),))
    """The return of the day."""
    scaling: Scaling = RobustZScore(clip=None)
    """How it is scaled; each model standardises every asset besides."""
    label: Label = Label(fill="next_close", horizon=1)
    """The return that the forecasts of the models are evaluated on."""
    optim: Optim = Optim()
    """How the models learn that are not fitted at once."""
    threshold: float = 0.8
    """Absolute correlation from which on a known factor counts as found."""
    draws: int = 20_000
    """Days that each model invents."""
    seed: int = 0
    """Decides first weights, order of days and every draw."""

    def __post_init__(self) -> None:
        check_folder_name("Discover", self.name)
        names = [model.name for model in self.models]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"Discover: models are {', '.join(names) or 'none'}, expected at least one, each name once"
            )
        if self.prepare is None and self.panel is None:
            raise ValueError("Discover: neither panel nor prepare says where the prices come from; give one")
        if self.draws < 100:
            raise ValueError(f"Discover: draws is {self.draws}, expected at least 100")
