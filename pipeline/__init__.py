"""The stages of the main job as functions: a dataclass and a working directory in, a result out, nothing printed.

    panel = pipeline.prepare(prepare_config, workdir)
    encoder = pipeline.pretrain(pretrain_config, workdir)
    states = pipeline.extract(encoder.folder, workdir=workdir)
    agents = pipeline.train(trade_config, workdir)
    evidence = pipeline.evaluate(agents.folder, workdir=workdir)

Importing this package imports no stage, and so neither torch nor stable-baselines3; a stage is imported when it is
first named.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.ablation import ablate
    from pipeline.agent_comparison import compare_agents
    from pipeline.comparison import compare
    from pipeline.decision import Decide, decide
    from pipeline.discovery import discover
    from pipeline.encoder_comparison import compare_encoders
    from pipeline.evaluation import evaluate
    from pipeline.exports import export_comparison, export_evaluation
    from pipeline.extraction import Extract, extract
    from pipeline.hyperparameters import sweep
    from pipeline.jobs.engine import Engine
    from pipeline.many import pretrain_many, train_many
    from pipeline.preparation import download, inspect_panel, prepare
    from pipeline.pretraining import leave_process_group, pretrain
    from pipeline.refitting import walk
    from pipeline.results import (
        AblationResult,
        AgentComparison,
        ComparisonResult,
        DecideResult,
        DiscoverResult,
        EncoderComparison,
        EvaluateResult,
        ExtractResult,
        GraphProgress,
        InspectResult,
        Observer,
        PrepareResult,
        PretrainResult,
        SweepResult,
        TrainResult,
        WalkProgress,
        WalkResult,
    )
    from pipeline.trained_run import TrainedRun, open_run
    from pipeline.training import train

_HOMES = {
    "ablation": ("ablate",),
    "agent_comparison": ("compare_agents",),
    "comparison": ("compare",),
    "decision": ("Decide", "decide"),
    "discovery": ("discover",),
    "encoder_comparison": ("compare_encoders",),
    "evaluation": ("evaluate",),
    "exports": ("export_comparison", "export_evaluation"),
    "extraction": ("Extract", "extract"),
    "hyperparameters": ("sweep",),
    "jobs.engine": ("Engine",),
    "many": ("pretrain_many", "train_many"),
    "preparation": ("download", "inspect_panel", "prepare"),
    "pretraining": ("leave_process_group", "pretrain"),
    "results": (
        "AblationResult",
        "AgentComparison",
        "ComparisonResult",
        "DecideResult",
        "DiscoverResult",
        "EncoderComparison",
        "EvaluateResult",
        "ExtractResult",
        "GraphProgress",
        "InspectResult",
        "Observer",
        "PrepareResult",
        "PretrainResult",
        "SweepResult",
        "TrainResult",
        "WalkProgress",
        "WalkResult",
    ),
    "trained_run": ("TrainedRun", "open_run"),
    "training": ("train",),
    "refitting": ("walk",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AblationResult",
    "AgentComparison",
    "ComparisonResult",
    "Decide",
    "DecideResult",
    "DiscoverResult",
    "EncoderComparison",
    "Engine",
    "EvaluateResult",
    "Extract",
    "ExtractResult",
    "GraphProgress",
    "InspectResult",
    "Observer",
    "PrepareResult",
    "PretrainResult",
    "SweepResult",
    "TrainResult",
    "TrainedRun",
    "WalkProgress",
    "WalkResult",
    "ablate",
    "compare",
    "compare_agents",
    "compare_encoders",
    "decide",
    "discover",
    "download",
    "evaluate",
    "export_comparison",
    "export_evaluation",
    "extract",
    "inspect_panel",
    "leave_process_group",
    "open_run",
    "prepare",
    "pretrain",
    "pretrain_many",
    "sweep",
    "train",
    "train_many",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
