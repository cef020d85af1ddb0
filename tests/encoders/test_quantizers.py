"""Quantisers against plain loops, and what must never happen to a codebook."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load, save

from encoders.quantizers import (
    EMA,
    FSQ,
    Affine,
    EMAQuantizer,
    Learnable,
    Residual,
    SimVQ,
    dead_codes,
    distances,
    diversity,
    kmeans,
    orthogonality,
    perplexity,
    usage,
)

RESIDUAL = Residual(2, Learnable(codebook_size=4))
CONFIGS = [
    EMA(),
    Learnable(),
    Affine(),
    FSQ((4, 4)),
    RESIDUAL,
    replace(RESIDUAL, quantizer=Affine(codebook_size=4)),
    SimVQ(rotation=False),
]
CODEBOOKS = CONFIGS[:3]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def blobs(n=400, n_centres=16, spread=0.05, dim=8):
    centres = 3.0 * torch.randn(n_centres, dim, generator=torch.Generator().manual_seed(1))
    return centres[torch.arange(n) % n_centres] + spread * torch.randn(n, dim)


def sized(config):
    """Returns the config with 16 codes."""
    return config if isinstance(config, FSQ | Residual) else replace(config, codebook_size=16)


def started(config, tokens=None):
    torch.manual_seed(0)
    quantizer = sized(config).build(8)
    if isinstance(config, Affine):  # a map that has moved already
        quantizer.scale.data.normal_(0.0, 0.1)
        quantizer.shift.data.normal_(0.0, 0.5)
    quantizer(blobs() if tokens is None else tokens)
    return quantizer


def vectors_of(quantizer):
    return quantizer.lookup(torch.arange(16)).detach().clone()


def put_out_of_reach(quantizer):
    quantizer.codebook.data[8:] = 1e3
    if isinstance(quantizer, EMAQuantizer):
        quantizer.total[8:] = 1e3 * quantizer.use[8:, None]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
class TestEvery:
    def test_output_is_the_lookup_of_its_code(self, config):
        for training in (True, False):
            quantizer = started(config).train(training)
            before = vectors_of(quantizer)  # running means move on after the search
            found = quantizer(blobs())
            close(found.quantised, before[found.codes])

    def test_gradient_passes_straight_through(self, config):
        quantizer, tokens = started(config).eval(), blobs().requires_grad_()
        found = quantizer(tokens)
        found.quantised.sum().backward()
        if isinstance(config, FSQ):
            assert tokens.grad.isfinite().all()
            assert tokens.grad.any()
        else:
            assert tokens.grad.equal(torch.ones_like(tokens))

    def test_masked_tokens_are_neither_assigned_nor_counted_nor_seen(self, config):
        tokens, mask = blobs(), torch.arange(400) % 3 > 0
        results = []
        for batch, there in ((tokens[mask], None), (tokens.masked_fill(~mask[:, None], 100.0), mask)):
            torch.manual_seed(0)
            quantizer = sized(config).build(8)
            for _ in range(5):
                found = quantizer(batch, there)
            results.append((found, quantizer.state_dict()))
        (removed, one), (masked, other) = results
        assert masked.codes[mask].equal(removed.codes)
        assert (masked.codes[~mask] == -1).all()
        assert (masked.quantised[~mask] == 0).all()
        assert masked.usage.equal(removed.usage)
        assert int(masked.usage.sum()) == int(mask.sum())
        for name in removed.loss_terms:
            close(masked.loss_terms[name], removed.loss_terms[name])
        for name in one:
            assert one[name].equal(other[name]), name

    def test_nothing_at_all_is_finite_and_moves_nothing(self, config):
        for quantizer in (sized(config).build(8), started(config)):
            before = {name: value.clone() for name, value in quantizer.state_dict().items()}
            found = quantizer(torch.randn(7, 8), torch.zeros(7, dtype=torch.bool))
            assert all(term.isfinite() for term in found.loss_terms.values())
            assert (found.codes == -1).all()
            for name in set(before) & {"codebook", "initialised"}:
                close(quantizer.state_dict()[name], before[name])

    def test_evaluation_draws_and_changes_nothing(self, config):
        quantizer = started(config).eval()
        before, drawn = {n: v.clone() for n, v in quantizer.state_dict().items()}, torch.get_rng_state()
        one, other = quantizer(blobs(16) * 0.1), quantizer(blobs(16) * 0.1)
        torch.set_rng_state(drawn)
        assert one.codes.shape == other.codes.shape
        tokens = blobs(16)
        drawn = torch.get_rng_state()
        assert quantizer(tokens).quantised.equal(quantizer(tokens).quantised)
        assert drawn.equal(torch.get_rng_state())
        assert all(v.equal(before[n]) for n, v in quantizer.state_dict().items())

    def test_resumes_to_the_bit(self, config):
        quantizer, twin = started(config), sized(config).build(8)
        twin.load_state_dict(load(save(quantizer.state_dict())))
        for each in (quantizer, twin):
            torch.manual_seed(4)
            for _ in range(30):
                each(blobs() * 0.3)
        assert all(v.equal(twin.state_dict()[n]) for n, v in quantizer.state_dict().items())

    def test_autocast_does_not_round_the_search(self, config):
        quantizer, tokens = started(config).eval(), torch.randn(500, 8)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = quantizer(tokens)
        assert rounded.codes.equal(quantizer(tokens).codes)


@pytest.mark.parametrize("config", CODEBOOKS, ids=repr)
class TestCodebooks:
    def test_the_nearest_code_is_chosen(self, config):
        quantizer, tokens = started(config).eval(), torch.randn(100, 8)
        distance = (tokens[:, None] - vectors_of(quantizer)[None]).square().sum(-1)
        assert quantizer(tokens).codes.equal(distance.argmin(-1))

    def test_starts_from_the_clusters_of_the_first_batch(self, config):
        found = started(config).eval()(blobs())
        assert usage(found.usage) == 1.0
        random = torch.cdist(blobs(), blobs()[torch.randperm(400)[:16]]).square().min(1).values.mean() / 8
        assert found.loss_terms["commitment"] < 0.25 * random

    def test_dead_codes_come_back_to_life(self, config):
        quantizer = started(config)
        put_out_of_reach(quantizer)
        assert dead_codes(quantizer.eval()(blobs()).usage) >= 8
        quantizer.train()
        for _ in range(150):
            found = quantizer(blobs())
        assert dead_codes(found.usage) <= 2

    def test_without_revival_they_stay_dead(self, config):
        never = {"replace_every": 10**6} if isinstance(config, Affine) else {"dead_share": 0.0}
        quantizer = started(replace(config, **never))
        put_out_of_reach(quantizer)
        for _ in range(150):
            found = quantizer(blobs())
        assert dead_codes(found.usage) >= 8

    def test_fewer_tokens_than_codes_shrink_nothing(self, config):
        quantizer = started(config, blobs(5))
        assert quantizer.codebook.shape == (16, 8)
        assert quantizer.codebook.isfinite().all()
        assert len(torch.unique(quantizer.codebook.detach(), dim=0)) == 16
        for _ in range(200):
            found = quantizer(blobs())
        assert usage(found.usage) > 0.8


def test_ema_follows_a_plain_loop():
    quantizer = started(EMA(decay=0.9, dead_share=0.0))
    use, total = quantizer.use.clone(), quantizer.total.clone()
    for _ in range(3):
        tokens = blobs()
        codes = quantizer(tokens).codes
        for code in range(16):
            chosen = tokens[codes == code]
            use[code] = 0.9 * use[code] + 0.1 * len(chosen)
            total[code] = 0.9 * total[code] + 0.1 * chosen.sum(0)
        close(quantizer.codebook, total / use[:, None])


def test_learnable_codes_descend_to_their_tokens():
    quantizer = started(Learnable(orthogonality=0.0, diversity=0.0))
    clusters = quantizer(blobs()).loss_terms["codebook"].detach()
    quantizer.codebook.data += 0.5 * torch.randn(16, 8)
    assert quantizer(blobs()).loss_terms["codebook"] > clusters + 0.1
    optimizer = torch.optim.SGD(quantizer.parameters(), 2.0)
    for _ in range(300):
        found = quantizer(blobs())
        optimizer.zero_grad()
        sum(found.loss_terms.values()).backward()
        optimizer.step()
    assert found.loss_terms["codebook"] < 1.05 * clusters


def test_loss_terms_by_hand():
    config = Learnable(commitment=0.5, orthogonality=2.0, diversity=3.0, temperature=0.7)
    quantizer, tokens = started(config).eval(), torch.randn(50, 8)
    found, codebook = quantizer(tokens), quantizer.codebook
    error = F.mse_loss(codebook[found.codes], tokens)
    close(found.loss_terms["commitment"], 0.5 * error)
    close(found.loss_terms["codebook"], error)
    unit = codebook / codebook.norm(dim=-1, keepdim=True)
    close(found.loss_terms["orthogonality"], 2.0 * (unit @ unit.T - torch.eye(16)).norm() ** 2 / 16**2)
    soft = (-torch.cdist(tokens, codebook) / 0.7).softmax(-1).mean(0)
    close(found.loss_terms["diversity"], 3.0 * (soft * soft.log()).sum() / math.log(16))


def test_orthogonality_and_diversity_have_their_bounds():
    close(orthogonality(torch.eye(8)), torch.tensor(0.0))
    close(orthogonality(torch.ones(8, 4)), torch.tensor(7 / 8))
    close(diversity(100 * (1 - torch.eye(8)), 1.0), torch.tensor(-1.0))
    close(diversity(100 * (1 - torch.eye(8)[:1]).expand(5, 8), 1.0), torch.tensor(0.0))


def test_distances_are_those_of_torch():
    tokens, codebook = torch.randn(20, 8), torch.randn(5, 8)
    close(distances(tokens, codebook), torch.cdist(tokens, codebook))


@pytest.mark.parametrize("term", ["orthogonality", "diversity"])
def test_both_move_a_learnable_codebook(term):
    quantizer = started(Learnable())
    quantizer(blobs()).loss_terms[term].backward()
    assert quantizer.codebook.grad.any()


def test_kmeans_finds_the_clusters():
    centres = kmeans(blobs(800, 4), 4 * 3)
    assert (torch.cdist(blobs(800, 4), centres).min(1).values < 0.5).float().mean() > 0.7


def test_counts_are_summarised():
    counts = torch.tensor([3, 0, 3, 0, 3, 3])
    assert perplexity(counts) == pytest.approx(4.0)
    assert usage(counts) == pytest.approx(4 / 6)
    assert dead_codes(counts) == 2
    assert perplexity(torch.zeros(4, dtype=torch.long)) == 0.0
    assert perplexity(torch.tensor([7, 0])) == pytest.approx(1.0)


@pytest.mark.parametrize("levels", [(2, 8), ()])
def test_fsq_refuses_levels_that_make_no_grid(levels):
    with pytest.raises(ValueError, match="FSQ: levels are"):
        FSQ(levels)


def test_the_levels_of_fsq_make_the_codebook():
    assert FSQ((8, 8, 6)).codebook_size == 384


def test_ranks_have_equal_codebooks():
    """Every kind, with buffers broadcast and without; one start of two processes serves them all."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name("two_ranks.py"))],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    agreed = [f"{kind} {broadcast}" for kind in ("ema", "learnable", "affine") for broadcast in (True, False)]
    assert done.stdout.split("\n")[:-1] == agreed


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_each_level_takes_up_what_those_before_it_left_over(levels):
    torch.manual_seed(0)
    tokens = torch.randn(600, 8)
    quantizer = Residual(levels, Learnable(codebook_size=8)).build(8)
    quantizer(tokens)
    found = quantizer.eval()(tokens)
    digits = [found.codes // 8 ** (levels - 1 - k) % 8 for k in range(levels)]
    left = tokens
    for level, digit in zip(quantizer.levels, digits, strict=True):
        assert digit.equal(torch.cdist(left, level.codebook).argmin(-1))
        left = left - level.lookup(digit)
    close(left, tokens - found.quantised)


def test_more_levels_leave_less_over():
    torch.manual_seed(0)
    tokens, errors = torch.randn(600, 8), []
    for levels in (1, 2, 3):
        quantizer = Residual(levels, Learnable(codebook_size=8)).build(8)
        quantizer(tokens)
        errors.append(float((quantizer.eval()(tokens).quantised - tokens).square().mean()))
    assert errors[0] > 1.15 * errors[1] > 1.3 * errors[2]


def test_levels_pull_codes_to_what_is_left_over_and_tokens_only_once():
    torch.manual_seed(0)
    tokens = torch.randn(600, 8, requires_grad=True)
    quantizer = Residual(3, Learnable(codebook_size=4)).build(8)
    quantizer(tokens.detach())
    quantizer(tokens).quantised.sum().backward()
    assert tokens.grad.equal(torch.ones_like(tokens))
    found = quantizer(tokens)
    sum(found.loss_terms.values()).backward()
    assert all(level.codebook.grad.any() for level in quantizer.levels)


@pytest.mark.parametrize("config", [replace(RESIDUAL, rotation=True), SimVQ(codebook_size=16)], ids=repr)
def test_a_rotated_gradient_keeps_its_angle_to_the_token(config):
    """What a gradient says along the token it says along the code: turned and scaled, not merely copied."""
    torch.manual_seed(0)
    tokens = torch.randn(300, 8, requires_grad=True)
    quantizer = config.build(8)
    quantizer(tokens.detach())
    found = quantizer.eval()(tokens)
    (gradient,) = torch.autograd.grad((found.quantised * found.quantised.detach()).sum(), tokens)
    along = F.cosine_similarity(gradient, tokens.detach(), dim=-1)
    torch.testing.assert_close(along, torch.ones_like(along), rtol=1e-3, atol=1e-3)


def test_more_codes_than_can_be_counted_are_refused():
    with pytest.raises(ValueError, match="no more than 1048576 codes together"):
        Residual(4, Learnable(codebook_size=64))
