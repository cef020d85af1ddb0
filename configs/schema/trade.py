"""Configuration of a trading run."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agents.algorithms.base import AgentConfig
from agents.baselines.simple import TopKDropN
from agents.training.callbacks import TrainingConfig
from agents.training.loop import InSample
from configs.paths import IN_WORKDIR
from configs.schema.names import check_folder_name
from envs.actions.portfolio import Action
from envs.costs import Costs
from envs.rebalancing import Rebalance, trading_days
from envs.rewards import LogGrowth, Reward
from market.features import FeatureSet
from market.features.alpha158 import Alpha158
from market.prices.fills import Fill
from market.scaling.scalers import RobustZScore, Scaling
from market.splits import Split

Observed = Literal["states", "forecast", "states+forecast", "features", "none", "shuffled"]


@dataclass(frozen=True)
class Trade:
    """Everything that decides a trading run: the market, what is seen of it, the agent, and how it learns."""

    name: str
    """Folder under workdir/trade that receives the run."""
    panel: str = field(metadata={IN_WORKDIR: "data/{}/panel.safetensors"})
    """Panel file to trade, in the workdir, or the name of a prepared panel."""
    agent: AgentConfig
    """The agent; --agent.learning-rate, --agent.gamma, ... override its hyperparameters."""
    action: Action
    """Meaning of its actions: target weights, positions, or changes of them."""
    states: str | None = field(default=None, metadata={IN_WORKDIR: "states/{}/states.safetensors"})
    """States file of a frozen encoder, in the workdir, or the name of its run; None where nothing of it is seen."""
    asset: str | None = None
    """Ticker of the single-stock environment; None trades all assets as a portfolio."""
    observe: Observed = "states+forecast"
    """Observation of the market: the encoder's states, its forecast, both, scaled features, nothing, or states and
    forecast of other days (negative control)."""
    features: FeatureSet = Alpha158()
    """Features computed from the prices, where features are observed."""
    scaling: Scaling = RobustZScore()
    """How these features are scaled; fitted on the train days."""
    split: Split | None = None
    """Days to learn on, to choose on and to test on; None takes those of the states."""
    fill: Fill | None = None
    """When decisions are carried out; None takes the fill of the states, else the panel's default."""
    reward: Reward = LogGrowth()
    """Reward of a step."""
    costs: Costs = Costs(fee_rate=1e-3)
    """Costs of trading and holding, as fractions: 1e-3 is ten basis points."""
    price_limit: float | None = None
    """Daily limit on moves, 0.1 for 10 %: no buying at limit-up, no selling at limit-down. None takes that of the
    states, else of the panel; 0 is none."""
    delisting_return: float | None = None
    """Return on the last price when a listing ends, -0.3 for a loss of 30 %; None takes that of the states, else of
    the panel, else 0."""
    rebalance: Rebalance = 1
    """Days that may trade: every so many, or the first of each week (W) or month (M); the account drifts in between."""
    start_from: TopKDropN | None = None
    """Rule on the encoder's forecast that the agent begins at, by behaviour cloning; its reward is then the excess over
    that rule on the same days. None begins at random weights."""
    clone_steps: int = 300
    """Steps of that cloning."""
    index: str | None = None
    """Panel file of a published index, which the reward Excess(benchmark="index") is measured against."""
    index_asset: str | None = None
    """Name of the index in that file; may be left out where it holds only one."""
    lookback: int = 1
    """Days seen at once."""
    episode_days: int | None = 252
    """Days of a training episode, from a random start; None replays all train days."""
    n_envs: int = 256
    """Episodes at once in training."""
    schedule: TrainingConfig = TrainingConfig()
    """How long the agent learns and how often it is validated."""
    in_sample: InSample = "refuse"
    """Whether agents may learn on days whose states had seen their own labels, as those of a single split have on its
    train and valid days; results on such days mean nothing, and the report says so."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One agent is trained for each; results are reported over all."""

    def __post_init__(self) -> None:
        check_folder_name("Trade", self.name)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"Trade: seeds are {self.seeds}; give at least one, each once")
        if self.observe not in ("features", "none") and self.states is None:
            raise ValueError(f"Trade: observe is '{self.observe}' but states is None; name a states file")
        if self.price_limit is not None and not 0 <= self.price_limit < 1:
            raise ValueError(
                f"Trade: price_limit is {self.price_limit}, expected a fraction such as 0.1, or 0 for none"
            )
        if self.start_from is not None and (self.states is None or self.asset is not None):
            raise ValueError("Trade: start_from trades a portfolio on a forecast; name a states file and no asset")
        if self.clone_steps < 1:
            raise ValueError(f"Trade: clone_steps is {self.clone_steps}, expected at least 1")
        trading_days(np.zeros(1, "datetime64[D]"), self.rebalance)
        if self.split is None and self.states is None:
            raise ValueError("Trade: split is None and there are no states to take it from; give a split")
