"""Gradient boosted trees on the last day's features: the baseline that an encoder has to beat.

Reference: Ke et al. (2017), LightGBM: a highly efficient gradient boosting decision tree. The defaults of `Boosting`
are those of qlib's benchmark on Alpha158 and CSI300 (``workflow_config_lightgbm_Alpha158.yaml``).

Differs from that benchmark, because:

* early stopping looks at the valid part alone, and runs are deterministic for any number of threads;
* bagging draws new rows each round (``bagging_freq`` 1); without a frequency LightGBM ignores the share.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoders.baselines.closed_form import ScoreEncoder, cross_sections_of
from encoders.common.layers import unpack
from encoders.data import TrainingData
from encoders.windows import InputShape
from market.arrays import AnyArray, IntArray
from market.prices.labels import Transform

NODE = ("feature", "threshold", "left", "right", "value")


@dataclass(frozen=True)
class Boosting:
    """LightGBM's parameters, under its own names.

    Attributes:
        n_estimators: Trees at most.
        early_stopping_rounds: Trees without a smaller squared error on valid after which it stops, and keeps the trees
            up to the smallest; None grows all trees, so that refits differ by what they learn from alone.
        learning_rate: Share of each tree that is added.
        num_leaves: Leaves of a tree at most.
        max_depth: Levels of a tree at most.
        min_data_in_leaf: Rows of a leaf at least.
        feature_fraction: Share of the features that a tree may use.
        bagging_fraction: Share of the rows that a tree learns from.
        lambda_l1: Penalty on the absolute values of leaves.
        lambda_l2: Penalty on their squares.
        num_threads: Threads; 0 for as many as OpenMP gives. They change no result.
    """

    n_estimators: int = 1000
    early_stopping_rounds: int | None = 50
    learning_rate: float = 0.2
    num_leaves: int = 210
    max_depth: int = 8
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.8879
    bagging_fraction: float = 0.8789
    lambda_l1: float = 205.6999
    lambda_l2: float = 580.9768
    num_threads: int = 0


@dataclass(frozen=True)
class LightGBM:
    """Everything that decides boosted trees, pooled over days and assets.

    Attributes:
        lookback: Days for which an asset must have been listed; the features of the last one are read.
        target: What is learnt: ``rank`` or ``zscore`` of the label within its day, or None for the label.
        boosting: How the trees grow.
    """

    lookback: int = 1
    target: Transform | None = "rank"
    boosting: Boosting = Boosting()

    def build(self, shape: InputShape) -> "TreeEncoder":
        """Returns an encoder without trees, which forecasts the same for all; `fit` returns one that has learnt."""
        return TreeEncoder(self, shape)

    def fit(self, data: TrainingData, seed: int) -> "TreeEncoder":
        """Returns the trees grown on the train days, as many of them as err least on the valid days."""
        import lightgbm  # here, so that nothing else waits for it

        encoder = self.build(data.store.shape)
        encoder.learn_units(data)
        train, valid = (
            lightgbm.Dataset(*encoder.rows(data, days), free_raw_data=True)
            for days in (data.train_days, data.labelled_days(data.days.valid))
        )
        parameters = asdict(self.boosting)
        rounds, patience = parameters.pop("n_estimators"), parameters.pop("early_stopping_rounds")
        parameters |= {"objective": "regression", "metric": "l2", "seed": seed, "bagging_freq": 1, "verbosity": -1}
        parameters |= {"deterministic": True, "force_row_wise": True, "use_missing": False}
        stop: list[Any] = [] if patience is None else [lightgbm.early_stopping(patience, verbose=False)]
        booster = lightgbm.train(parameters, train, rounds, valid_sets=[valid.set_reference(train)], callbacks=stop)
        encoder.trees.plant(nodes_of(booster))
        encoder.learn_error(data)
        return encoder


class TreeEnsemble(nn.Module):
    """A sum of binary trees, as plain numbers.

    LightGBM's own text is not kept: its reader takes a damaged text for a tree, and the process with it.

    Attributes:
        nodes: ``[trees, nodes, 5]``, one row a node: feature, threshold, left and right child, value. Children follow
            their parent; a leaf is its own child. Rows that a smaller tree leaves over are leaves of value 0.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.nodes = torch.zeros(0, 1, len(NODE), dtype=torch.float64)

    def plant(self, nodes: Tensor) -> None:
        """Takes over trees.

        Raises:
            ValueError: They are no trees, or ask for a feature that is not there.
        """
        if nodes.ndim != 3 or nodes.shape[2] != len(NODE) or not nodes.shape[1] or not nodes.isfinite().all():
            raise ValueError(
                f"trees: expected finite numbers [trees, nodes, {len(NODE)}], got {tuple(nodes.shape)} of which "
                f"{int(nodes.isfinite().sum())} are finite; fit them again"
            )
        feature, left, right = (nodes[..., NODE.index(name)] for name in ("feature", "left", "right"))
        own = torch.arange(nodes.shape[1]).to(nodes).expand_as(left)
        leaf = (left == own) & (right == own)
        inner = (own < left) & (left < nodes.shape[1]) & (own < right) & (right < nodes.shape[1])
        whole = (nodes[..., [0, 2, 3]] == nodes[..., [0, 2, 3]].floor()).all(-1)
        wrong = ~(whole & (leaf | inner) & (feature >= 0) & (feature < self.n_features))
        if wrong.any():
            tree, node = wrong.nonzero()[0].tolist()
            described = ", ".join(f"{name} {value:g}" for name, value in zip(NODE, nodes[tree, node], strict=True))
            raise ValueError(
                f"trees: node {node} of tree {tree} has {described}, among {nodes.shape[1]} nodes and "
                f"{self.n_features} features; fit them again"
            )
        self.nodes = nodes

    def forward(self, rows: Float[Tensor, "S F"]) -> Float[Tensor, " S"]:
        """Returns the sum of the trees for each row, in double precision."""
        nodes = self.nodes.to(rows.device)
        feature, left, right = (nodes[..., NODE.index(name)].long() for name in ("feature", "left", "right"))
        rows, found = rows.double(), rows.new_zeros(len(rows), dtype=torch.float64)
        for tree, (_, threshold, _, _, value) in enumerate(nodes.movedim(-1, 1)):
            place = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
            while True:
                goes_left = rows.gather(1, feature[tree, place][:, None])[:, 0] <= threshold[place]
                below = torch.where(goes_left, left[tree, place], right[tree, place])
                if below.equal(place):
                    break
                place = below
            found += value[place]
        return found

    def get_extra_state(self) -> Float[Tensor, "trees nodes 5"]:
        """Returns the trees; part of the `state_dict`, of any size."""
        return self.nodes

    def set_extra_state(self, state: Tensor) -> None:
        """Takes over the trees of a `state_dict`."""
        self.plant(state)


