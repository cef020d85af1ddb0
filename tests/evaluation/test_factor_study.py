"""What a study says of models whose truth is known, and a page that shows it all without a network."""

import copy
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from evaluation.factor_study import measured, portfolio
from evaluation.factors import correlation_distance, correlation_matrix, moments
from evaluation.reports.factors import report, sentences
from tests.browser import browser, opened, undrawn_figures
from tests.evaluation.factor_studies import study


def test_a_model_that_is_right_but_for_order_and_sign_is_right() -> None:
    match = measured(study())["models"]["PCA"]["matching"]
    np.testing.assert_allclose(match["direct"], [-1, -1])
    np.testing.assert_allclose(match["congruence"], [1, 1])
    assert match["found"] == 2


def test_a_model_that_is_turned_is_seen_as_such() -> None:
    match = measured(study())["models"]["VAE"]["matching"]
    np.testing.assert_allclose(np.abs(match["direct"]), np.sqrt(0.5), atol=0.1)
    assert match["found"] == 0
    for key in ("rotated", "regressed", "canonical"):
        np.testing.assert_allclose(match[key], 1.0, atol=0.02)


def test_shares_are_measured_against_the_first_model_on_test_days() -> None:
    models = measured(study())["models"]
    first, other, nothing = (models[name]["reconstruction"] for name in ("PCA", "VAE", "sector VAE"))
    assert 0.5 < first["test"] < 1
    assert first["over_first"] == 0.0
    assert other["over_first"] == pytest.approx(other["test"] - first["test"])
    assert other["over_first"] < 0
    assert nothing["test"] is None
    assert nothing["over_first"] is None
    assert models["PCA"]["explained"]["together"] == pytest.approx(first["test"], abs=0.02)


def test_units_come_from_train_days_alone() -> None:
    one = study()
    moved = one.returns.copy()
    moved[one.parts["test"]] *= 7
    np.testing.assert_array_equal(replace(one, returns=moved).units, one.units)
    moved[one.parts["train"]] *= 7
    np.testing.assert_allclose(replace(one, returns=moved).units[1], 7 * one.units[1])


def test_invented_and_true_days_are_measured_alike() -> None:
    one = study()
    found = measured(one)
    assert found["history"]["test"]["portfolio"] == moments(portfolio(one.returns[one.parts["test"]]))
    simulated = found["models"]["VAE"]["scenarios"]
    assert simulated["portfolio"] == moments(portfolio(one.models[1].drawn))
    assert simulated["n_days"] == 4000
    own, truth = (correlation_matrix(part) for part in (one.models[1].drawn, one.returns[one.parts["train"]]))
    assert simulated["correlation_distance"]["train"] == correlation_distance(own, truth)


def test_a_portfolio_holds_who_is_known() -> None:
    np.testing.assert_array_equal(portfolio(np.array([[1.0, 3.0], [np.nan, 2.0], [np.nan, np.nan]])), [2, 2, np.nan])


@pytest.mark.parametrize("known", [True, False])
def test_metrics_are_json(known: bool) -> None:
    found = measured(study(known))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["known"] is None) != known
    assert (found["models"]["VAE"]["matching"] is None) != known


def test_sentences_follow_from_the_numbers() -> None:
    said = " ".join(sentences(measured(study())))
    assert "PCA finds 2 of 2 known factors" in said
    assert "VAE finds 0 of 2" in said
    assert "it lacks the axes rather than the factors" in said
    strict = measured(replace(study(), threshold=1.01))
    assert "lacks the axes" not in " ".join(sentences(strict)), "turning does not bring it to the threshold"
    assert "sector VAE knows the mean returns of 3 sectors besides" in said
    assert "tails of history" not in said, "a normal history has no tails to miss"
    assert "no model draws the tails of history" in " ".join(sentences(measured(study(fat=True))))


def test_a_mean_over_factors_does_not_hide_a_lost_one() -> None:
    metrics = copy.deepcopy(measured(study()))
    name = list(metrics["models"])[1]
    match = metrics["models"][name]["matching"]
    for basis in ("direct", "rotated", "regressed"):
        match[basis] = [0.99, 0.17]
    match["found"], match["mean"] = 1, 0.58
    said = next(one for one in sentences(metrics) if one.startswith(f"{name} finds"))
    lost = metrics["known"][1]
    assert f"{lost} (at best 0.17) is not there in any basis" in said
    assert "axes" not in said
    match["rotated"] = [0.99, 0.9]
    said = next(one for one in sentences(metrics) if one.startswith(f"{name} finds"))
    assert f"the axes rather than the factors of {lost} (0.90)" in said
    assert "not there" not in said


@pytest.fixture(scope="module", params=[True, False], ids=["known", "unknown"])
def page(request: pytest.FixtureRequest) -> str:
    one = study(request.param)
    return report(one, measured(one))


def test_the_page_loads_nothing_and_escapes_what_came_from_outside(page: str) -> None:
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:)', markup)
    assert page.count("plotly.js v") == 1
    assert "A &lt;study&gt;" in markup
    assert "'<script>'" not in markup
    for words in ("Loadings", "Simulated days", "What factors explain", "Learning", "Data and configuration"):
        assert words in markup
    assert "a sector of one asset gives that asset away" in markup
    assert "What sector VAE is given is not drawn but taken from train days" in markup
    assert ("Known factors, found again" in markup) == ("finds 2 of 2 known factors" in markup)


def test_what_is_not_there_is_not_shown() -> None:
    one = study(False)
    alone = replace(one, models=one.models[:1])
    made = report(alone, measured(alone))
    assert "Learning" not in made
    assert "Known factors" not in made


@pytest.mark.skipif(
    browser() is None, reason="no chromium on this machine: install it to see whether figures are drawn"
)
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_draws_every_figure_without_complaint(page: str, tmp_path, width: int) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    document, complaints = opened(tmp_path / "report.html", tmp_path, width)
    assert complaints == []
    undrawn, count = undrawn_figures(document)
    assert undrawn == []
    assert count == page.count("Plotly.newPlot(") >= 6


def test_eigenvalues_of_planted_factors_stand_out() -> None:
    from evaluation.reports.factor_curves import eigenvalue_shares

    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(2, 10))
    returns = rng.normal(size=(4000, 2)) @ loadings + 0.1 * rng.normal(size=(4000, 10))
    shares = eigenvalue_shares(returns)
    assert shares.sum() == pytest.approx(1.0)
    assert (np.diff(shares) <= 1e-12).all()
    assert shares[:2].sum() > 0.95
    noise = eigenvalue_shares(rng.normal(size=(20_000, 10)))
    np.testing.assert_allclose(noise, 0.1, atol=0.01)


def test_curves_show_what_was_measured() -> None:
    from evaluation.reports.factor_curves import overlays_figure, terms_figure

    one = study()
    terms = terms_figure(one)
    assert terms is not None
    assert {trace.name for trace in terms.data} == {"VAE", "sector VAE"}
    assert list(terms.data[0].y) == pytest.approx([1.0, 0.5, 1 / 3, 0.25], abs=1e-4)
    assert list(terms.data[1].y) == [0.1] * 4
    assert terms_figure(replace(one, models=one.models[:1])) is None
    overlaid = overlays_figure(one)
    assert [trace.name for trace in overlaid.data[:3]] == ["true", "PCA", "VAE"]
    first = one.assets.index(overlaid.layout.annotations[0].text)
    np.testing.assert_allclose(
        np.array(overlaid.data[0].y, dtype=float), one.returns[405 : 405 + 120, first], atol=1e-5
    )
