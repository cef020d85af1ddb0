import html
import re
from dataclasses import replace

import numpy as np
import pytest

from envs import Costs
from envs.rules import MarketRules
from evaluation.formats import number, p_value, percent, with_interval
from evaluation.policy_comparison import measured
from evaluation.reports import tables
from evaluation.reports.figures import months_figure
from evaluation.reports.market import market_facts, rule_words
from evaluation.reports.policy import PolicyReport, Section, report
from evaluation.verdict import reach_verdict
from tests.browser import browser, opened, undrawn_figures
from tests.evaluation.comparisons import comparison, evaluated, paper

AUDIT = {"verdict": "passed", "checks": {"future": "passed", "assets": "not applicable"}, "faults": []}


@pytest.fixture(scope="module")
def study() -> PolicyReport:
    played, forecast = comparison(0.0, index=True), evaluated(0.1)
    known = {"audit": "passed", "fit_end": "2017-12-29", "always_listed": True}
    metrics = measured(played) | forecast.metrics() | known
    facts = (("panel", "bundled"), ("fit_end", "2017-12-29"))
    return PolicyReport(
        "A <title>", "a lead", facts, (Section("Stocks", metrics, played, forecast, AUDIT),), "x = '<script>'"
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
    section = study.sections[0]
    found = reach_verdict(section.metrics, "PPO")
    for sentence in (found.summary, *found.sentences):
        assert sentence in page
    for name in (name for name, one in section.metrics["performance"].items() if not one.get("cheats")):
        assert name.replace("_", " ") in page
    for words in ("Audit", "fit_end", "2017-12-29", "codebook", "Calendar years", "Months", "Seeds", "index", "Stocks"):
        assert words in page


def test_a_page_without_forecast_states_or_costs_has_fewer_parts() -> None:
    played = comparison(0.0, n_seeds=1)
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
    assert with_interval(1.0, [0.5, -1.5]) == "1.00, between 0.50 and −1.50 (95 %)"


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


def test_hindsight_stands_apart_from_what_could_be_done(page) -> None:
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    tables = re.findall(r"<table>.*?</table>", markup, flags=re.DOTALL)
    assert tables
    assert not [one for one in tables if "hindsight" in one]
    assert "With hindsight" in markup
    assert "Nobody can" in markup


def test_tables_and_figures_can_be_read_aloud(page) -> None:
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    for one in re.findall(r"<table>.*?</table>", markup, flags=re.DOTALL):
        assert '<th scope="col">' in one
        rows = re.findall(r"<tr[^>]*>(.*?)</tr>", one.partition("</thead>")[2], flags=re.DOTALL)
        assert all(row.startswith('<th scope="row">') for row in rows)
    labels = re.findall(r'<figure role="group" aria-label="Figure. ([^"]+)">', markup)
    assert len(labels) == markup.count('class="plotly-graph-div"')
    assert any(label.startswith("Wealth and drawdown, Stocks: ") for label in labels)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_text_has_the_contrast_that_wcag_asks_for(page) -> None:
    """4.5 to 1 on the paper and on panels, in the light, the dark and the printed theme."""
    themes = re.findall(r":root \{([^}]*)\}", page)
    assert len(themes) == 3
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w+)", theme))
        for text in ("ink", "quiet", "accent", "good", "bad"):
            for ground in ("paper", "panel"):
                one, other = (luminance(_long(colours[name])) for name in (text, ground))
                assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5, (text, ground, theme)


def _long(colour: str) -> str:
    return colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])


def test_words_of_the_facts_break_after_slashes_only(page) -> None:
    assert "overflow-wrap: anywhere" not in page.partition("table.facts")[2].partition("</style>")[0]
    assert "break-inside: avoid" in page
    assert "beforeprint" in page


def test_codes_are_named_by_their_position_in_the_window(page) -> None:
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert "position 1 of 2" in markup
    assert "position 1 for its oldest days" in markup


def test_a_warning_about_in_sample_states_names_its_sections(study) -> None:
    from evaluation.reports.policy import _warnings

    [honest] = study.sections
    seen = honest.metrics | {"in_sample_days": {"train": 250}}
    learnt = [Section(name, seen, honest.comparison) for name in ("Portfolio", "AAPL")]
    assert _warnings([honest]) == []
    [one] = _warnings([honest, *learnt])
    assert one.startswith("Portfolio and AAPL: The encoder had been fitted or chosen on the")
    assert "on the train days on which the agent learnt" in one
    assert _warnings(learnt[:1])[0].startswith("The encoder")


