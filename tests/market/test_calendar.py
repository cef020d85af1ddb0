from datetime import date

import numpy as np
import pandas as pd
import pytest

from market.calendar import CALENDAR_FIELDS, calendar_features, parse_day


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


def test_a_day_is_read_as_it_is_written():
    assert parse_day("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize("text", ["2023-02-29", "20240229", "2024-2-9", "2024-02-29T00:00", "", None, 20240229])
def test_what_is_no_day_written_out_is_none(text):
    assert parse_day(text) is None
