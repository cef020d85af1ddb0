"""APG steps towards weights over China's CSI 300, from top-50 drop-5 on the forecast of a walk of FactorVAE."""

from agents.algorithms.apg import APG
from agents.training.callbacks import TrainingConfig
from configs.datasets import CSI300
from configs.schema.trade import Trade
from envs import Costs, Excess, LongOnly, Step
from market.splits import Split

experiment = Trade(
    name="csi300_portfolio_apg",
    panel=CSI300.panel,
    states="states/csi300_factor_vae_walk/states.safetensors",
    agent=APG(risk_aversion=30.0, trade_penalty=3e-3, learning_rate=1e-3),
    action=Step(LongOnly(cash=False, bound=1, scale=8)),
    split=Split(
        train=("2013-01-04", "2017-12-27"),
        valid=("2018-01-02", "2018-12-26"),
        test=("2019-01-02", "2020-08-31"),
    ),
    reward=Excess("equal_weight"),
    costs=Costs(fee_rate=1e-3),
    start_from=CSI300.portfolio,
    clone_steps=150,
    n_envs=32,
    schedule=TrainingConfig(total_steps=48_000, validate_every=16_000, patience=3),
    seeds=(0, 1, 2, 3, 4),
)
