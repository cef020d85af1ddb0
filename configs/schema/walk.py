"""Configuration of a walk: an encoder that is refitted on a calendar, and how its states are put together."""

from dataclasses import dataclass
from typing import Literal

from configs.schema.names import check_folder_name
from configs.schema.pretrain import Pretrain
from encoders.baselines.closed_form import ClosedForm
from encoders.states.alignment import Alignment
from encoders.training.hooks import SecondStage
from market.splits import WalkForward

Start = Literal["fresh", "warm"]


@dataclass(frozen=True)
class Walk:
    """Everything that decides a walk: the encoder, when it is refitted, and how the states of the refits are joined."""

    name: str
    """Folder under workdir/walk that receives the page, and under workdir/states that receives the stitched states."""
    experiment: Pretrain
    """The encoder and its data; its own split and seed give way to those of each refit."""
    calendar: WalkForward
    """When it is refitted, and how many days each refit learns from."""
    earlier: tuple[Pretrain, ...] = ()
    """Stages that come before the encoder in each refit, such as the tokens of FactorVQVAE."""
    seeds: tuple[int, ...] = (0,)
    """Each refit is trained with every seed; several forecast together, see encoders.ensemble."""
    start: Start = "fresh"
    """Weights that a refit starts from: drawn anew, or those of the refit before it."""
    warm_epochs: int | None = None
    """Epochs of refits that start warm; None as many as the first one has."""
    alignment: Alignment = "orthogonal"
    """How states of later refits are carried into the coordinates of the first one."""

    def __post_init__(self) -> None:
        check_folder_name("Walk", self.name)
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"Walk: seeds are {self.seeds}; give at least one, each once")
        for before, after in zip((None, *self.earlier), (*self.earlier, self.experiment), strict=True):
            if (before is not None) != isinstance(after.encoder, SecondStage):
                wanted = "an earlier stage" if before is None else "no earlier stage"
                raise ValueError(f"Walk: {after.name} needs {wanted}; list the stages before it in earlier, in order")
        if self.start == "warm" and isinstance(self.first_stage.encoder, ClosedForm):
            raise ValueError(
                f"Walk: {type(self.first_stage.encoder).__name__} is fitted at once and has no weights to start from; "
                "start fresh"
            )
        if self.warm_epochs is not None and (self.start == "fresh" or self.warm_epochs < 1):
            raise ValueError(f"Walk: warm_epochs is {self.warm_epochs}, expected at least 1 with start 'warm'")

    @property
    def first_stage(self) -> Pretrain:
        """The stage that learns from data alone."""
        return (*self.earlier, self.experiment)[0]
