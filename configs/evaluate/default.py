"""What tools.evaluate does unless another config is named."""

from configs.schema.evaluate import Evaluate

experiment = Evaluate()
