"""Every test runs on one thread per library, so that two test processes share two cores without slowing each other.

Property tests have no deadline: on a busy machine the time of one example says nothing about the code.
"""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

settings.register_profile("house", deadline=None)
settings.load_profile("house")


def forget_accelerator() -> None:
    """Forgets the process's device and precision, which accelerate remembers, so that another training may choose."""
    state = sys.modules.get("accelerate.state")
    if state is not None:
        state.AcceleratorState._reset_state()
        state.PartialState._reset_state()


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """Lets every test choose device and precision anew."""
    yield
    forget_accelerator()
