"""APG, analytic policy gradient: the gradient of booked wealth by the policy, computed instead of sampled.

The market is exogenous: what an account does moves no price. All actions of a day can therefore be tried on the path
that happened, and the derivative of wealth by the policy's parameters exists (`agents.differentiable`). An update books
short segments from random days and random positions, and climbs the mean log growth in excess of a benchmark less half
the risk aversion times its variance.

References: Xu et al. (2022), Accelerated Policy Learning with Parallel Differentiable Simulation (SHAC),
https://arxiv.org/abs/2204.07137; Buehler et al. (2019), Deep Hedging, https://arxiv.org/abs/1802.03042; Jiang et al.
(2017), https://arxiv.org/abs/1706.10059; Mao et al. (2018) and Sinclair et al. (2022) on exogenous inputs,
https://arxiv.org/abs/1807.02264 and https://arxiv.org/abs/2207.06272.
"""

from dataclasses import dataclass
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from agents.algorithms.analytic_gradient import AnalyticPolicyGradient
from agents.algorithms.base import ContinuousAgent
from agents.algorithms.gradient_policy import GradientPolicy
from agents.networks.extractors import StateLookup, StateTable

OF_POLICY = ("width", "state_dropout", "weight_decay", "account_rate")
"""Fields that the policy takes, not the algorithm."""


@dataclass(frozen=True)
class APG(ContinuousAgent):
    """Analytic policy gradient. The environments in training are its accounts; 32 are enough.

    Attributes:
        learning_rate: Learning rate of AdamW.
        account_rate: That of the few numbers by which what is held enters (the fraction of the way, the preference for
            what is held), in units of `learning_rate`. They have far to go from a fresh policy, which hardly trades.
        segment_days: Days of a segment; a longer one sees more of what a position earns later.
        warmup_days: Days before a segment on which its accounts already trade, without being learnt from: segments
            then begin at positions that the policy comes to.
        accounts_per_path: Accounts that start a segment on the same day, from different positions.
        risk_aversion: Price of a unit of the variance of daily excess log growth, in training and in validation.
        trade_penalty: Price of a unit of turnover in training, on top of what trades cost: less trading than pays on
            the train days, because signals weaken.
        terminal_value: Weight of the learnt value of the position at a segment's end; 0 ends the world there.
        gamma: Discount a day of that value.
        state_dropout: Share of the channels of states that training hides from one day to another.
        weight_decay: Weight decay of AdamW.
        averaging: Decay an update of the moving average of weights, which is the policy that acts, is validated and is
            kept; 0 acts with the latest weights. Latest weights wander with the days that an update happened to draw.
        max_grad_norm: Gradient norm clip.
        width: Hidden width of the scorer.
    """

    learning_rate: float = 3e-3
    account_rate: float = 1.0
    segment_days: int = 20
    warmup_days: int = 10
    accounts_per_path: int = 4
    risk_aversion: float = 10.0
    trade_penalty: float = 0.0
    terminal_value: float = 0.0
    gamma: float = 0.99
    state_dropout: float = 0.5
    weight_decay: float = 1e-2
    averaging: float = 0.98
    max_grad_norm: float = 1.0
    width: int = 32

    algorithm, plain, equivariant = AnalyticPolicyGradient, GradientPolicy, GradientPolicy

    def __post_init__(self) -> None:
        if self.segment_days < 1 or self.accounts_per_path < 1 or self.warmup_days < 0:
            raise ValueError(
                f"APG: segment_days is {self.segment_days}, accounts_per_path {self.accounts_per_path} and warmup_days "
                f"{self.warmup_days}, expected at least 1, 1 and 0"
            )
        if not self.account_rate > 0:
            raise ValueError(f"APG: account_rate is {self.account_rate}, expected more than 0")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"APG: averaging is {self.averaging}, expected at least 0 and below 1")
        if self.risk_aversion < 0 or self.trade_penalty < 0 or not 0 <= self.state_dropout < 1:
            raise ValueError(
                f"APG: risk_aversion {self.risk_aversion}, trade_penalty {self.trade_penalty} and state_dropout "
                f"{self.state_dropout} must be at least 0, and the last below 1"
            )

    def _shape(self, network: Any, table: StateTable | None) -> dict[str, Any]:
        lookup = {} if table is None else {"table": table}
        shape = {name: getattr(self, name) for name in OF_POLICY}
        return shape | {"features_extractor_class": StateLookup, "features_extractor_kwargs": lookup}

    def _learning(self, env: VecEnv) -> dict[str, Any]:
        return {name: value for name, value in super()._learning(env).items() if name not in OF_POLICY}
