"""The one expensive step of a portfolio network, written so that it touches memory as little as possible.

A minibatch of B steps over N assets with H hidden numbers is the largest thing a policy computes. Left to autograd the
chain gather, add, rectify, score, sum keeps five arrays of that size; here it keeps one, and its gradient needs one
more.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


class ScoredAssets(torch.autograd.Function):
    """Hidden vectors ``relu(per_day[day] + own @ w_own.T)``, reduced to scores per asset and a sum over assets.

    Equal to the plain formula in values and in the gradients of all floating inputs (tested against autograd).

    Shapes: U distinct days, B steps, N assets, H hidden, I inputs an asset, O scores an asset.
    """

    @staticmethod
    def forward(
        ctx: Any,
        per_day: Float[Tensor, "U N H"],
        day: Int[Tensor, " B"] | None,
        own: Float[Tensor, "B N I"],
        w_own: Float[Tensor, "H I"],
        w_score: Float[Tensor, "O H"] | None,
    ) -> tuple[Float[Tensor, "B N O"] | None, Float[Tensor, "B H"]]:
        """Returns the scores (None without `w_score`) and the sums."""
        hidden = per_day.clone() if day is None else per_day.index_select(0, day)
        hidden.flatten(0, 1).addmm_(own.flatten(0, 1), w_own.t()).relu_()
        ctx.save_for_backward(hidden, own, w_own, w_score, day)
        ctx.n_days = len(per_day)
        return None if w_score is None else hidden @ w_score.t(), hidden.sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_score: Tensor | None, g_sum: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients of the inputs, all through one array of the size of the hidden vectors."""
        hidden, own, w_own, w_score, day = ctx.saved_tensors
        rows = hidden.flatten(0, 1)
        d_score = None
        if w_score is not None and g_score is not None:
            flat = g_score.flatten(0, 1)
            d_score = flat.t() @ rows
            grad = (flat @ w_score).reshape(hidden.shape).add_(g_sum[:, None])
        else:
            grad = g_sum[:, None].expand(hidden.shape).contiguous()
        torch.ops.aten.threshold_backward.grad_input(grad, hidden, 0, grad_input=grad)
        d_w_own = grad.flatten(0, 1).t() @ own.flatten(0, 1)
        d_own = grad @ w_own if ctx.needs_input_grad[2] else None
        d_per_day = grad if day is None else grad.new_zeros(ctx.n_days, *grad.shape[1:]).index_add_(0, day, grad)
        return d_per_day, None, d_own, d_w_own, d_score
