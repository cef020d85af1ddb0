"""Alignment: carries the states of one fit into the coordinates of another one.

Two trainings of an encoder may say the same in other directions: a network's hidden axes have no names. A map fitted on
days that both fits may know turns the states of the later fit so that they mean what those of the first one mean.
Forecasts are in the label's units and need none.

Reference: Schönemann (1966), A generalized solution of the orthogonal Procrustes problem.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from market.arrays import AnyFloatArray, FeatureArray, FloatArray

Alignment = Literal["orthogonal", "ridge", "none"]
"""An orthogonal map keeps distances; ridge fits better but shrinks what it cannot say; none changes nothing."""

PENALTY = 1e-6  # of ridge, in units of the mean variance of a column


@dataclass(frozen=True, eq=False)
class AffineMap:
    """Values times a matrix plus an offset, from D columns to E.

    Attributes:
        matrix: ``[D, E]``.
        offset: ``[E]``.
    """

    matrix: FloatArray
    offset: FloatArray

    def __call__(self, values: AnyFloatArray) -> FeatureArray:
        """Returns the mapped values ``[..., E]``, computed in double precision."""
        mapped: FeatureArray = (values.astype(np.float64) @ self.matrix + self.offset).astype(np.float32)
        return mapped


class CrossMoments:
    """Sums over rows of pairs ``x [D]``, ``y [E]`` in double precision, as many as one likes."""

    def __init__(self, n_from: int, n_to: int) -> None:
        self.count = 0
        self.x, self.y = np.zeros(n_from), np.zeros(n_to)
        self.xx, self.xy = np.zeros((n_from, n_from)), np.zeros((n_from, n_to))
        self.yy = 0.0

    def add(self, x: AnyFloatArray, y: AnyFloatArray) -> None:
        """Counts rows ``[S, D]`` and ``[S, E]``."""
        x, y = x.astype(np.float64), y.astype(np.float64)
        self.count += len(x)
        self.x += x.sum(axis=0)
        self.y += y.sum(axis=0)
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.yy += float((y * y).sum())

    def plus(self, other: "CrossMoments") -> "CrossMoments":
        """Returns the sums of both."""
        both = CrossMoments(len(self.x), len(self.y))
        both.count = self.count + other.count
        for name in ("x", "y", "xx", "xy", "yy"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both

    def fit(self, alignment: Alignment) -> AffineMap:
        """Returns the map from `x` to `y` with the least squared error, of the kind that `alignment` names.

        Raises:
            ValueError: There are no rows, or an orthogonal map has to change the number of columns.
        """
        if not self.count:
            raise ValueError("alignment: no day on which both fits have states; start the walk later")
        if alignment == "none":
            return AffineMap(np.eye(len(self.x)), np.zeros(len(self.x)))
        mean_x, mean_y = self.x / self.count, self.y / self.count
        cross = self.xy / self.count - np.outer(mean_x, mean_y)
        if alignment == "orthogonal":
            if cross.shape[0] != cross.shape[1]:
                raise ValueError(f"alignment: orthogonal maps keep the width, but states have {cross.shape}; use ridge")
            left, _, right = np.linalg.svd(cross)
            matrix = left @ right
        else:
            own = self.xx / self.count - np.outer(mean_x, mean_x)
            penalty = PENALTY * max(float(np.trace(own)) / len(own), np.finfo(np.float64).tiny)
            matrix = np.linalg.solve(own + penalty * np.eye(len(own)), cross)
        return AffineMap(matrix, mean_y - mean_x @ matrix)

    def explained(self, found: AffineMap) -> float:
        """Returns R², the share of the variance of `y` over these rows that the map explains; at most 1."""
        m, b = found.matrix, found.offset
        predicted_y = float((self.xy * m).sum() + self.y @ b)
        predicted = float(((self.xx @ m) * m).sum() + 2 * self.x @ m @ b + self.count * (b @ b))
        total = self.yy - float(self.y @ self.y) / max(self.count, 1)
        left = self.yy - 2 * predicted_y + predicted
        tiny = 1e-12 * max(self.yy, 1e-300)
        return 1 - left / total if total > tiny else float(left <= tiny)
