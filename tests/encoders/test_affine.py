"""The affine codebook by hand, its dead codes, and the drop-in of another library."""

import importlib
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from encoders.quantizers import Affine, AffineQuantizer, VQTorch
from encoders.quantizers.base import assigned, mean_square, straight_through


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def by_hand() -> AffineQuantizer:
    """Two codes of one number, at 0.5 and 2.0: the map is ``(1 + 2 * 0.25) e + 2 * 0.25``."""
    quantizer = Affine(codebook_size=2, affine_lr=2.0, nu=2.0, beta=0.9, replace_every=1000).build(1)
    assert isinstance(quantizer, AffineQuantizer)
    quantizer.codebook.data.copy_(torch.tensor([[0.0], [1.0]]))
    quantizer.scale.data.fill_(0.25)
    quantizer.shift.data.fill_(0.25)
    quantizer.initialised.fill_(True)
    return quantizer


def test_three_tokens_by_hand() -> None:
    quantizer, tokens = by_hand(), torch.tensor([[0.4], [1.0], [1.8]], requires_grad=True)
    found = quantizer(tokens)
    assert found.codes.tolist() == [0, 0, 1]
    close(found.quantised.detach(), torch.tensor([[0.5], [0.5], [2.0]]))
    error = (0.1**2 + 0.5**2 + 0.2**2) / 3
    close(found.loss_terms["commitment"].detach(), torch.tensor(0.1 * error))
    close(found.loss_terms["codebook"].detach(), torch.tensor(0.9 * error))


def test_the_task_moves_tokens_codes_and_the_map() -> None:
    quantizer, tokens = by_hand(), torch.tensor([[0.4], [1.0], [1.8]], requires_grad=True)
    task = torch.tensor([[1.0], [2.0], [5.0]])
    (quantizer(tokens).quantised * task).sum().backward()
    close(tokens.grad, task)  # straight through
    vectors = 2.0 * torch.tensor([[3.0], [5.0]])  # nu times the gradient of the tokens that chose each code
    close(quantizer.codebook.grad, 1.5 * vectors)
    close(quantizer.scale.grad, torch.tensor([2.0 * 10.0]))  # affine_lr x sum of e x gradient, e is (0, 1)
    close(quantizer.shift.grad, torch.tensor([2.0 * 16.0]))


def test_assignment_is_what_plain_tensors_would_do() -> None:
    torch.manual_seed(0)
    tokens, vectors = torch.randn(30, 4, dtype=torch.double), torch.randn(6, 4, dtype=torch.double)
    leaves = (tokens.requires_grad_(), vectors.requires_grad_())
    codes, task = torch.randint(5, (30,)), torch.randn(30, 4, dtype=torch.double)  # nobody chose the last code
    one = assigned(tokens, vectors, codes, 2.0)
    found = vectors[codes]
    through = straight_through(tokens, found) + 2.0 * (found - found.detach())
    other = (through, mean_square(tokens - found.detach()), mean_square(tokens.detach() - found))
    gradients = []
    for quantised, tokens_apart, codes_apart in (one, other):
        loss = (quantised * task).sum() + 0.3 * tokens_apart + 0.7 * codes_apart
        gradients.append(torch.autograd.grad(loss, leaves))
    for mine, plain in zip((*one, *gradients[0]), (*other, *gradients[1]), strict=True):
        torch.testing.assert_close(mine, plain)
    assert one.quantised.equal(found)
    nothing = assigned(tokens[:0], vectors, codes[:0])
    assert nothing.tokens_apart == 0


def test_without_synchronisation_the_task_leaves_the_codes_alone() -> None:
    quantizer = Affine(codebook_size=8, nu=0.0).build(4)
    quantizer(torch.randn(50, 4).requires_grad_()).quantised.sum().backward()
    assert quantizer.codebook.grad is None or not quantizer.codebook.grad.any()


