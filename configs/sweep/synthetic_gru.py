"""A GRU on a synthetic market whose predictable part is known: minutes on two CPU cores, to see what a sweep does."""

from dataclasses import replace

from configs.pretrain.dj30_gru import experiment as gru
from configs.pretrain.synthetic_ridge import experiment as ridge
from configs.schema.sweep import Choice, Integer, LogUniform, Sweep

experiment = Sweep(
    name="synthetic_gru",
    base=replace(
        ridge,
        name="synthetic_gru",
        encoder=replace(gru.encoder, lookback=8, hidden=16, layers=1),
        optim=replace(gru.optim, epochs=6, patience=None, batch_size=32),
    ),
    dimensions=(
        LogUniform(field="optim.learning_rate", low=1e-4, high=3e-2),
        Choice(field="encoder.hidden", values=(8, 16, 32)),
        Integer(field="encoder.layers", low=1, high=2),
    ),
    trials=20,
    warmup_epochs=1,
)
