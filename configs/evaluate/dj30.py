"""The Dow Jones runs beside the published index, prepared as a panel of its own.

The portfolio agent's learning rate was chosen on the valid days: the runs tried for that count as trials.
"""

from configs.schema.evaluate import Evaluate

experiment = Evaluate(index="data/dji/panel.safetensors", other_trials=13)
