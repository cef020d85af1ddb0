"""Configuration of the demonstration: one value for each stage of the main job."""

from dataclasses import dataclass

from configs.schema.evaluate import Evaluate
from configs.schema.names import check_folder_name
from configs.schema.prepare import Prepare
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from configs.schema.walk import Walk


@dataclass(frozen=True)
class Simulation:
    """A market whose truth is known, from prices to agents: what the machine finds where there is something to find."""

    prepare: Prepare
    """The simulated prices."""
    walk: Walk
    """The encoder, refitted as its signal drifts; its panel is what `prepare` writes."""
    trade: Trade
    """The agents on its states."""


@dataclass(frozen=True)
class Demo:
    """The whole main job, prices to evidence, on data that ships with a dependency."""

    prepare: Prepare
    """Where the prices come from."""
    pretrain: Pretrain
    """The encoder and how it learns; its panel is what `prepare` writes."""
    trades: tuple[Trade, ...]
    """Trading runs on its states; those on the same market share a section of the report, in this order."""
    evaluate: Evaluate = Evaluate()
    """How the runs are evaluated."""
    simulation: Simulation | None = None
    """A simulated market, which gets the first section of the report; None leaves it out."""
    name: str = "demo"
    """Folder under workdir/evaluate that receives the report."""

    def __post_init__(self) -> None:
        check_folder_name("Demo", self.name)
