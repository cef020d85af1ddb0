"""Loss terms against the formulas and the libraries that define them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from encoders.common.losses import (
    LabelScale,
    cross_sectional_ranks,
    gaussian_kl,
    gaussian_nll,
    info_nce,
    listwise_rank_loss,
    price_inconsistency,
    rank_loss,
    rank_terms,
)
from encoders.factor_vae import FactorVAE

KNOWN = torch.tensor([[True, True, True, True, False], [False, True, True, True, True]])


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_nll_is_that_of_a_normal_distribution():
    mean, std, label = torch.randn(2, 5), torch.rand(2, 5) + 0.1, torch.randn(2, 5)
    density = torch.distributions.Normal(mean, std).log_prob(label)[KNOWN].mean()
    close(gaussian_nll(mean, std, label, KNOWN), -density - 0.5 * torch.tensor(2 * np.pi).log().float())


def test_unknown_labels_leave_no_gradient():
    mean, std = torch.randn(2, 5, requires_grad=True), torch.ones(2, 5, requires_grad=True)
    label = torch.randn(2, 5).where(KNOWN, torch.nan)
    (gaussian_nll(mean, std, label, KNOWN) + rank_loss(mean, label, KNOWN)).backward()
    assert mean.grad.isfinite().all()
    assert (mean.grad[~KNOWN] == 0).all()
    assert (std.grad[~KNOWN] == 0).all()


def test_kl_is_that_of_torch():
    one = torch.distributions.Normal(torch.randn(4), torch.rand(4) + 0.1)
    two = torch.distributions.Normal(torch.randn(4), torch.rand(4) + 0.1)
    close(gaussian_kl(one.mean, one.stddev, two.mean, two.stddev), torch.distributions.kl_divergence(one, two))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_ranks_are_average_ranks(values):
    row = torch.tensor([values], dtype=torch.float32)
    ranks = cross_sectional_ranks(row, torch.ones_like(row, dtype=torch.bool))
    np.testing.assert_allclose(ranks[0].numpy() * len(values), rankdata(values) - 0.5, rtol=1e-6)


def test_ranks_are_among_the_known():
    value = torch.tensor([[3.0, 1.0, torch.nan, 2.0]])
    assert cross_sectional_ranks(value, value.isfinite())[0].tolist() == pytest.approx([2.5 / 3, 0.5 / 3, 0, 1.5 / 3])


def test_rank_loss_is_one_minus_the_correlation_with_ranks():
    forecast, label = torch.randn(2, 5), torch.randn(2, 5)
    expected = [
        1 - np.corrcoef(f[k].numpy(), rankdata(y[k].numpy()))[0, 1]
        for f, y, k in zip(forecast, label, KNOWN, strict=True)
    ]
    assert float(rank_loss(forecast, label, KNOWN)) == pytest.approx(np.mean(expected), abs=1e-4)


def test_rank_loss_ignores_scale_and_the_days_that_cannot_be_ranked():
    forecast, label = torch.randn(2, 5), torch.randn(2, 5)
    known = KNOWN.clone()
    known[1] = torch.tensor([True, True, False, False, False])
    close(rank_loss(forecast, label, known), rank_loss(forecast[:1] * 7 + 3, label[:1], known[:1]))
    assert rank_loss(forecast, torch.ones(2, 5), KNOWN) == 0.0
    assert rank_loss(forecast, label, torch.zeros_like(KNOWN)) == 0.0


def test_a_constant_forecast_has_a_finite_gradient():
    forecast = torch.zeros(2, 5, requires_grad=True)
    rank_loss(forecast, torch.randn(2, 5), KNOWN).backward()
    assert forecast.grad.isfinite().all()


def test_possible_bars_are_consistent():
    assert price_inconsistency(torch.tensor([[1.0, 1.2, 0.9, 1.1], [1.0, 1.0, 1.0, 1.0]])).tolist() == [0.0, 0.0]
    broken = torch.tensor([[1.0, 1.05, 0.9, 1.1], [1.0, 1.2, 1.03, 1.1]])
    assert price_inconsistency(broken).tolist() == pytest.approx([0.05, 0.03], abs=1e-6)


def test_contrast_is_least_where_each_day_finds_itself():
    views, everyone = torch.eye(4), torch.ones(4, dtype=torch.bool)
    scale = torch.tensor(10.0)
    right, wrong = info_nce(views, views, everyone, scale), info_nce(views, views.flip(0), everyone, scale)
    assert right < 0.01 < 9 < wrong
    close(info_nce(views, torch.ones(4, 4), everyone, scale), torch.tensor(4.0).log())


def test_contrast_leaves_out_days_that_do_not_count():
    one, other, scale = torch.randn(4, 3), torch.randn(4, 3), torch.tensor(2.0)
    mask = torch.tensor([True, False, True, True])
    close(info_nce(one, other, mask, scale), info_nce(one[mask], other[mask], mask[mask], scale))
    assert info_nce(one, other, torch.zeros_like(mask), scale) == 0.0


class TestLabelScale:
    def test_is_the_mean_and_deviation_of_all_labels_seen(self):
        scale, labels = LabelScale(), 0.02 * torch.randn(10, 6, 5) + 0.001
        known = torch.rand(10, 6, 5) > 0.3
        for label, k in zip(labels, known, strict=True):
            scale.observe(label.where(k, torch.nan), k)
        close(scale.mean.float(), labels[known].mean())
        close(scale.std, labels[known].std(correction=0))

    def test_restores_what_it_makes_standard(self):
        scale, label = LabelScale(), 0.02 * torch.randn(6, 5) + 0.5
        known = torch.ones(6, 5, dtype=torch.bool)
        scale.observe(label, known)
        standard = scale.standard(label, known)
        close(standard.std(correction=0), torch.tensor(1.0))
        mean, std = scale.restore(standard, torch.ones(6, 5))
        close(mean, label)
        close(std, scale.std.expand(6, 5))

    def test_unseen_labels_leave_it_alone(self):
        scale = LabelScale()
        scale.observe(torch.full((2, 2), torch.nan), torch.zeros(2, 2, dtype=torch.bool))
        assert float(scale.std) == 1.0
        assert (scale.standard(torch.full((2, 2), torch.nan), torch.zeros(2, 2, dtype=torch.bool)) == 0).all()

    def test_a_wild_label_is_clipped(self):
        scale, known = LabelScale(), torch.ones(1, 2, dtype=torch.bool)
        assert scale.standard(torch.tensor([[1e6, -1e6]]), known).tolist() == [[5.0, -5.0]]


def test_the_listwise_loss_is_a_divergence_of_shares_by_hand():
    forecast, label = torch.tensor([[0.3, -1.0, 0.5, 9.0]]), torch.tensor([[0.01, -0.02, 0.03, 7.0]])
    known = torch.tensor([[True, True, True, False]])
    target = (torch.tensor([0.5, 1 / 6, 5 / 6]) - 0.5) * 12**0.5  # ranks of three labels, of deviation one
    wanted, found = target.softmax(0), forecast[0, :3].softmax(0)
    expected = (wanted * (wanted / found).log()).sum()
    torch.testing.assert_close(listwise_rank_loss(forecast, label, known), expected)
    perfect = torch.cat([target, torch.zeros(1)])[None] + 5.0  # a shift of the day changes nothing
    assert float(listwise_rank_loss(perfect, label, known)) == pytest.approx(0.0, abs=1e-6)


def test_a_day_with_too_few_labels_has_no_listwise_loss():
    known = torch.tensor([[True, True, False], [True, True, True]])
    forecast, label = torch.randn(2, 3), torch.randn(2, 3)
    alone = listwise_rank_loss(forecast[1:], label[1:], known[1:])
    torch.testing.assert_close(listwise_rank_loss(forecast, label, known), alone)
    assert float(listwise_rank_loss(forecast[:1], label[:1], known[:1])) == 0.0


def test_losses_of_ranks_are_weighted_and_those_without_weight_are_left_out():
    forecast, label, known = torch.randn(2, 5), torch.randn(2, 5), torch.ones(2, 5, dtype=torch.bool)
    assert set(rank_terms(FactorVAE(rank=1.0), forecast, label, known)) == {"rank"}
    terms = rank_terms(FactorVAE(rank=0.5, pairwise=2.0, listwise=3.0), forecast, label, known)
    torch.testing.assert_close(terms["rank"], 0.5 * rank_loss(forecast, label, known))
    torch.testing.assert_close(terms["listwise"], 3.0 * listwise_rank_loss(forecast, label, known))
    for scale in (1.0, 1e-3):  # the pair-wise loss sees ranks: its size is the same for any label
        scaled = rank_terms(FactorVAE(pairwise=2.0), forecast, scale * label, known)
        torch.testing.assert_close(scaled["pairwise"], terms["pairwise"])
