"""The hand-written step equals the plain formula, in values and in every gradient."""

import pytest
import torch

from agents.networks.kernels import ScoredAssets


def plain(per_day, day, own, w_own, w_score):
    spread = per_day if day is None else per_day[day]
    hidden = torch.relu(spread + own @ w_own.T)
    return None if w_score is None else hidden @ w_score.T, hidden.sum(1)


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("days", [True, False])
def test_values_and_gradients_equal_autograd(scored: bool, days: bool) -> None:
    torch.manual_seed(0)
    U, B, N, H = (3 if days else 7), 7, 4, 5
    day = torch.randint(0, U, (B,)) if days else None
    shapes = [(U, N, H), (B, N, 2), (H, 2), (2, H)]
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    results = []
    for function in (ScoredAssets.apply, plain):
        per_day, own, w_own, w_score = inputs
        scores, total = function(per_day, day, own, w_own, w_score if scored else None)
        loss = (total**2).sum() + (0 if scores is None else (scores**3).sum())
        used = inputs if scored else inputs[:3]
        results.append([loss, total, *torch.autograd.grad(loss, used)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_scores_alone_have_gradients() -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(shape, requires_grad=True) for shape in [(3, 4, 5), (3, 4, 1), (5, 1), (1, 5)]]
    per_day, own, w_own, w_score = inputs
    gradients = []
    for function in (ScoredAssets.apply, plain):
        scores, _ = function(per_day, None, own, w_own, w_score)
        gradients.append(torch.autograd.grad((scores**2).sum(), inputs))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
