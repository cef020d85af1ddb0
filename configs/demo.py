"""The main job in minutes on two CPU cores: 20 S&P 500 stocks, STORM, PPO and SAC; every part as in its own config."""

from configs.prepare.bundled import experiment as prepare
from configs.pretrain.bundled_storm_dual import experiment as pretrain
from configs.schema.demo import Demo
from configs.trade.bundled_AAPL_ppo import experiment as aapl_ppo
from configs.trade.bundled_AAPL_sac import experiment as aapl_sac
from configs.trade.bundled_portfolio_ppo import experiment as portfolio_ppo

experiment = Demo(prepare=prepare, pretrain=pretrain, trades=(portfolio_ppo, aapl_ppo, aapl_sac))