def test_codes_that_no_token_chose_follow_the_others() -> None:
    quantizer = by_hand()
    quantizer.codebook.data.copy_(torch.tensor([[1.0], [3.0]]))
    optimizer = torch.optim.Adam(quantizer.parameters(), 1e-2)
    before = quantizer.lookup(torch.tensor(1)).detach().clone()
    for _ in range(40):
        found = quantizer(torch.full((5, 1), 1.0))
        assert not found.usage[1]
        optimizer.zero_grad()
        found.loss_terms["codebook"].backward()
        optimizer.step()
    assert quantizer.codebook.grad[1] == 0
    assert quantizer.lookup(torch.tensor(1)) < before - 0.3


def test_dead_codes_are_put_onto_tokens_through_the_map() -> None:
    torch.manual_seed(0)
    quantizer = Affine(codebook_size=16, replace_every=3).build(4)
    tokens = torch.randn(200, 4)
    quantizer(tokens)
    quantizer.scale.data.uniform_(-0.4, 0.4)
    quantizer.shift.data.normal_()
    quantizer.codebook.data[4:] = 1e3
    quantizer.used.zero_()
    for step in range(3):
        assert (quantizer.lookup(torch.arange(4, 16)).abs() > 100).all(), f"replaced after {step} steps"
        quantizer(tokens)
    moved = quantizer.lookup(torch.arange(4, 16)).detach()
    close((moved[:, None] - tokens).abs().amax(-1).amin(1), torch.zeros(12))
    assert len(torch.unique(moved, dim=0)) == 12


def test_a_code_used_once_since_the_last_replacement_is_alive() -> None:
    quantizer = Affine(codebook_size=2, replace_every=4).build(1)
    quantizer(torch.tensor([[0.0], [10.0]] * 5))
    vectors = quantizer.lookup(torch.arange(2)).detach().clone()
    for step in range(8):  # each code is chosen in one step of each four
        quantizer(torch.full((5, 1), 10.0 * (step % 2)))
    close(quantizer.lookup(torch.arange(2)).detach(), vectors)


def test_a_map_that_flattens_everything_is_not_inverted() -> None:
    quantizer = Affine(codebook_size=4).build(2)
    quantizer.scale.data.fill_(-0.5)
    quantizer(torch.randn(50, 2))
    assert quantizer.codebook.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"affine_lr": -1.0}, "affine_lr is -1.0"),
        ({"beta": 1.5}, r"beta is 1.5, expected a share in \[0, 1\]"),
        ({"replace_every": 0}, "replace_every is 0 steps"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Affine(**change)  # type: ignore[arg-type]


def test_vqtorch_is_asked_for_only_when_built(monkeypatch: pytest.MonkeyPatch) -> None:
    config = VQTorch()

    def absent(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match=r"vqtorch cannot be imported .* install requirements-gpu.txt or use"):
        replace(config, codebook_size=16).build(8)


class VectorQuant(nn.Module):
    """Answers as vqtorch does: quantised tokens, and a dictionary of codes and loss."""

    def __init__(self, feature_size: int, num_codes: int, **settings: float) -> None:
        super().__init__()
        self.codebook, self.settings = nn.Embedding(num_codes, feature_size), settings

    def get_codebook(self) -> Tensor:
        return self.codebook.weight

    def forward(self, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        codes = torch.cdist(tokens, self.codebook.weight[None]).argmin(-1)
        found = self.codebook(codes)
        return tokens + (found - tokens).detach(), {"q": codes[..., None], "loss": (found - tokens).square().mean()}


def test_vqtorch_stands_behind_the_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("vqtorch")
    monkeypatch.setattr(library, "nn", SimpleNamespace(VectorQuant=VectorQuant), raising=False)
    monkeypatch.setattr(importlib, "import_module", lambda name: library)
    quantizer, tokens = VQTorch(codebook_size=8, affine_lr=3.0, nu=1.5).build(4), torch.randn(30, 4)
    mask = torch.arange(30) % 2 == 0
    found = quantizer(tokens, mask)
    close(found.quantised[mask], quantizer.lookup(found.codes[mask]))
    assert (found.codes[~mask] == -1).all()
    assert int(found.usage.sum()) == 15
    inner = quantizer.inner
    assert isinstance(inner, VectorQuant)
    assert (inner.settings["affine_lr"], inner.settings["sync_nu"], inner.settings["dim"]) == (3.0, 1.5, -1)
    assert not len(quantizer(tokens, torch.zeros(30, dtype=torch.bool)).quantised[mask].nonzero())
