"""Properties that every encoder must have, each a function that raises AssertionError where it does not hold."""

import inspect
from collections.abc import Callable
from functools import partial

import torch
from safetensors.torch import load, save
from torch import Tensor

from encoders.base import Encoder, Encoding, Forecast, Inference, State
from encoders.testing.windows import inputs, select, train, with_assets
from encoders.windows import Window


def assert_same(one: Inference, other: Inference, what: str, exact: bool = False) -> None:
    """Fails unless two inferences agree."""
    relative, absolute = (0.0, 0.0) if exact else (1e-3, 1e-5)
    fields = zip((*one.state, *one.forecast), (*other.state, *other.forecast), strict=True)
    for name, (left, right) in zip((*State._fields, *Forecast._fields), fields, strict=True):
        if left is None or right is None:
            assert left is right, f"{what}: {name} is there once and not twice"
            continue
        message = partial("{} moved {}: {}".format, what, name)
        torch.testing.assert_close(left, right, rtol=relative, atol=absolute, equal_nan=True, msg=message)


def assets_of(inference: Inference, assets: Tensor) -> Inference:
    """Returns an inference of some of its assets."""
    state, forecast = inference.state, inference.forecast
    codes = None if state.codes is None else state.codes[:, assets]
    return Inference(
        State(state.asset[:, assets], state.market, codes),
        Forecast(forecast.mean[:, assets], forecast.std[:, assets]),
        {},
    )


def days_of(inference: Inference, days: Tensor) -> Inference:
    """Returns an inference of some of its days."""
    asset, market, codes = inference.state
    state = State(asset[days], market[days], None if codes is None else codes[days])
    return Inference(state, Forecast(*(part[days] for part in inference.forecast)), {})


def check_shapes(encoder: Encoder, window: Window) -> None:
    """States and forecasts have their shapes; forecasts are finite, and states not zero, only for listed assets."""
    B, N = window.mask.shape
    inference = encoder.infer(*inputs(window))
    state, forecast = inference.state, inference.forecast
    assert state.asset.shape[:2] == (B, N)
    assert state.market.shape[:1] == (B,)
    assert inference.tokens == {}, "tokens came unasked for"
    assert forecast.mean.shape == forecast.std.shape == (B, N)
    assert forecast.mean.isfinite().equal(window.mask), "a forecast is finite exactly where the asset is listed"
    assert forecast.std.isfinite().equal(window.mask)
    assert (forecast.std[window.mask] > 0).all()
    assert (state.asset[~window.mask] == 0).all(), "the state of a masked asset is not zero"
    assert state.asset.isfinite().all()
    assert state.market.isfinite().all()
    if state.codes is not None:
        assert state.codes.shape[:2] == (B, N)
        assert (state.codes[~window.mask] == -1).all(), "a masked asset has a code"
        assert (state.codes[window.mask] >= 0).all()


def check_tokens(encoder: Encoder, window: Window) -> None:
    """Tokens come only where asked for, and asking for them changes nothing."""
    plain, rich = encoder.infer(*inputs(window)), encoder.infer(*inputs(window), tokens=True)
    assert_same(plain, rich, "asking for tokens", exact=True)
    for name, tokens in rich.tokens.items():
        assert tokens.shape[0] == len(window.mask), f"tokens {name} are not by day"
        assert tokens.isfinite().all(), f"tokens {name} are not finite"


def check_loss(encoder: Encoder, window: Window) -> None:
    """The loss is the sum of its terms, and codes lie within their codebooks."""
    encoder.train()
    encoding = encoder(window)
    assert encoding.loss.isfinite()
    total = sum(encoding.terms.values())
    torch.testing.assert_close(total, encoding.loss.detach(), rtol=1e-4, atol=1e-5)
    assert not any(term.requires_grad for term in encoding.terms.values())
    assert encoding.forecast.mean.isfinite().equal(window.mask)
    sizes = encoder.codebook_sizes
    assert set(encoding.codes) == set(sizes)
    for name, codes in encoding.codes.items():
        assert int(codes.max()) < sizes[name]


