import re

import numpy as np
import pytest

from evaluation.formats import number, percent, with_interval
from evaluation.policy_comparison import measured
from evaluation.reports.policy import PolicyReport, Section, report
from evaluation.verdict import reach_verdict
from tests.browser import browser, opened, undrawn_figures
from tests.evaluation.contests import contest, judged, paper

AUDIT = {"verdict": "passed", "checks": {"future": "passed", "assets": "not applicable"}, "faults": []}


@pytest.fixture(scope="module")
def study() -> PolicyReport:
    played, forecast = contest(0.0, index=True), judged(0.1)
    known = {"audit": "passed", "fit_end": "2017-12-29", "always_listed": True}
    metrics = measured(played) | forecast.metrics() | known
    facts = (("panel", "bundled"), ("fit_end", "2017-12-29"))
    return PolicyReport(
        "A <title>", "a lead", facts, (Section("Stocks", metrics, played),), forecast, AUDIT, "x = '<script>'"
    )


@pytest.fixture(scope="module")
def page(study) -> str:
    return report(study)


def test_the_page_loads_nothing_and_carries_plotly_once(page) -> None:
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:)', markup)
    assert not re.search(r"<script[^>]+src=", page)
    assert "@import" not in markup
    assert page.count("plotly.js v") == 1
    assert 'name="viewport"' in page


def test_what_came_from_outside_is_escaped(page) -> None:
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert "A &lt;title&gt;" in markup
    assert "x = '&lt;script&gt;'" in markup or "x = &#x27;&lt;script&gt;&#x27;" in markup
    assert "<title>A <title>" not in markup


def test_the_page_says_what_the_rules_say_and_shows_every_policy(page, study) -> None:
    chapter = study.chapters[0]
    found = reach_verdict(chapter.metrics, "PPO")
    for sentence in (found.summary, *found.sentences):
        assert sentence in page
    for name in chapter.metrics["performance"]:
        assert name.replace("_", " ") in page
    for words in ("Audit", "fit_end", "2017-12-29", "codebook", "Calendar years", "Months", "Seeds", "index"):
        assert words in page


def test_a_page_without_forecast_states_or_costs_has_fewer_parts() -> None:
    played = contest(0.0, n_seeds=1)
    played = type(played)(played.agents, played.policies)
    made = report(PolicyReport("t", "l", (), (Section("Stocks", measured(played), played),)))
    for words in ("Audit of the states", "codebook", "If trading cost", "Seeds of", "Against the index"):
        assert words not in made


def test_short_positions_are_drawn_as_a_map() -> None:
    from evaluation.reports.figures import weights_figure

    path = paper("long_short", np.zeros(40))
    assert weights_figure(path).data[0].type == "scatter"
    path.weights[3] = [0.5, -0.5, 1.0]
    assert weights_figure(path).data[0].type == "heatmap"


def test_numbers_are_written_alike() -> None:
    assert number(-1.234) == "−1.23"
    assert number(-0.001) == "0.00"
    assert number(1.5e7) == "1.5e+07"
    assert percent(-0.0123) == "−1.2 %"
    assert percent(None) == number(None) == "–"
    assert with_interval(1.0, [0.5, -1.5]) == "1.00 (95 % interval 0.50 to −1.50)"


@pytest.mark.skipif(
    browser() is None, reason="no chromium on this machine: install it to see whether figures are drawn"
)
@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_draws_every_figure_without_complaint(page, tmp_path, width) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    document, complaints = opened(tmp_path / "report.html", tmp_path, width)
    assert complaints == []
    undrawn, count = undrawn_figures(document)
    assert undrawn == []
    assert count == page.count("Plotly.newPlot(") >= 8


@pytest.mark.skipif(
    browser() is None, reason="no chromium on this machine: install it to see whether figures are drawn"
)
def test_the_browser_would_notice_a_figure_that_is_not_drawn(page, tmp_path) -> None:
    broken = page.replace('"figure-3",', '"figure-none",', 1)
    assert broken != page
    (tmp_path / "report.html").write_text(broken, encoding="utf-8")
    document, complaints = opened(tmp_path / "report.html", tmp_path)
    assert complaints
    assert undrawn_figures(document)[0] == ["figure-3"]
