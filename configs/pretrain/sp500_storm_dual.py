"""STORM with both branches on the S&P 500, 2013 to 2018, at the reference's sizes; a batch is taken in four parts."""

from dataclasses import replace

from configs.datasets import SP500
from configs.recipes import STORM, STORM_OPTIM

experiment = SP500.pretrain("sp500_storm_dual", STORM, replace(STORM_OPTIM, batch_size=16, accumulation=4))
