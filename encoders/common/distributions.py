"""Normal distributions as networks give them: a mean, and a standard deviation above a floor."""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

STD_FLOOR = 0.05  # of a label's standard deviation; below it a likelihood runs away


class Normal(NamedTuple):
    """Mean and standard deviation of independent normal variables."""

    mean: Float[Tensor, "*s"]
    std: Float[Tensor, "*s"]


def positive_std(width: Float[Tensor, "*s"], floor: float = STD_FLOOR) -> Float[Tensor, "*s"]:
    """Returns a network's unbounded output as a standard deviation, softplus above `floor`."""
    return F.softplus(width) + floor
