"""Trading environments that book money exactly, one episode or thousands at a time.

Importing this package registers ``FactorGym/Portfolio-v0`` and ``FactorGym/SingleStock-v0``.
"""

from gymnasium.envs.registration import register

from envs.actions.limits import SectorLimit
from envs.actions.portfolio import LongOnly, LongShort, TargetWeights, Templates
from envs.actions.relative import Step, Tilt
from envs.actions.single_asset import Position, SellHoldBuy, TargetLevels
from envs.batch import BatchMarket
from envs.costs import Costs
from envs.episodes import Episodes
from envs.rewards import (
    DifferentialSharpe,
    DrawdownPenalty,
    Excess,
    ExcessGrowth,
    LogGrowth,
    SimpleReturn,
    TurnoverPenalty,
)
from envs.rules import MarketRules
from envs.tape import Tape
from market.moved import find_moved_modules

__all__ = [
    "BatchMarket",
    "Costs",
    "DifferentialSharpe",
    "DrawdownPenalty",
    "Episodes",
    "Excess",
    "ExcessGrowth",
    "LogGrowth",
    "LongOnly",
    "LongShort",
    "MarketRules",
    "Position",
    "SectorLimit",
    "SellHoldBuy",
    "SimpleReturn",
    "Step",
    "Tape",
    "TargetLevels",
    "TargetWeights",
    "Templates",
    "Tilt",
    "TurnoverPenalty",
]

find_moved_modules()
for _name, _face in (("Portfolio", "portfolio:Portfolio"), ("SingleStock", "single_stock:SingleStock")):
    register(
        id=f"FactorGym/{_name}-v0",
        entry_point=f"envs.{_face}Env",
        vector_entry_point=f"envs.vector:{_name}VectorEnv",
    )
