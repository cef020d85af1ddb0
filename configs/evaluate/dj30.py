"""The Dow Jones runs beside the published index, prepared as a panel of its own."""

from configs.schema.evaluate import Evaluate

experiment = Evaluate(index="workdir/data/dji/panel.safetensors")
