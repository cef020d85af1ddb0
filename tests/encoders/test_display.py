"""What TensorBoard shows of a training: names a reader knows, in groups that are there on purpose."""

import numpy as np
import torch

from agents.training.tensorboard import N_PICTURED, weights_figure
from encoders.training.tensorboard import reconstruction_figure, yearly_table
from encoders.windows import Window
from market.panel import Panel


def test_a_reconstruction_names_its_asset_and_day() -> None:
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-11"))
    everywhere = np.ones((10, 2), bool)
    panel = Panel(days, ("A$1", "B"), ("close",), np.ones((10, 2, 1)), everywhere, everywhere)
    prices = torch.rand(1, 4, 2, 4)
    window = Window(
        features=torch.zeros(1, 4, 2, 1),
        mask=torch.tensor([[False, True]]),
        calendar=torch.zeros(1, 4, 1),
        prices=prices,
        forward_return=torch.zeros(1, 2),
        day=torch.tensor([6]),
    )
    titles = [axis.get_title() for axis in reconstruction_figure(window, prices, panel).axes]
    assert titles[0] == "B, window to 2020-01-07"
    assert reconstruction_figure(window, prices).axes[0].get_title() == "asset 1"


def test_years_are_rows() -> None:
    table = yearly_table([{"year": 2019, "rank_ic": 0.0312, "days": 250}, {"year": 2020, "rank_ic": None, "days": 9}])
    wanted = ["| year | rank_ic | days |", "|---|---:|---:|", "| 2019 | 0.0312 | 250 |", "| 2020 | – | 9 |"]
    assert table.splitlines() == wanted


def test_the_picture_of_weights_names_the_largest_and_sums_the_rest() -> None:
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-03-01"))
    names = tuple(f"S{k:02d}" for k in range(40))
    weights = np.zeros((len(days), 41))
    weights[:, 1 + 17], weights[:, 1 + 3], weights[:, 0] = 0.6, 0.3, 0.1
    axis = weights_figure(days, weights, names).axes[0]
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels[:3] == ["cash", "S17, 60% on average", "S03, 30% on average"]
    assert labels[-1] == f"the other {40 - N_PICTURED} together"
    assert axis.get_xticklabels()[0].get_text() == "2020-01-01"
    shown = axis.images[0].get_array()
    np.testing.assert_allclose(np.asarray(shown).sum(axis=0), 1.0)