def nodes_of(booster: Any) -> Float[Tensor, "trees nodes 5"]:
    """Returns the trees of a LightGBM booster, up to its best iteration."""
    grown = [_table(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    nodes = torch.zeros(len(grown), max(len(table) for table in grown), len(NODE), dtype=torch.float64)
    nodes[..., NODE.index("left")] = nodes[..., NODE.index("right")] = torch.arange(nodes.shape[1]).to(nodes)
    for tree, table in zip(nodes, grown, strict=True):
        tree[: len(table)] = torch.tensor(table, dtype=torch.float64)
    return nodes


def _table(root: Mapping[str, Any]) -> list[list[float]]:
    """Returns the rows of a tree, breadth first, so that children follow their parent."""
    queue, rows = [root], []
    for own, node in enumerate(queue):  # grows while it is walked
        if "leaf_value" in node:
            row = (0, 0, own, own, node["leaf_value"])
        else:
            row = (node["split_feature"], node["threshold"], len(queue), len(queue) + 1, 0)
            queue += [node["left_child"], node["right_child"]]
        rows.append([float(value) for value in row])
    return rows


class TreeEncoder(ScoreEncoder):
    """A score by boosted trees; `LightGBM` grows them."""

    def __init__(self, config: LightGBM, shape: InputShape) -> None:
        super().__init__(config.target)
        self.trees = TreeEnsemble(shape.n_features)

    def score(self, features: Float[Tensor, "B N F"], mask: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Returns the sum of the trees for each asset."""
        return unpack(self.trees(features[mask]).to(features), mask)

    def rows(self, data: TrainingData, days: IntArray) -> tuple[AnyArray, AnyArray]:
        """Returns features ``[S, F]`` and targets ``[S]`` of the cells of `days` that have a label."""
        features, targets = [], []
        for cells in cross_sections_of(data, days):
            target = self.targets(cells.label)
            known = target.isfinite()
            features.append(cells.features[known].numpy())
            targets.append(target[known].numpy())
        return np.concatenate(features), np.concatenate(targets)
