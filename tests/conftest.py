"""Every test runs on one thread per library, so that two test processes share two cores without slowing each other.

Property tests have no deadline: on a busy machine the time of one example says nothing about the code.
"""

import os

from hypothesis import settings

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

settings.register_profile("house", deadline=None)
settings.load_profile("house")
