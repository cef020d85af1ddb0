"""STORM with both branches on 29 Dow Jones stocks: codebook, widths, learning rate and the weights of the loss."""

from configs.pretrain.dj30_storm_dual_small import experiment as base
from configs.schema.sweep import Choice, LogUniform, Sweep, Uniform

experiment = Sweep(
    name="dj30_storm",
    base=base,
    dimensions=(
        Choice(field="encoder.quantizer.codebook_size", values=(32, 64, 128, 256)),
        Choice(field="encoder.sizes.dim", values=(16, 32, 64)),
        Uniform(field="encoder.sizes.dropout", low=0.0, high=0.4),
        LogUniform(field="optim.learning_rate", low=1e-4, high=5e-3),
        LogUniform(field="encoder.weights.likelihood", low=0.02, high=2.0),
        LogUniform(field="encoder.weights.reconstruction", low=0.02, high=2.0),
    ),
    trials=40,
    random_trials=8,
)
