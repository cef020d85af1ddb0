"""Old addresses of modules that moved, so that scripts of earlier versions still import what they name.

`import encoders.recurrent` gives a module with the names of `encoders.baselines.gru` and a DeprecationWarning. A module
that moves gets a line here where others may import it; what only the library imports gets none.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

MODULES: Mapping[str, str] = {
    "agents.callbacks": "agents.training.callbacks",
    "agents.classical": "agents.baselines.base",
    "agents.configs": "agents.algorithms.on_policy",
    "agents.hindsight": "agents.baselines.hindsight",
    "agents.optimisation": "agents.baselines.mean_variance",
    "agents.policies": "agents.networks.on_policy",
    "agents.replay": "agents.algorithms.off_policy",
    "encoders.audit": "encoders.states.audit",
    "encoders.distributions": "encoders.common.distributions",
    "encoders.extraction": "encoders.states.extraction",
    "encoders.factor_vqvae_predictor": "encoders.factor_vqvae.predictor",
    "encoders.factor_vqvae_scenarios": "encoders.factor_vqvae.sampling",
    "encoders.layers": "encoders.common.layers",
    "encoders.linear": "encoders.baselines.ridge",
    "encoders.losses": "encoders.common.losses",
    "encoders.pca": "encoders.baselines.pca",
    "encoders.pipeline": "encoders.data",
    "encoders.quantizers.health": "encoders.quantizers.usage",
    "encoders.quantizers.running_means": "encoders.quantizers.ema",
    "encoders.recurrent": "encoders.baselines.gru",
    "encoders.schedule": "encoders.training.optim",
    "encoders.storm_branches": "encoders.storm.branches",
    "encoders.storm_factors": "encoders.storm.factors",
    "encoders.trees": "encoders.baselines.lightgbm",
    "encoders.vae_networks": "encoders.vae.networks",
    "envs.positions": "envs.actions.single_asset",
    "evaluation.contest": "evaluation.policy_comparison",
    "evaluation.forecast": "evaluation.reports.forecast",
    "evaluation.forecasters": "evaluation.encoder_comparison",
    "evaluation.report": "evaluation.reports.policy",
    "market.adjustment": "market.preparation.adjustment",
    "market.column_scaling": "market.scaling.by_column",
    "market.cross_section": "market.scaling.cross_section",
    "market.expressions": "market.features.expressions",
    "market.fills": "market.prices.fills",
    "market.frequency": "market.preparation.resampling",
    "market.known_factors": "market.sources.known_factors",
    "market.labels": "market.prices.labels",
    "market.ledger": "market.storage.ledger",
    "market.operators": "market.features.operators",
    "market.quality": "market.preparation.quality",
    "market.quality.actions": "market.preparation.quality.actions",
    "market.quality.checks": "market.preparation.quality.checks",
    "market.quality.cleaning": "market.preparation.quality.cleaning",
    "market.quality.evidence": "market.preparation.quality.evidence",
    "market.quality.levels": "market.preparation.quality.levels",
    "market.quality.listings": "market.preparation.quality.listings",
    "market.quality.mixtures": "market.preparation.quality.mixtures",
    "market.quality.report": "market.preparation.quality.report",
    "market.quality.rows": "market.preparation.quality.rows",
    "market.quality.rules": "market.preparation.quality.rules",
    "market.quality.sessions": "market.preparation.quality.sessions",
    "market.quality.treatments": "market.preparation.quality.treatments",
    "market.sources.yfinance": "market.sources.yahoo.source",
    "market.trailing": "market.scaling.trailing",
    "market.universe": "market.preparation.membership",
}
"""Address of today by the old one."""


class MovedModules(MetaPathFinder, Loader):
    """Finds the modules of `MODULES`; it is asked last, for names that nothing else finds."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns how to import an old address, None for any other name."""
        if fullname not in MODULES:
            return None
        return spec_from_loader(fullname, self, is_package=any(one.startswith(f"{fullname}.") for one in MODULES))

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module at an old address the names of the one of today."""
        new = MODULES[module.__name__]
        warnings.warn(f"{module.__name__} is now {new}; import that", DeprecationWarning, stacklevel=2)
        home = import_module(new)

        def attribute(name: str) -> Any:
            return getattr(home, name)

        module.__dict__["__getattr__"] = attribute


def find_moved_modules() -> None:
    """Makes the old addresses importable; the packages of the library call it when they are imported."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