def test_each_section_states_the_limits_of_its_own_market_and_each_run_its_own_terms(study) -> None:
    [one] = study.sections
    listing = {"listing": {"assets": 505, "late": 0, "left": 0}}
    others = Section("Survivors", one.metrics | listing, one.comparison, one.forecast, one.audit)
    facts = (("run", "first"), ("fill", "the next open"), ("run", "second"), ("fill", "the next open"))
    page = report(PolicyReport("t", "l", facts, (one, others)))
    first, second = (page.index(f"<h2>{title}") for title in ("Stocks", "Survivors"))
    sharpe = number(one.metrics["performance"]["PPO"]["sharpe"])
    assert f"Stocks, Sharpe ratios of the test days: PPO {sharpe} (not established), buy and hold" in page[:first]
    assert first < page.index("None of the 505 assets") > second
    assert page.count("None of the 505 assets") == 1
    assert page.count("the next open") == 2, "terms of a run are stated although another has the same"
    parts = ("Wealth and drawdown", "What PPO held", "Months of PPO", "Calendar years", "Seeds of PPO")
    for words in parts:
        places = [found.start() for found in re.finditer(f"<h3>{words}", page)]
        assert len(places) == 2, words
        assert first < places[0] < second < places[1], "each section's charts stand with it"
    assert page.count("<h3>Audit of the states") == 1
    assert "The same states as in Stocks" in page[second:], "shared states are judged once"


def test_a_month_is_written_in_a_colour_that_can_be_read_on_its_cell() -> None:
    returns = np.repeat(np.linspace(-0.02, 0.02, 24), 21)
    figure = months_figure(paper("PPO", returns, dates=np.arange("2019-01-01", "2023-01-01", dtype="datetime64[D]")))
    heat, words = figure.data
    assert heat.texttemplate is None
    scale = [[2 * place - 1, colour] for place, colour in heat.colorscale]
    known = {(x, y): value for y, row in zip(heat.y, heat.z, strict=True) for x, value in zip(heat.x, row, strict=True)}
    assert len(words.text) == np.isfinite(np.asarray(heat.z, dtype=float)).sum() >= 12
    for x, y, colour in zip(words.x, words.y, words.textfont.color, strict=True):
        shade = [np.interp(known[x, y] / heat.zmax, *zip(*part, strict=True)) for part in channels(scale)]
        one, other = luminance(f"#{''.join(f'{round(part):02x}' for part in shade)}"), luminance(colour)
        assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5, (x, y)
    assert {"#000000", "#ffffff"} == set(words.textfont.color)


def channels(scale):
    return [[(place, int(colour[k : k + 2], 16)) for place, colour in scale] for k in (1, 3, 5)]


def test_the_page_leaves_the_colours_of_cells_alone(page) -> None:
    rules = re.findall(r"figure text[^{]*\{[^}]*fill[^}]*!important", page)
    assert len(rules) == 1
    assert rules[0].startswith("figure text:not(.textpoint text)")


@pytest.mark.skipif(
    browser() is None, reason="no chromium on this machine: install it to see whether figures fit a phone"
)
def test_figures_fit_a_phone(page, tmp_path) -> None:
    """A window of chromium is at least 500 wide, so that the page is opened in a frame of 390."""
    reach = (
        "Math.max(...[...inside.querySelectorAll('.main-svg, h2, p')].map(one => one.getBoundingClientRect().right))"
    )
    (tmp_path / "frame.html").write_text(
        f'<body><iframe style="width:390px;height:900px;border:0" srcdoc="{html.escape(page)}"></iframe><script>'
        "const frame = document.querySelector('iframe'); frame.addEventListener('load', () => setTimeout(() => {"
        f"const inside = frame.contentDocument; document.body.dataset.reach = {reach};"
        "document.body.dataset.width = inside.documentElement.scrollWidth}, 3000))</script></body>",
        encoding="utf-8",
    )
    document, _ = opened(tmp_path / "frame.html", tmp_path)
    assert float(re.search(r'data-reach="([\d.]+)"', document).group(1)) <= 390
    assert float(re.search(r'data-width="([\d.]+)"', document).group(1)) <= 390


def test_tiles_show_every_agent_every_reference_and_the_best_of_the_rest(study) -> None:
    from evaluation.reports.policy import _tiles

    [one] = study.sections
    tiles = _tiles(one)
    known = one.metrics["performance"]
    for name in ("PPO", "buy_and_hold", "equal_weight", "index", "momentum"):
        for key, form in (("final_wealth", number), ("sharpe", number), ("annual_return", percent)):
            assert f">{form(known[name][key])}</" in tiles, (name, key)
    assert tiles.count("PPO (money split over 3 seeds)") == 4
    assert "cash" not in tiles


