"""Random windows, selections of them, and a few steps of training, for checks of encoders."""

import torch
from torch import Tensor

from encoders.base import Encoder, EncoderConfig, Encoding
from encoders.windows import InputShape, Window

N_ASSETS = 7
N_DAYS = 6


def make_window(config: EncoderConfig, shape: InputShape, n_days: int = N_DAYS, seed: int = 0) -> Window:
    """Returns a batch with a masked asset on every other day and an unknown label."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=draw)

    B, L, N = n_days, shape.lookback, shape.n_assets
    mask = torch.ones(B, N, dtype=torch.bool)
    mask[::2, 1] = False
    label = 0.02 * normal(B, N)
    label[0, 0] = torch.nan
    middle = 0.02 * normal(B, L, N, 1).cumsum(1)
    spread = 0.01 * normal(B, L, N, 2).abs()
    bars = torch.cat([middle, middle + spread[..., :1], middle - spread[..., 1:], middle], -1)
    return Window(
        features=normal(B, L, N, shape.n_features),
        mask=mask,
        calendar=normal(B, L, shape.n_calendar),
        prices=bars[..., -shape.n_prices :],
        forward_return=label.where(mask, torch.nan),
        day=torch.arange(B) + L - 1,
    )


def inputs(window: Window) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the arguments of `infer`, `encode` and `predict`."""
    return window.features, window.mask, window.calendar


def select(window: Window, days: Tensor) -> Window:
    """Returns the window of some of its days."""
    return Window(*(part[days] for part in window))


def with_assets(window: Window, assets: Tensor) -> Window:
    """Returns the window of some of its assets, in the order given."""
    return window._replace(
        features=window.features[:, :, assets],
        mask=window.mask[:, assets],
        prices=window.prices[:, :, assets],
        forward_return=window.forward_return[:, assets],
    )


def train(encoder: Encoder, window: Window, n_steps: int, learning_rate: float = 1e-3) -> list[float]:
    """Returns the losses of a few steps on one batch; leaves the encoder in training mode."""
    optimizer = torch.optim.AdamW(encoder.parameter_groups(learning_rate, 0.0))
    encoder.train()
    losses = []
    for _ in range(n_steps):
        encoding: Encoding = encoder(window)
        optimizer.zero_grad()
        encoding.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(encoding.loss.detach()))
    return losses


def trained(config: EncoderConfig, shape: InputShape, n_steps: int = 3) -> Encoder:
    """Returns an encoder whose buffers and codebooks have left their first values, in evaluation mode."""
    torch.manual_seed(0)
    encoder = config.build(shape)
    train(encoder, make_window(config, shape, seed=1), n_steps)
    return encoder.eval()
