"""Markets that experiments share: where their panels are, their days, and on what terms forecasts are traded."""

from dataclasses import dataclass, replace

from agents.baselines.simple import TopKDropN
from configs.schema.pretrain import Pretrain
from encoders.base import EncoderConfig
from encoders.training.optim import Optim
from market.features import Feature, FeatureSet, Formulas
from market.features.alpha158 import Alpha158
from market.prices.labels import Label
from market.scaling.scalers import CrossSectionalZScore, RobustZScore, Scaling
from market.splits import Split

HORIZONS = (1, 2, 3, 5)
"""Days of the returns whose mean rank the ``*_RANKS`` markets teach; forecasts are evaluated on one day."""

RETURNS = Formulas((Feature("RET1", "close / delay(close, 1) - 1"),))
"""The return of the day alone, for factor models of returns."""
UNCLIPPED = RobustZScore(clip=None)
"""How factor models of returns are fed, which have to undo it."""


@dataclass(frozen=True)
class Dataset:
    """A prepared panel with its days, its label and the portfolio by which forecasts are traded."""

    name: str
    """Folder of the panel under ``data`` in the workdir."""
    split: Split
    """Days to fit on, to choose on and to test on."""
    label: Label = Label()
    """The return that is forecast."""
    scaling: Scaling = RobustZScore()
    """How features are scaled."""
    portfolio: TopKDropN = TopKDropN(k=5, n_drop=1)
    """How a forecast is traded."""
    price_limit: float | None = None
    """Daily limit on moves that trading respects."""

    @property
    def panel(self) -> str:
        """The panel file, relative to the workdir."""
        return f"data/{self.name}/panel.safetensors"

    def pretrain(
        self,
        name: str,
        encoder: EncoderConfig,
        optim: Optim,
        features: FeatureSet | None = None,
        scaling: Scaling | None = None,
        label: Label | None = None,
    ) -> Pretrain:
        """Returns a pretraining run on this market; what is not given is the dataset's."""
        return Pretrain(
            name=name,
            panel=self.panel,
            encoder=encoder,
            split=self.split,
            features=features or Alpha158(),
            scaling=scaling or self.scaling,
            label=label or self.label,
            portfolio=self.portfolio,
            price_limit=self.price_limit,
            optim=optim,
        )

    def ranks(self, train_until: str, valid_until: str) -> "Dataset":
        """Returns this market, taught ranks over several days.

        Args:
            train_until: Last day of train, earlier than without ranks, so that no label reaches valid.
            valid_until: Last day of valid, earlier likewise.
        """
        split = self.split
        return replace(
            self,
            label=replace(self.label, transform="rank", horizons=HORIZONS),
            split=replace(split, train=(split.train[0], train_until), valid=(split.valid[0], valid_until)),
        )


DJ30 = Dataset(
    name="dj30",
    split=Split(
        train=("2008-04-01", "2019-03-29"),
        valid=("2019-04-08", "2021-03-31"),
        test=("2021-04-08", "2024-03-28"),
    ),
)
"""29 Dow Jones stocks; STORM's paper has the same period, but validates and tests on the same days."""

CSI300 = Dataset(
    name="csi300",
    split=Split(
        train=("2010-01-04", "2017-12-27"),
        valid=("2018-01-02", "2018-12-26"),
        test=("2019-01-02", "2020-08-31"),
    ),
    label=Label(fill="next_close", horizon=1),
    scaling=CrossSectionalZScore(),
    portfolio=TopKDropN(k=50, n_drop=5),
    price_limit=0.1,
)
"""China's CSI 300 with the daily price limit of its exchanges."""

SP500 = Dataset(
    name="sp500",
    split=Split(
        train=("2013-02-08", "2016-06-30"),
        valid=("2016-07-11", "2016-12-30"),
        test=("2017-01-09", "2018-02-07"),
    ),
    portfolio=TopKDropN(k=50, n_drop=5),
)
"""505 stocks of the S&P 500 over five years."""

CSI300_RANKS = CSI300.ranks(train_until="2017-12-13", valid_until="2018-12-13")
"""CSI 300, taught ranks over several days."""

DJ30_RANKS = DJ30.ranks(train_until="2019-03-22", valid_until="2021-03-24")
"""The Dow Jones stocks, taught ranks over several days."""

SP500_RANKS = SP500.ranks(train_until="2016-06-23", valid_until="2016-12-22")
"""The 505 stocks of the S&P 500, taught ranks over several days."""

BUNDLED = Dataset(
    name="bundled",
    split=Split(
        train=("2005-01-03", "2014-12-31"),
        valid=("2015-01-12", "2017-12-29"),
        test=("2018-01-08", "2022-12-28"),
    ),
    label=Label(fill="next_close", horizon=1),
)
"""20 stocks of the S&P 500, closes alone, that ship with a dependency."""

SYNTHETIC = Dataset(
    name="synthetic",
    split=Split(
        train=("2010-01-04", "2014-12-31"),
        valid=("2015-01-09", "2015-12-31"),
        test=("2016-01-08", "2017-08-31"),
    ),
    portfolio=TopKDropN(k=20, n_drop=4),
)
"""`market.sources.synthetic.source.Synthetic`: returns with a predictable part, whose best RankIC is known."""

FACTOR_MARKET = Dataset(
    name="factor_market",
    split=Split(
        train=("2010-01-05", "2016-12-30"),
        valid=("2017-01-09", "2017-12-29"),
        test=("2018-01-08", "2019-08-30"),
    ),
    label=Label(fill="next_close", horizon=1),
)
"""`market.sources.factor_market.FactorMarket`: five factors behind all returns, for methods that discover factors."""

SIMULATED_PANEL = "data/simulated/panel.safetensors"
"""The simulated market of the demo, whose signal turns slowly."""
SIMULATED_DAYS = Split(
    train=("2011-03-28", "2013-10-25"), valid=("2013-10-31", "2014-06-27"), test=("2014-07-03", "2015-10-02")
)
"""Days on which its states are those of a walk."""
