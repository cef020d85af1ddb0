"""STORM with both branches on the 20 bundled S&P 500 closes; small, minutes on two CPU cores."""

from configs.datasets import BUNDLED
from configs.recipes import SMALL_OPTIM, STORM_SMALL

experiment = BUNDLED.pretrain("bundled_storm_dual", STORM_SMALL, SMALL_OPTIM)
