"""The main job in minutes on two CPU cores: a simulated market, then 20 S&P 500 stocks, STORM, PPO, and a short SAC.

The simulated market has a signal that drifts, and what can be known of it is known: there the chain of walk-forward
states and an agent has something to find, and the report says what share of the best it found. The real stocks come
after it, and the report says as plainly what was found there.
"""

from dataclasses import replace

from agents.algorithms.apg import APG
from agents.training.callbacks import TrainingConfig
from configs.prepare.bundled import experiment as prepare
from configs.pretrain.bundled_storm_dual import experiment as pretrain
from configs.recipes import SMALL_OPTIM
from configs.schema.demo import Demo, Simulation
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from configs.schema.walk import Walk
from configs.trade.bundled_AAPL_ppo import experiment as aapl_ppo
from configs.trade.bundled_AAPL_sac import experiment as aapl_sac
from configs.trade.bundled_portfolio_ppo import experiment as portfolio_ppo
from encoders.baselines.ridge import Ridge
from envs import Costs, Excess, LongOnly, Step
from market.features import Feature, Formulas
from market.sources.synthetic.signal import Dynamics
from market.sources.synthetic.source import NO_EVENTS, Synthetic
from market.splits import Split, WalkForward

short_sac = replace(
    aapl_sac, name="demo_AAPL_sac", seeds=(0, 1), schedule=replace(aapl_sac.schedule, total_steps=20_000)
)

days = Split(train=("2011-03-28", "2013-03-29"), valid=("2013-04-03", "2013-10-31"), test=("2013-11-06", "2014-10-17"))
ridge = Pretrain(
    name="simulated_ridge",
    panel="data/simulated/panel.safetensors",
    encoder=Ridge(target="zscore"),
    features=Formulas(
        (
            Feature("day", "close / delay(close, 1) - 1"),
            Feature("week", "close / delay(close, 5) - 1"),
            Feature("month", "close / delay(close, 20) - 1"),
            Feature("gap", "open / delay(close, 1) - 1"),
            Feature("volume", "log((volume + 1) / (mean(volume, 20) + 1))"),
            Feature("unrest", "std(close / delay(close, 1) - 1, 20)"),
        )
    ),
    split=days,
    optim=SMALL_OPTIM,
)
simulation = Simulation(
    prepare=Prepare(
        name="simulated",
        source=Synthetic(stocks=30, days=1250, signal=0.15, events=NO_EVENTS, dynamics=Dynamics(turn_days=2500)),
    ),
    walk=Walk(
        name="simulated_ridge_walk",
        experiment=ridge,
        calendar=WalkForward(first="2011-03-28", every=252, valid=60, train=250),
    ),
    trade=Trade(
        name="simulated_portfolio_apg",
        panel=ridge.panel,
        states="states/simulated_ridge_walk/states.safetensors",
        agent=APG(learning_rate=1e-2, state_dropout=0.0, averaging=0.95),
        action=Step(LongOnly(cash=False, bound=1, scale=8)),
        reward=Excess("equal_weight"),
        costs=Costs(fee_rate=5e-4),
        split=days,
        n_envs=128,
        schedule=TrainingConfig(total_steps=384_000, validate_every=64_000, patience=2),
    ),
)
experiment = Demo(
    prepare=prepare, pretrain=pretrain, trades=(portfolio_ppo, aapl_ppo, short_sac), simulation=simulation
)
