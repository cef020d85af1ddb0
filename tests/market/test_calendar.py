import numpy as np
import pandas as pd

from market.calendar import CALENDAR_FIELDS, calendar_features


def test_features_agree_with_pandas():
    dates = np.arange("1965-01-01", "2031-12-31", dtype="datetime64[D]")
    features = calendar_features(dates)
    stamps = pd.DatetimeIndex(dates)
    assert features.dtype == np.float32
    assert CALENDAR_FIELDS == ("day", "weekday", "month")
    np.testing.assert_allclose(features[:, 0], (stamps.day - 1) / 30 - 0.5, atol=1e-6)
    np.testing.assert_allclose(features[:, 1], stamps.day_of_week / 6 - 0.5, atol=1e-6)
    np.testing.assert_allclose(features[:, 2], (stamps.month - 1) / 11 - 0.5, atol=1e-6)


def test_corners():
    dates = np.array(["2024-01-01", "2023-12-31"], dtype="datetime64[D]")  # a Monday and a Sunday
    np.testing.assert_allclose(calendar_features(dates), [[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]])
    assert calendar_features(dates[:0]).shape == (0, 3)
