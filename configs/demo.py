"""The main job in minutes on two CPU cores: a market whose signal is known, then 20 S&P 500 stocks whose is not.

The stocks have STORM's states, PPO, and SAC for fewer steps than by itself.
"""

from dataclasses import replace

from configs.prepare.bundled import experiment as prepare
from configs.prepare.simulated import experiment as simulated
from configs.pretrain.bundled_storm_dual import experiment as pretrain
from configs.schema.demo import Demo, Simulation
from configs.trade.bundled_AAPL_ppo import experiment as aapl_ppo
from configs.trade.bundled_AAPL_sac import experiment as aapl_sac
from configs.trade.bundled_portfolio_ppo import experiment as portfolio_ppo
from configs.trade.simulated_portfolio_apg import experiment as simulated_apg
from configs.walk.simulated_ridge_walk import experiment as simulated_walk

short_sac = replace(
    aapl_sac, name="demo_AAPL_sac", seeds=(0, 1), schedule=replace(aapl_sac.schedule, total_steps=20_000)
)
known = Simulation(prepare=simulated, walk=simulated_walk, trade=replace(simulated_apg, seeds=(0,)))
experiment = Demo(prepare=prepare, pretrain=pretrain, trades=(portfolio_ppo, aapl_ppo, short_sac), simulation=known)