def check_gradients(encoder: Encoder, window: Window) -> None:
    """Every trainable parameter gets a finite gradient that is not all zeros."""
    encoder.train()
    encoder.zero_grad()
    encoder(window).loss.backward()
    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} has no gradient"
            assert parameter.grad.isfinite().all(), f"{name} has a gradient that is not finite"
            assert parameter.grad.any(), f"{name} has a gradient of zeros"


def check_overfits(encoder: Encoder, window: Window, n_steps: int) -> None:
    """The encoder learns one batch by heart."""
    window = window._replace(mask=torch.ones_like(window.mask), forward_return=torch.randn(window.mask.shape) * 0.02)
    losses = train(encoder, window, n_steps, learning_rate=5e-3)
    assert losses[-1] < losses[0], f"the loss of one batch went from {losses[0]} to {losses[-1]}"
    forecast = encoder.eval()(window).forecast.mean
    corr = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(forecast, window.forward_return, strict=True)]
    assert torch.stack(corr).mean() > 0.8, f"one batch is not learnt by heart: correlation {torch.stack(corr).mean()}"


def check_seed(build: Callable[[], Encoder], window: Window) -> None:
    """Two runs of one seed end in the same weights."""

    def run() -> dict[str, Tensor]:
        torch.manual_seed(3)
        encoder = build()
        train(encoder, window, 3)
        return encoder.state_dict()

    one, other = run(), run()
    for name, value in one.items():
        assert value.equal(other[name]), f"two runs of one seed differ in {name}"


def check_masked_values_invisible(encoder: Encoder, window: Window) -> None:
    """Other values of masked assets move neither states nor forecasts nor any term of the loss."""
    encoder.eval()
    masked = ~window.mask
    features = window.features.masked_fill(masked[:, None, :, None], 37.0)
    prices = window.prices.masked_fill(masked[:, None, :, None], -3.0)
    label = window.forward_return.masked_fill(masked, 1.0)
    moved = window._replace(features=features, prices=prices, forward_return=label)
    assert_same(encoder.infer(*inputs(window)), encoder.infer(*inputs(moved)), "a masked asset's values")
    _assert_same_terms(encoder(window), encoder(moved), "a masked asset's values")


def check_masked_equals_removed(encoder: Encoder, window: Window) -> None:
    """An asset that is masked on all days of the batch might as well not be there."""
    encoder.eval()
    window = window._replace(mask=window.mask.index_fill(1, torch.tensor([1, 4]), False))
    kept = torch.tensor([asset for asset in range(window.mask.shape[1]) if asset not in (1, 4)])
    fewer = with_assets(window, kept)
    there = assets_of(encoder.infer(*inputs(window)), kept)
    assert_same(there, encoder.infer(*inputs(fewer)), "a masked asset's existence")
    _assert_same_terms(encoder(window), encoder(fewer), "a masked asset's existence")


def check_masked_invisible_to_training(build: Callable[[], Encoder], window: Window) -> None:
    """Steps of training, with all they initialise and revive, do not see masked assets either."""

    def run(batch: Window) -> dict[str, Tensor]:
        torch.manual_seed(5)
        encoder = build()
        train(encoder, batch, 3)
        return encoder.state_dict()

    moved = window._replace(features=window.features.masked_fill(~window.mask[:, None, :, None], 37.0))
    one, other = run(window), run(moved)
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], rtol=1e-4, atol=1e-5, msg=f"a masked asset's values moved {name}"
        )


def check_other_days_invisible(encoder: Encoder, window: Window) -> None:
    """A day alone, and among other days in another order, has one state."""
    whole = encoder.infer(*inputs(window))
    order = torch.arange(len(window.mask)).flip(0)
    assert_same(days_of(whole, order), encoder.infer(*inputs(select(window, order))), "the order of the batch")
    for day in (0, len(window.mask) - 1):
        only = torch.tensor([day])
        assert_same(days_of(whole, only), encoder.infer(*inputs(select(window, only))), "the rest of the batch")


