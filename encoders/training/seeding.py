"""Seeds: the random numbers of each optimiser step depend on the run's seed, the step and the process alone."""

import random

import numpy as np
import torch


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seeds the generators of this process for one optimiser step; ranks and steps draw different numbers."""
    number = int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])
    torch.manual_seed(number)
    random.seed(number)
