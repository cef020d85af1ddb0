"""The main job in minutes on two CPU cores: 20 S&P 500 stocks, STORM, PPO, and SAC for fewer steps than by itself."""

from dataclasses import replace

from configs.prepare.bundled import experiment as prepare
from configs.pretrain.bundled_storm_dual import experiment as pretrain
from configs.schema.demo import Demo
from configs.trade.bundled_AAPL_ppo import experiment as aapl_ppo
from configs.trade.bundled_AAPL_sac import experiment as aapl_sac
from configs.trade.bundled_portfolio_ppo import experiment as portfolio_ppo

short_sac = replace(
    aapl_sac, name="demo_AAPL_sac", seeds=(0, 1), schedule=replace(aapl_sac.schedule, total_steps=20_000)
)
experiment = Demo(prepare=prepare, pretrain=pretrain, trades=(portfolio_ppo, aapl_ppo, short_sac))
