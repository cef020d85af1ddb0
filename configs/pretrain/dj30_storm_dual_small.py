"""STORM with both branches on 29 Dow Jones stocks, small enough for two CPU cores."""

from dataclasses import replace

from configs.pretrain.dj30_storm_dual import experiment as dual
from encoders.storm.branches import StormSizes

experiment = replace(
    dual,
    name="dj30_storm_dual_small",
    encoder=replace(
        dual.encoder,
        lookback=32,
        codebook_size=64,
        sizes=StormSizes(dim=32, depth=2, decoder_depth=1, heads=4, asset_state=32, market_state=32),
    ),
    optim=replace(dual.optim, epochs=10, learning_rate=1e-3, patience=4),
)
