"""The same episode is the same to the last bit, wherever its arrays happen to lie in memory."""

import numpy as np
import pytest

from envs import BatchMarket, Costs, Tape
from tests.envs.markets import messy_panel


def path(tape: Tape, logits: np.ndarray) -> np.ndarray:
    market = BatchMarket(tape, costs=Costs(fee_rate=1e-3), observation="compact", autoreset=False)
    market.reset()
    return np.array([market.step(action[None])[-1]["weights"][0] for action in logits])


@pytest.mark.parametrize("fill", ["close", "next_open"])
def test_memory_layout_changes_no_bit(fill: str) -> None:
    # Before sums were taken in loops of their own, about one such path in a hundred was one ulp off.
    tape = Tape.from_panel(messy_panel(50, 5, seed=3, halts=0.2, absent=0.1, changes=True), fill=fill)
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (len(tape) - 1, 6)).astype(np.float32)
    first, kept = path(tape, logits), []
    for _ in range(300):
        litter = [np.full(generator.integers(1, 4000), np.nan) for _ in range(20)]
        kept.append(litter[3])
        del litter
        np.testing.assert_array_equal(path(tape, logits), first)
