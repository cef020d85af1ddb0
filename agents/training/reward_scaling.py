"""Reward scaling: rewards are divided by the running standard deviation of their discounted sum."""

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from agents.vec_env import MarketVecEnv
from envs import BatchMarket

LARGEST_REWARD = 10.0  # of scaled rewards, in standard deviations of the discounted return


def with_scaled_rewards(market: BatchMarket, gamma: float) -> VecNormalize:
    """Returns episodes whose rewards are divided by the running standard deviation of their discounted sum."""
    return VecNormalize(MarketVecEnv(market), norm_obs=False, clip_reward=LARGEST_REWARD, gamma=gamma, epsilon=1e-12)


def scaled(model: BaseAlgorithm) -> tuple[VecNormalize, MarketVecEnv]:
    """Returns the two layers of the model's environment."""
    outer = model.env
    assert isinstance(outer, VecNormalize)
    assert isinstance(outer.venv, MarketVecEnv)
    return outer, outer.venv


def reward_scale(model: BaseAlgorithm) -> dict[str, float]:
    """Returns the running moments of discounted returns that rewards are scaled with: ``mean``, ``var``, ``count``."""
    moments = scaled(model)[0].ret_rms
    return {name: float(getattr(moments, name)) for name in ("mean", "var", "count")}
