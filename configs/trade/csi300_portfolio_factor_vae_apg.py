"""APG steps towards weights over China's CSI 300, from top-50 drop-5 on the forecast of FactorVAE."""

from agents.algorithms.apg import APG
from agents.baselines.simple import TopKDropN
from agents.training.callbacks import TrainingConfig
from configs.schema.trade import Trade
from envs import Costs, Excess, LongOnly, Step

experiment = Trade(
    name="csi300_portfolio_factor_vae_apg",
    panel="workdir/data/csi300/panel.safetensors",
    states="workdir/states/csi300_factor_vae/states.safetensors",
    agent=APG(risk_aversion=30.0, trade_penalty=3e-3, learning_rate=1e-3),
    action=Step(LongOnly(cash=False, bound=1, scale=8)),
    reward=Excess("equal_weight"),
    costs=Costs(fee_rate=1e-3),
    price_limit=0.1,
    start_from=TopKDropN(k=50, n_drop=5),
    clone_steps=150,
    n_envs=32,
    schedule=TrainingConfig(total_steps=48_000, validate_every=16_000, patience=3),
    seeds=(0, 1, 2, 3, 4),
)
