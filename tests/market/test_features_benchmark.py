"""The pandas implementation that the benchmark compares with computes the same thing."""

import numpy as np

from benchmarks.features import pandas_alpha158, random_bars
from market.features.alpha158 import Alpha158


def test_the_benchmark_compares_like_with_like() -> None:
    panel = random_bars(2, 90)
    ours, theirs = Alpha158().compute(panel), pandas_alpha158(panel)
    for n, frame in enumerate(theirs):
        assert set(frame.columns) == set(ours.fields)
        for name in ours.fields:
            np.testing.assert_allclose(ours[name][2:, n], frame[name][2:], rtol=1e-4, atol=1e-5, err_msg=name)
