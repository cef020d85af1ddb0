"""A GRU on a synthetic market whose predictable part is known: minutes on two CPU cores, to see what a sweep does."""

from dataclasses import replace

from configs.datasets import SYNTHETIC
from configs.recipes import SMALL_OPTIM
from configs.schema.sweep import Choice, Integer, LogUniform, Sweep
from encoders.recurrent import GRU

gru = GRU(lookback=8, hidden=16, layers=1)
experiment = Sweep(
    name="synthetic_gru",
    base=SYNTHETIC.pretrain("synthetic_gru", gru, replace(SMALL_OPTIM, epochs=6, patience=None)),
    dimensions=(
        LogUniform(field="optim.learning_rate", low=1e-4, high=3e-2),
        Choice(field="encoder.hidden", values=(8, 16, 32)),
        Integer(field="encoder.layers", low=1, high=2),
    ),
    trials=20,
    warmup_epochs=1,
)
