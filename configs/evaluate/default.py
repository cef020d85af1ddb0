"""Settings of tools.evaluate unless another config is named."""

from configs.schema.evaluate import Evaluate

experiment = Evaluate()