def test_the_test_of_the_whole_table_stands_once_and_not_in_the_rows_of_an_agent(page, study) -> None:
    [one] = study.sections
    found = one.metrics["superior_predictive_ability"]
    words = "One test of the whole table (superior predictive ability, SPA), the same for every agent"
    assert page.count(words) == 1
    for name, test in found.items():
        assert f"p = {p_value(test['consistent'])} against {name.replace('_', ' ')}" in page
    sure = one.metrics | {"superior_predictive_ability": {"index": {"consistent": 0.0}}}
    assert "p < 0.001 against index." in tables.family_words(sure)
    assert "SPA" not in tables.comparison_table(one.metrics, "PPO")


def test_costs_are_said_to_be_paid_and_of_what(page) -> None:
    assert '<th scope="col">costs paid in all, of starting money</th>' in page
    assert "Costs were paid out of the account" in page


def test_each_way_to_join_seeds_has_one_name(study) -> None:
    [one] = study.sections
    joined = replace(
        one.comparison, means={"PPO": one.comparison.agents["PPO"][0].renamed("PPO: committee of 3 seeds")}
    )
    page = report(PolicyReport("t", "l", (), (Section("Stocks", measured(joined), joined),)))
    for words in ("money split over 3 seeds", "PPO: committee of 3 seeds", "mean over 3 seeds"):
        assert words in page
    assert "PPO (money split over 3 seeds) turned 1.00 into" in page
    assert "joined in three ways" in page
    assert "<h2>What was traded, on what terms, against what</h2>" in page
    for words in ("mean of 3 seeds", "mean of seeds", "equal capital"):
        assert words not in page


def test_a_section_begins_with_what_was_traded_on_what_terms_and_against_what(study) -> None:
    [one] = study.sections
    rules = MarketRules("next_open", Costs(fee_rate=1e-3), periods_per_year=252).to_json()
    facts = dict(market_facts(one.metrics | {"market_rules": rules}, replace(one.comparison, rule="momentum")))
    assert facts["traded"] == "2 assets: A, B & <C>"
    assert facts["test days"].startswith("2018-01-01 to 2019-12-30: 521 returns")
    assert facts["agents"] == "PPO, trained 3 times (3 seeds, each with an equal part of the money)"
    assert facts["fill"] == "at the next open"
    assert (
        facts["costs"]
        == "10 basis points of each purchase and of each sale; no spread and no market impact; cash earns nothing"
    )
    for words in ("buy and hold (bought once", "equal weight (equal parts", "index, a published index (price return"):
        assert words in facts["measured against"]
    assert "price limit" not in facts
    largest = percent(max(path.weights[:, 1:].max() for path in one.comparison.agents["PPO"]), 0)
    assert facts["positions"] == f"no agent sold short; the largest holding of a seed's account was {largest} of it"
    limited = dict(market_facts(one.metrics | {"market_rules": rules | {"price_limit": 0.1}}, one.comparison))
    assert limited["price limit"].startswith("10 % a day")
    assert rule_words("top4_drop1_eta0.5") == (
        "holds the 4 assets of the highest forecast, less 0.5 of its standard deviation, and exchanges at most 1 a bar"
    )
    assert rule_words("momentum") is None


def test_an_interval_stands_beside_every_figure_of_return_and_risk(page, study) -> None:
    known = study.sections[0].metrics["performance"]["PPO"]
    forms = dict.fromkeys(("annual_return", "annual_volatility", "max_drawdown"), percent)
    forms |= dict.fromkeys(("sharpe", "calmar", "sortino", "final_wealth"), number)
    for name, form in forms.items():
        cell = form(known[name]) + tables.interval(known[f"{name}_ci"], form)
        assert "<small>" in cell
        assert f">{cell}</td>" in page, name


def test_a_suspect_verdict_is_its_first_line_and_red(page, study) -> None:
    [one] = study.sections
    leak = one.metrics | {"test": one.metrics["test"] | {"suspicious": True}}
    suspect = report(PolicyReport("t", "l", (), (Section("Stocks", leak, one.comparison),)))
    assert '<div class="verdict"><p class="bad"><b>PPO: suspect.</b> This is too good to be believed' in suspect
    assert '<div class="verdict"><p><b>PPO: not established.</b>' in page


def test_a_year_that_is_only_a_part_says_so(study) -> None:
    [one] = study.sections
    metrics = one.metrics | {"per_year": {name: rows[:1] for name, rows in one.metrics["per_year"].items()}}
    assert "(" not in re.search(r"<th[^>]*>(2018[^<]*)<", tables.years_table(metrics)).group(1)
    for rows in metrics["per_year"].values():
        rows[0] = rows[0] | {"n_days": 120}
    assert "2018 (120 days only)" in tables.years_table(metrics)


def test_no_probability_is_written_as_zero() -> None:
    assert p_value(0.0) == p_value(0.0004) == "< 0.001"
    assert p_value(0.04) == "0.040"
    assert p_value(None) == "–"
