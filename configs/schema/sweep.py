"""Configuration of a sweep over hyper-parameters."""

import math
from dataclasses import dataclass

from configs.schema.names import check_folder_name
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from configs.values import with_fields

Plain = str | int | float | bool | None

ASKED = ("name", "panel", "split", "label.fill", "label.horizon", "optim.metric")
"""Fields of an encoder's run that decide what is asked; only runs that ask the same can be ranked."""
ASKED_OF_AGENTS = (
    *("name", "panel", "asset", "split", "fill", "costs", "price_limit", "delisting_return", "index", "index_asset"),
    *("in_sample", "seeds"),
)
"""The same of a trading run."""


@dataclass(frozen=True)
class Choice:
    """A field that takes one of a few values, which have no order."""

    field: str
    """Dotted field of the base, such as encoder.quantizer.codebook_size."""
    values: tuple[Plain, ...]
    """Values that it may take."""

    def __post_init__(self) -> None:
        if len(set(self.values)) < 2:
            raise ValueError(f"Choice: {self.field} has the values {self.values}; give at least two different ones")

    @property
    def examples(self) -> tuple[Plain, ...]:
        """Values that show whether the field takes such."""
        return self.values


@dataclass(frozen=True)
class Integer:
    """A field that takes an integer between two, both included."""

    field: str
    """Dotted field of the base, such as encoder.sizes.depth."""
    low: int
    """Least value."""
    high: int
    """Greatest value."""
    step: int = 1
    """Distance between neighbouring values."""

    def __post_init__(self) -> None:
        if self.low >= self.high or self.step < 1 or (self.high - self.low) % self.step:
            raise ValueError(
                f"Integer: {self.field} goes from {self.low} to {self.high} in steps of {self.step}; expected low < "
                "high and a step that leads from one to the other"
            )

    @property
    def examples(self) -> tuple[Plain, ...]:
        """Values that show whether the field takes such."""
        return self.low, self.high


@dataclass(frozen=True)
class Uniform:
    """A field that takes a number between two, all alike."""

    field: str
    """Dotted field of the base, such as encoder.sizes.dropout."""
    low: float
    """Least value."""
    high: float
    """Greatest value."""

    def __post_init__(self) -> None:
        _check_ends(self, -math.inf)

    @property
    def examples(self) -> tuple[Plain, ...]:
        """Values that show whether the field takes such."""
        return self.low, self.high


@dataclass(frozen=True)
class LogUniform:
    """A field that takes a positive number between two, all orders of magnitude alike."""

    field: str
    """Dotted field of the base, such as optim.learning_rate."""
    low: float
    """Least value."""
    high: float
    """Greatest value."""

    def __post_init__(self) -> None:
        _check_ends(self, 0.0)

    @property
    def examples(self) -> tuple[Plain, ...]:
        """Values that show whether the field takes such."""
        return self.low, self.high


@dataclass(frozen=True)
class Sweep:
    """A search for the hyper-parameters with the best metric on the valid days; test days take no part."""

    name: str
    """Folder under workdir/sweep that receives the trials."""
    base: Pretrain | Trade
    """The run that trials vary, with its seeds. The valid days rank them: encoders by optim.metric, agents by the
    growth of wealth (or by what their reward makes of it), the mean over seeds."""
    dimensions: tuple[Choice | Integer | Uniform | LogUniform, ...]
    """The fields that vary, and how."""
    trials: int = 20
    """Runs in all, those included that are stopped early."""
    random_trials: int = 5
    """First runs, whose values are drawn at random and which are never stopped early; the others learn from them."""
    warmup_epochs: int = 3
    """Epochs (of agents: validations) that every run has before it may be stopped for being below the median."""
    parallel: int = 1
    """Trials after the random ones that may run at once: each learns from those that are at least so many before it.
    This decides what is tried; how many processes there are does not."""
    seed: int = 0
    """Decides which values are tried."""

    def __post_init__(self) -> None:
        check_folder_name("Sweep", self.name)
        for name, least in (("trials", 1), ("random_trials", 1), ("warmup_epochs", 0), ("parallel", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"Sweep: {name} is {getattr(self, name)}, expected at least {least}")
        names = [one.field for one in self.dimensions]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"Sweep: dimensions are {', '.join(names) or 'empty'}; name at least one field, each once")
        for one in self.dimensions:
            asked = ASKED if isinstance(self.base, Pretrain) else ASKED_OF_AGENTS
            if one.field in asked or one.field.split(".")[0] in asked:
                raise ValueError(
                    f"Sweep: {one.field} decides what is asked, and trials must ask the same; leave it out"
                )
            for example in one.examples:
                with_fields(self.base, {one.field: example})


def _check_ends(one: Uniform | LogUniform, floor: float) -> None:
    if not floor < one.low < one.high < math.inf:
        least = " above zero" if floor == 0 else ""
        raise ValueError(
            f"{type(one).__name__}: {one.field} goes from {one.low} to {one.high}; expected finite numbers{least} with "
            "low < high"
        )