def check_labels_invisible(encoder: Encoder, window: Window) -> None:
    """Labels reach neither `infer` nor the forecast that comes with the loss."""
    for method in (encoder.infer, encoder.encode, encoder.predict):
        assert set(inspect.signature(method).parameters) <= {"features", "mask", "calendar", "tokens"}
    encoder.eval()
    predicted = encoder.predict(*inputs(window))
    for label in (window.forward_return, torch.randn(window.mask.shape)):
        forecast = encoder(window._replace(forward_return=label)).forecast
        torch.testing.assert_close(forecast.mean, predicted.mean, equal_nan=True, msg="a label moved the forecast")
        torch.testing.assert_close(forecast.std, predicted.std, equal_nan=True, msg="a label moved the forecast")


def check_permutation(encoder: Encoder, window: Window) -> None:
    """Assets in another order have the same states in that order."""
    encoder.eval()
    order = torch.randperm(window.mask.shape[1], generator=torch.Generator().manual_seed(2))
    moved = with_assets(window, order)
    assert_same(assets_of(encoder.infer(*inputs(window)), order), encoder.infer(*inputs(moved)), "the assets' order")
    _assert_same_terms(encoder(window), encoder(moved), "the assets' order")


def check_infer_pure(encoder: Encoder, window: Window) -> None:
    """Two calls agree to the bit, in whatever mode, draw nothing and change nothing."""
    for mode in (True, False):
        encoder.train(mode)
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        drawn = torch.get_rng_state()
        assert_same(encoder.infer(*inputs(window)), encoder.infer(*inputs(window)), "a second call", exact=True)
        assert drawn.equal(torch.get_rng_state()), "infer draws random numbers"
        assert all(part.training == mode for part in encoder.modules()), "infer changes the mode"
        for name, value in encoder.state_dict().items():
            assert value.equal(before[name]), f"infer changes {name}"


def check_evaluation_pure(encoder: Encoder, window: Window) -> None:
    """The loss in evaluation mode changes nothing either."""
    encoder.eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder(window)
    for name, value in encoder.state_dict().items():
        assert value.equal(before[name]), f"evaluating changes {name}"


def check_round_trip(encoder: Encoder, build: Callable[[], Encoder], window: Window) -> None:
    """Weights that went through safetensors give the same states to the bit, and the same next step of training."""
    torch.manual_seed(99)
    twin = build()
    twin.load_state_dict(load(save({name: value.contiguous() for name, value in encoder.state_dict().items()})))
    assert_same(encoder.infer(*inputs(window)), twin.infer(*inputs(window)), "saving and loading", exact=True)
    for each in (encoder, twin):
        torch.manual_seed(7)
        train(each, window, 1)
    for name, value in encoder.state_dict().items():
        assert value.equal(twin.state_dict()[name]), f"the step after loading differs in {name}"


def check_bf16(encoder: Encoder, window: Window) -> None:
    """Losses, gradients and forecasts are finite under bf16 autocast."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inference = encoder.infer(*inputs(window))
        encoder.train()
        encoder.zero_grad()
        loss = encoder(window).loss
    _assert_finite_step(encoder, loss)
    assert inference.forecast.mean.isfinite().equal(window.mask)
    assert inference.state.asset.isfinite().all()


def check_empty_day(encoder: Encoder, window: Window) -> None:
    """A day without listed assets has finite states, and leaves loss and gradients finite."""
    mask = window.mask.index_fill(0, torch.tensor([2]), False)
    window = window._replace(mask=mask, forward_return=window.forward_return.where(mask, torch.nan))
    check_shapes(encoder, window)
    encoder.train()
    encoder.zero_grad()
    _assert_finite_step(encoder, encoder(window).loss)


def _assert_finite_step(encoder: Encoder, loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


def _assert_same_terms(one: Encoding, other: Encoding, what: str) -> None:
    assert set(one.terms) == set(other.terms)
    for name, term in one.terms.items():
        torch.testing.assert_close(term, other.terms[name], rtol=1e-3, atol=1e-5, msg=f"{what} moved the term {name}")
