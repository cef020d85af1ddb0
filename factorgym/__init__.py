"""FactorGym in one name: what a notebook needs, from prices to evidence.

    import factorgym as fg

    panel = fg.Panel.from_frame(fg.Bundled().read())
    env = fg.make("FactorGym/Portfolio-v0", tape=fg.Tape.from_panel(panel))

Every name lives in one of the packages `market`, `encoders`, `envs`, `agents`, `evaluation`, `pipeline` and
`configs.schema`, which can be imported directly as well; nothing is loaded before it is asked for.
"""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from factorgym.clash import refuse_clash

__version__ = "0.2.0"

_HOMES = {
    "market": (
        "Alpha158", "Alpha360", "Bundled", "CrossSectionalZScore", "FactorMarket", "Feature", "Formulas", "Label",
        "MarketStates", "Panel", "QlibStore", "RobustZScore", "Rules", "Split", "StormFeatures", "Synthetic", "Tables",
        "YFinance", "clean", "feature", "prepared",
    ),
    "encoders": (
        "GRU", "PCA", "VAE", "Encoder", "EncoderConfig", "FactorVAE", "FactorVQVAE", "FactorVQVAEPredictor", "LightGBM",
        "Optim", "Ridge", "Storm",
    ),
    "encoders.testing": ("check_encoder",),
    "envs": (
        "BatchMarket", "Costs", "DifferentialSharpe", "DrawdownPenalty", "Episodes", "Excess", "ExcessGrowth",
        "LogGrowth", "LongOnly", "LongShort", "MarketRules", "Position", "SectorLimit", "SellHoldBuy", "SimpleReturn",
        "Step", "Tape", "TargetLevels", "TargetWeights", "Templates", "Tilt", "TurnoverPenalty",
    ),
    "agents": (
        "A2C", "APG", "DQN", "PPO", "SAC", "TD3", "BuyAndHold", "ClassicalPolicy", "DifferentiableMarket",
        "EqualWeight", "MarketVecEnv", "TopKDropN", "TrainingConfig", "load_agent",
    ),
    "evaluation": ("Backtest", "deflated_sharpe", "prediction_metrics"),
    "evaluation.performance": ("performance",),
    "evaluation.rollout": ("rollout",),
    "pipeline": ("ablate", "compare", "discover", "evaluate", "extract", "prepare", "pretrain", "sweep", "train"),
    "configs.schema.prepare": ("Prepare",),
    "configs.schema.pretrain": ("Pretrain",),
    "configs.schema.trade": ("Trade",),
    "configs.schema.evaluate": ("Evaluate",),
    "gymnasium": ("make", "make_vec"),
}  # fmt: skip
_PACKAGES = ("market", "encoders", "envs", "agents", "evaluation", "pipeline")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]

refuse_clash()


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        near = get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; {', '.join(_PACKAGES)} hold what is not here"
        raise AttributeError(f"module 'factorgym' has no attribute '{name}'{hint}")
    if _HOME_OF[name] == "gymnasium":
        import_module("envs")  # registers the environments
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
