"""What decides a trading run."""

from dataclasses import dataclass, field
from typing import Literal

from agents.building import AgentConfig
from agents.callbacks import Schedule
from configs.paths import IN_WORKDIR
from configs.schema.names import check_folder_name
from envs.actions import Action
from envs.costs import Costs
from envs.rewards import LogGrowth, Reward
from market.features import FeatureSet
from market.features.alpha158 import Alpha158
from market.fills import Fill
from market.scaling import RobustZScore, Scaling
from market.splits import Split

Observed = Literal["states", "features", "none", "shuffled"]


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
    """What its actions mean."""
    states: str | None = field(default=None, metadata={IN_WORKDIR: "states/{}/states.safetensors"})
    """States file of a frozen encoder, in the workdir, or the name of its run; None where nothing of it is seen."""
    asset: str | None = None
    """Ticker of the single-stock environment; None trades all assets as a portfolio."""
    observe: Observed = "states"
    """What is seen of the market: the states, scaled features, nothing, or states of other days (negative control)."""
    features: FeatureSet = Alpha158()
    """What is computed from the prices where features are observed."""
    scaling: Scaling = RobustZScore()
    """How these features are scaled; fitted on the train days."""
    split: Split | None = None
    """Days to learn on, to choose on and to judge on; None takes those of the states."""
    fill: Fill | None = None
    """When decisions are carried out; None takes the fill of the states, else the panel's default."""
    reward: Reward = LogGrowth()
    """What a step is worth to the agent."""
    costs: Costs = Costs(fee_rate=1e-3)
    """What trading and holding cost, as fractions: 1e-3 is ten basis points."""
    lookback: int = 1
    """Days seen at once."""
    episode_days: int | None = 252
    """Days of a training episode, from a random start; None replays all train days."""
    n_envs: int = 256
    """Episodes at once in training."""
    schedule: Schedule = Schedule()
    """How long the agent learns and how often it is judged on the valid days."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One agent is trained for each; results are reported over all."""

    def __post_init__(self) -> None:
        check_folder_name("Trade", self.name)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"Trade: seeds are {self.seeds}; give at least one, each once")
        if self.observe in ("states", "shuffled") and self.states is None:
            raise ValueError(f"Trade: observe is '{self.observe}' but states is None; name a states file")
        if self.split is None and self.states is None:
            raise ValueError("Trade: split is None and there are no states to take it from; give a split")
