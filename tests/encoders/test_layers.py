"""Building blocks against plain formulas."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from encoders.common.layers import (
    FeedForward,
    RunningNorm,
    SelfAttention,
    SetPool,
    TimePool,
    Transformer,
    attention,
    masked_mean,
    masked_softmax,
    pack,
    short_attention,
    unpack,
)


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_masked_softmax_is_the_softmax_of_what_is_there():
    score = torch.randn(3, 5)
    mask = torch.tensor([[1, 1, 0, 1, 0]] * 3, dtype=torch.bool)
    weight = masked_softmax(score, mask)
    close(weight[:, mask[0]], score[:, mask[0]].softmax(-1))
    assert (weight[:, ~mask[0]] == 0).all()


def test_masked_softmax_of_nothing_is_zero_and_has_a_finite_gradient():
    score = torch.randn(2, 4, requires_grad=True)
    weight = masked_softmax(score, torch.zeros(2, 4, dtype=torch.bool))
    weight.sum().backward()
    assert (weight == 0).all()
    assert score.grad.isfinite().all()


def test_masked_mean():
    value, mask = (
        torch.tensor([[1.0, 2.0, 40.0], [3.0, 50.0, 60.0]]),
        torch.tensor([[True, True, False], [True] + [False] * 2]),
    )
    assert masked_mean(value, mask) == 2.0
    assert masked_mean(value, torch.zeros_like(mask)) == 0.0


def test_unpack_undoes_pack():
    mask = torch.tensor([[True, False, True], [False, False, False], [False, True, True]])
    value = torch.randn(3, 3, 2, 4)
    there = unpack(pack(value, mask), mask)
    assert there[mask].equal(value[mask])
    assert (there[~mask] == 0).all()


def test_attention_agrees_with_the_module_of_torch():
    ours, theirs = SelfAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.projection.weight)
        theirs.in_proj_bias.copy_(ours.projection.bias)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    x, mask = torch.randn(3, 5, 8), torch.rand(3, 5) > 0.4
    mask[:, 0] = True
    close(ours(x, mask)[mask], theirs(x, x, x, key_padding_mask=~mask)[0][mask])
    close(ours(x), theirs(x, x, x)[0])


def test_short_and_long_sequences_attend_alike():
    query, key, value = torch.randn(3, 4, 2, 6, 8).bfloat16().unbind(0)
    visible = torch.rand(4, 1, 1, 6) > 0.3
    visible[..., 0] = True
    for mask in (visible, None):
        fused = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        torch.testing.assert_close(attention(query, key, value, mask), fused, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_feed_forward_and_its_gradients_are_those_of_plain_layers(dtype):
    ours = FeedForward(8)
    plain = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))
    plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 8)
    results = []
    for layer in (ours, plain):
        inner = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            out = layer(inner)
        out.float().square().sum().backward()
        results.append([out, inner.grad, *(parameter.grad for parameter in layer.parameters())])
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        assert ((one - other).norm() <= tolerance * other.norm()).all()


def test_rows_of_a_transformer_do_not_see_each_other_nor_masked_items():
    transformer, x = Transformer(8, 2, 2, 0.0), torch.randn(3, 5, 8)
    mask = torch.tensor([[True, True, True, False, False]] * 3)
    close(transformer(x, mask)[:, :3], transformer(x[:, :3]))
    close(transformer(x)[1:2], transformer(x[1:2]))


def test_set_pool_is_a_weighted_mean_by_head():
    pool, x = SetPool(8, 3, 2), torch.randn(2, 4, 5, 8)
    mask = torch.tensor([[True, True, False, True, True], [False, True, True, True, False]])
    score = pool.score(x).unflatten(-1, (3, 2)).masked_fill(~mask[:, None, :, None, None], -torch.inf)
    weight = score.softmax(2)  # B L N q h
    values = torch.einsum("blnd,hdk->blnhk", x, pool.value)
    close(pool(x, mask), pool.out((weight[..., None] * values[:, :, :, None]).sum(2).flatten(-2)))


def test_time_pool_weighs_every_sequence_alike():
    pool, x, other = TimePool(4, 3), torch.randn(5, 3, 4), torch.randn(5, 3, 4)
    weight = F.softmax(pool.score(x)[..., 0] + pool.position, -1)
    close(pool(x, other), torch.cat([torch.einsum("rs,rsd->rd", weight, each) for each in (x, other)], -1))


class TestRunningNorm:
    def test_first_batch_becomes_standard_and_masked_tokens_do_not_count(self):
        norm, tokens = RunningNorm(4), 3.0 * torch.randn(50, 4) + 7.0
        mask = torch.arange(50) < 40
        out = norm(torch.where(mask[:, None], tokens, 1e4), mask)[mask]
        close(out.mean(0), torch.zeros(4))
        close(out.std(0, correction=0), torch.ones(4))

    def test_follows_its_tokens_in_training_alone(self):
        norm = RunningNorm(4)
        for _ in range(200):
            norm(5.0 * torch.randn(100, 4) + 1.0)
        before = {name: value.clone() for name, value in norm.state_dict().items()}
        out = norm.eval()(5.0 * torch.randn(5000, 4) + 1.0)
        assert (out.std(0) - 1).abs().max() < 0.1
        assert all(value.equal(before[name]) for name, value in norm.state_dict().items())

    def test_shrinking_tokens_leaves_their_spread(self):
        norm, tokens = RunningNorm(4), torch.randn(1000, 4)
        for scale in torch.logspace(0, -2, 400):
            out = norm(scale * tokens)
        assert (out.std(0) > 0.4).all()


@pytest.mark.parametrize("biased", [False, True])
def test_short_attention_is_a_softmax_and_so_is_its_gradient(biased: bool):
    torch.manual_seed(0)
    visible = torch.ones(5, 5, dtype=torch.bool).tril()
    tensors = [torch.randn(3, 2, 5, 4, dtype=torch.double, requires_grad=True) for _ in range(3)]
    tensors += [torch.randn(2, 5, 5, dtype=torch.double, requires_grad=True)] if biased else []
    task = torch.randn(3, 5, 8, dtype=torch.double)

    def plain(query, key, value, bias=None):
        score = query @ key.mT / 2.0 + (0.0 if bias is None else bias)
        return (score.masked_fill(~visible, -torch.inf).softmax(-1) @ value).transpose(1, 2).flatten(2)

    found = short_attention(*tensors[:3], visible, *tensors[3:])
    expected = plain(*tensors)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)  # the division is in single precision
    gradients = [torch.autograd.grad((each * task).sum(), tensors) for each in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_short_attention_in_half_precision_and_of_steep_scores():
    torch.manual_seed(0)
    visible = torch.ones(21, 21, dtype=torch.bool).tril()
    query, key, value = torch.randn(3, 50, 4, 21, 8)
    exact = short_attention(query, key, value, visible)
    rounded = short_attention(*(each.bfloat16() for each in (query, key, value)), visible)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.03)
    steep = short_attention(1e4 * query, 1e4 * key, value, visible)
    assert steep.isfinite().all()
    close(steep[:, 0], value[:, :, 0].flatten(1))  # the first item sees itself alone
