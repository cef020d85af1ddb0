"""Names for the array types of the project; shapes stand in comments beside their use."""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
"""Money and prices: double precision, always."""

FeatureArray = npt.NDArray[np.float32]
"""Features and states: single precision."""

AnyFloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
CodeArray = npt.NDArray[np.int32]
DateArray = npt.NDArray[np.datetime64]
"""``datetime64[D]``, strictly increasing."""

AnyArray = npt.NDArray[Any]
