"""The verdict on forty results, each expected by hand, and the rule that no sentence contradicts the row it names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.verdict import limits, reach_verdict

HOLDING = ("buy_and_hold", "equal_weight")


def result(
    against,
    seeds=(1.0, 1.0, 1.0),
    seeds_ci=(0.9, 1.1),
    theirs=0.5,
    deflated=0.99,
    p_value=0.01,
    rule=None,
    **changes,
):
    """What `measured` returns of an agent with paired differences `against`: by reference (difference, low, high)."""
    own = performance(None if None in seeds else sum(seeds) / len(seeds))
    own |= {
        "deflated_sharpe": deflated,
        "n_trials": len(seeds),
        "n_seeds": len(seeds),
        "mean": {"sharpe": own["sharpe"]},
        "ci": {"sharpe": None if seeds_ci is None else list(seeds_ci)},
        "seeds": {f"seed_{k}": {"sharpe": one, "max_drawdown": -0.2} for k, one in enumerate(seeds)},
    }
    metrics = {
        "performance": {"PPO": own, **{name: performance(theirs) for name in against}},
        "comparisons": {
            "PPO": {
                name: {
                    "sharpe": {
                        "difference": None if found is None else found[0],
                        "ci": None if found is None else list(found[1:]),
                    }
                }
                for name, found in against.items()
            }
        },
        "superior_predictive_ability": {name: None if p_value is None else {"consistent": p_value} for name in against},
        "cost_sensitivity": {},
        "per_year": {name: [{"year": 2020, "return": 0.1}] for name in ("PPO", *against)},
        "rule": rule,
        "n_assets": 20,
    }
    return metrics | changes


def performance(sharpe, turnover=0.02, n_days=750):
    return {
        "sharpe": sharpe,
        "sharpe_ci": None if sharpe is None else [sharpe - 0.8, sharpe + 0.8],
        "annual_return": 0.1,
        "max_drawdown": -0.2,
        "final_wealth": 1.3,
        "n_days": n_days,
        "turnover": turnover,
    }


def both(found):
    return dict.fromkeys(HOLDING, found)


WIN, LOSS, TIE = (0.5, 0.2, 0.8), (-0.5, -0.8, -0.2), (0.1, -0.2, 0.4)
SMALL_LOSS, NOTHING = (-0.07, -0.1, -0.05), (0.0, -0.03, 0.03)
WILD = {"turnover": 0.3, "n_days": 750}
CASES = {
    # name: (metrics, word, said, not said)
    "wins against both": (
        result(both(WIN)),
        "supported",
        ("better than buy and hold and equal weight, for the risk taken, with 3 seeds",),
        ("distinguished",),
    ),
    "wins once trained": (
        result(both(WIN), (1.0,), None),
        "suggestive",
        ("but more is needed: it was trained once (one seed)",),
        ("Trained 1", "supports the claim", "survives"),
    ),
    "wins, its own ratio not above zero": (
        result(both(WIN), (0.5, 0.5, 0.5), (0.5, 0.5), theirs=0.0),
        "suggestive",
        ("its own Sharpe ratio of 0.50, between −0.30 and 1.30 (95 %) cannot be distinguished from zero",),
        ("supports the claim", "trained once (one seed)"),
    ),
    "wins, its own ratio without interval": (
        result(both(WIN)) | {},
        "suggestive",
        ("its own Sharpe ratio of 1.00 cannot be distinguished from zero",),
        ("supports the claim",),
    ),
    "wins against an index too": (
        result({**both(WIN), "index": WIN}),
        "supported",
        ("buy and hold, equal weight and index",),
        ("worse",),
    ),
    "wins, not against the index": (
        result({**both(WIN), "index": TIE}),
        "not established",
        ("it cannot be distinguished from index",),
        ("supports",),
    ),
    "wins, loses against the index": (
        result({**both(WIN), "index": LOSS}),
        "not established",
        ("it did worse than index",),
        ("speaks against",),
    ),
    "deflated away": (result(both(WIN), deflated=0.9), "suggestive", ("deflated Sharpe ratio is 0.90",), ("survives",)),
    "deflated unknown": (
        result(both(WIN), deflated=None),
        "suggestive",
        ("deflated Sharpe ratio is –",),
        ("survives",),
    ),
    "deflated at the bound": (result(both(WIN), deflated=0.95), "supported", ("survives",), ("below 0.95",)),
    "luck of the best": (result(both(WIN), p_value=0.2), "suggestive", ("could be luck (p = 0.200)",), ("survives",)),
    "no test": (result(both(WIN), p_value=None), "suggestive", ("could be luck (p = –)",), ("survives",)),
    "at the bound of the test": (result(both(WIN), p_value=0.05), "supported", ("survives",), ("could be luck",)),
    "ties with both": (
        result(both(TIE)),
        "not established",
        ("distinguished from buy and hold and equal weight",),
        ("did better", "worse"),
    ),
    "no difference at all": (
        result(both(NOTHING)),
        "not established",
        ("practically that of buy and hold",),
        ("zero", "worse"),
    ),
    "a loss within the bound": (
        result(both((-0.03, -0.04, -0.01))),
        "not established",
        (
            "its Sharpe ratio was practically that of buy and hold and equal weight",
            "all of it within ±0.05",
            "counts as equal here",
        ),
        ("speaks against", "worse"),
    ),
    "a gain within the bound": (
        result({"buy_and_hold": (0.03, 0.01, 0.04), "equal_weight": WIN}),
        "not established",
        ("practically that of buy and hold and it did better than equal weight",),
        ("better than buy and hold",),
    ),
    "no interval": (result(both(None)), "not established", ("There is no interval",), ("includes zero",)),
    "loses against both": (
        result(both(LOSS)),
        "contradicted",
        ("did worse than buy and hold and equal weight",),
        ("distinguished", "better"),
    ),
    "loses to equal weight alone, holding differs by nothing": (
        result({"buy_and_hold": NOTHING, "equal_weight": SMALL_LOSS}),
        "contradicted",
        ("it did worse than equal weight and its Sharpe ratio was practically that of buy and hold",),
        ("worse than buy and hold", "holding the market was better"),
    ),
    "loses to holding alone": (
        result({"buy_and_hold": LOSS, "equal_weight": TIE}),
        "contradicted",
        ("worse than buy and hold",),
        ("worse than equal weight",),
    ),
    "one win, one loss": (
        result({"buy_and_hold": WIN, "equal_weight": LOSS}),
        "not established",
        ("did worse than equal weight and it did better than buy and hold",),
        ("distinguished",),
    ),
    "one win, one tie": (
        result({"buy_and_hold": WIN, "equal_weight": TIE}),
        "not established",
        ("cannot be distinguished from equal weight and it did better than buy and hold",),
        ("worse",),
    ),
    "interval touches zero from above": (
        result(both((0.3, 0.0, 0.6))),
        "not established",
        ("distinguished",),
        ("did better",),
    ),
    "interval touches zero from below": (
        result(both((-0.3, -0.6, 0.0))),
        "not established",
        ("distinguished",),
        ("worse",),
    ),
    "one asset: one reference": (
        result({"buy_and_hold": WIN}),
        "supported",
        ("better than buy and hold, for the risk taken",),
        ("equal",),
    ),
    "two good seeds are too few": (
        result(both(WIN), (1.0, 1.08), (0.53, 1.55), theirs=0.6),
        "not established",
        ("2 trainings are too few to rely on that, although each did",),
        ("disagree",),
    ),
    "seeds that disagree": (
        result(both(WIN), (0.2, 1.8), (-9.0, 11.0), theirs=0.6),
        "not established",
        ("disagree too much", "1 of 2 did"),
        ("although each did",),
    ),
    "seeds without interval": (
        result(both(WIN), (1.0, 1.2), None),
        "not established",
        ("too few",),
        ("disagree",),
    ),
    "three steady seeds": (
        result(both(WIN), (0.9, 1.0, 1.1), (0.75, 1.25)),
        "supported",
        ("Trained 3 times",),
        ("few",),
    ),
    "the mean of seeds at the reference": (
        result(both(WIN), (1.0, 1.0), (0.5, 1.5)),
        "not established",
        ("too few",),
        ("supports",),
    ),
    "wins against the market, loses to its rule": (
        result({**both(WIN), "top4_drop1": LOSS}, rule="top4_drop1"),
        "supported",
        ("did worse than top4 drop1 for the risk taken",),
        ("better than top4",),
    ),
    "ties with the market, beats its rule": (
        result({**both(TIE), "top4_drop1": WIN}, rule="top4_drop1"),
        "not established",
        ("did better than top4 drop1 for the risk taken",),
        ("supports",),
    ),
    "too good for its turnover": (
        result(both(WIN), (5.8, 5.8), (5.7, 5.9)),
        "suspect",
        ("too good to be believed", "its Sharpe ratio is 5.80"),
        ("supports",),
    ),
    "too good even for much turnover": (
        result(both(WIN), (9.0,), None) | {"n_assets": 5},
        "suspect",
        ("look for a leak",),
        ("supports",),
    ),
    "high, but not for a wide universe": (
        result(both(WIN), (3.5, 3.5), (3.4, 3.6)) | {"n_assets": 500},
        "supported",
        ("supports",),
        ("believed",),
    ),
    "prices that cannot be": (
        result(both(TIE), theirs=8.0),
        "suspect",
        ("buy and hold has a Sharpe ratio of 8.00",),
        ("not established",),
    ),
    "a forecast that is too steady": (
        result(both(WIN)) | {"test": {"suspicious": True, "rank_icir": 9.0, "n_assets": 20}},
        "suspect",
        ("steadier than chance allows (rank ICIR 9.00 with 20 assets)",),
        ("supports",),
    ),
    "a steady forecast, a losing agent": (
        result(both(LOSS)) | {"test": {"suspicious": True, "rank_icir": 9.0, "n_assets": 20}},
        "suspect",
        ("too good to be believed",),
        ("speaks against",),
    ),
    "an honest forecast changes nothing": (
        result(both(TIE)) | {"test": {"suspicious": False, "rank_icir": 0.3, "n_assets": 20}},
        "not established",
        ("cannot be distinguished",),
        ("believed",),
    ),
    "an agent in cash": (
        result(both(None), (None, None), None),
        "not established",
        ("never traded in 2",),
        ("did better", "did worse"),
    ),
    "one seed in cash": (
        result(both(TIE), (0.5, 0.5), (0.5, 0.5)),
        "not established",
        ("Trained 2 times",),
        ("never traded",),
    ),
    "luck of many trials is said": (
        result(both(TIE), deflated=0.2),
        "not established",
        ("has probability 0.20",),
        ("survives",),
    ),
    "a loss is not called luck": (result(both(LOSS), p_value=0.9), "contradicted", ("did worse",), ("could be luck",)),
    "a small loss excludes zero": (result(both(SMALL_LOSS)), "contradicted", ("−0.07", "excludes zero"), ("includes",)),
}


def text_of(metrics):
    found = reach_verdict(metrics, "PPO")
    return found, " ".join((found.summary, *found.sentences))


CASES["wins, its own ratio without interval"][0]["performance"]["PPO"]["sharpe_ci"] = None
# An agent that never traded has no mean of Sharpe ratios.
CASES["an agent in cash"][0]["performance"]["PPO"]["mean"] = {"sharpe": None}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_what_a_person_would_say(name) -> None:
    metrics, word, said, unsaid = CASES[name]
    found, text = text_of(metrics)
    assert found.word == word
    for words in said:
        assert words.lower() in text.lower()
    for words in unsaid:
        assert words.lower() not in text.lower()


def test_there_are_forty_cases() -> None:
    assert len(CASES) >= 40


number = st.floats(-2, 2).map(lambda value: round(value, 3))
interval = st.one_of(
    st.none(), st.tuples(number, number, number).map(sorted).map(lambda three: (three[1], three[0], three[2]))
)
names = st.sampled_from(["buy_and_hold", "equal_weight", "index", "top4_drop1"])


@given(
    against=st.dictionaries(names, interval, min_size=1),
    seeds=st.lists(number, min_size=1, max_size=4),
    width=st.floats(0, 3),
    theirs=number,
    deflated=st.floats(0, 1),
    p_value=st.one_of(st.none(), st.floats(0, 1)),
)
def test_no_sentence_contradicts_the_row_it_names(against, seeds, width, theirs, deflated, p_value) -> None:
    mean = sum(seeds) / len(seeds)
    spread = None if len(seeds) == 1 else (mean - width, mean + width)
    metrics = result(against, tuple(seeds), spread, theirs, deflated, p_value, rule="top4_drop1")
    found = reach_verdict(metrics, "PPO")
    rows = {f"against {name.replace('_', ' ')}": one for name, one in against.items()}
    for one in found.statements:
        if one.row in rows:
            agrees_with(one.text, rows[one.row])
    for name, one in against.items():
        words = name.replace("_", " ")
        if f"did worse than {words}" in found.summary:
            assert (one or WIN)[2] < 0
        if f"better than {words}" in found.summary and found.word in ("supported", "suggestive"):
            assert (one or LOSS)[1] > 0
        if name != "top4_drop1" and found.word != "suspect":
            assert words in found.summary, "every reference has its part in the summary"
    if found.word == "supported":
        assert len(seeds) > 1
        assert mean - 0.8 > 0
        assert deflated >= 0.95
        assert p_value is not None
        assert p_value <= 0.05
        assert all(one[1] > 0 for name, one in against.items() if name != "top4_drop1")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] != "suspect"])
def test_word_and_summary_cite_the_rows_they_were_read_from(name) -> None:
    metrics = CASES[name][0]
    held = [one for one in metrics["comparisons"]["PPO"] if one != metrics["rule"]]
    assert reach_verdict(metrics, "PPO").rows == tuple(f"against {one.replace('_', ' ')}" for one in held)


def test_an_agent_that_stopped_trading_is_named_one() -> None:
    metrics = result(both(TIE))
    own = metrics["performance"]["PPO"]
    for pause, turnover, said in ((20, 0.1, False), (58, 0.1, True), (58, 0.0005, False)):
        own |= {"longest_pause_days": pause, "turnover": turnover, "n_days": 326}
        assert ("It stopped trading for up to 58 of 326 days in a row" in text_of(metrics)[1]) == said
    own |= {"turnover": 0.5}
    assert "less than 1.00 % of the account (on average 50.0 %)" in text_of(metrics)[1]


def test_a_ranking_of_many_says_little_of_one() -> None:
    forecast = {"rank_ic": 0.05, "rank_ic_ci": [0.01, 0.09], "n_assets": 20.0}
    for traded, said in ((20, False), (1, True)):
        text = " ".join(limits(result(both(TIE)) | {"test": forecast, "n_assets": traded}))
        assert ("over 20 assets, which says little of the timing of one" in text) == said


def test_policies_that_did_better_are_named_and_counted() -> None:
    metrics = result(both(TIE), (0.7, 0.8), (0.6, 0.9), theirs=0.5)
    none_ahead = (
        "Of the 2 other policies in its table that are not the agent, none had a higher Sharpe ratio than "
        "its 0.75; none had a higher return"
    )
    assert none_ahead in text_of(metrics)[1]
    known = metrics["performance"]
    known["momentum"] = performance(0.84) | {"annual_return": 0.234}
    known["risk_parity"] = performance(0.87) | {"annual_return": 0.05}
    known["cash"] = performance(None)
    known["PPO: committee of 2 seeds"] = performance(2.0)
    known["hindsight"] = performance(30.0) | {"cheats": True}
    text = text_of(metrics)[1]
    assert (
        "Of the 4 other policies in its table that are not the agent, 2 had a higher Sharpe ratio than its 0.75" in text
    )
    assert "(risk parity 0.87, momentum 0.84)" in text
    assert "1 had a higher return a year than its 10.0 % (momentum 23.4 %)" in text
    assert "none had a smaller deepest loss than its 20.0 %" in text
    assert "hindsight" not in text
    assert "committee" not in text
    for k in range(4):
        known[f"rule_{k}"] = performance(1.0 + k) | {"max_drawdown": -0.1}
    assert (
        "6 had a higher Sharpe ratio than its 0.75 (rule 3 4.00, rule 2 3.00, rule 1 2.00, and 3 more)"
        in text_of(metrics)[1]
    )
    assert "4 had a smaller deepest loss than its 20.0 % (rule 0 10.0 %" in text_of(metrics)[1]


def test_what_was_counted_as_trained_is_listed_and_adds_up() -> None:
    metrics = result(both(TIE)) | {"trials": {"runs": {"encoder storm": 1, "run old": 2}}}
    text = " ".join(limits(metrics))
    assert (
        "The corrections for luck count 6 training runs: 3 seeds of PPO, shown here, and 3 others that looked at"
        in text
    )
    assert "encoder storm, run old (2 trainings)" in text
    many = {f"run {k}": 1 for k in range(20)}
    assert "run 11, 8 more" in " ".join(limits(result(both(TIE)) | {"trials": {"runs": many}}))
    alone = " ".join(limits(result(both(TIE)) | {"trials": {"runs": {}}}))
    assert "count 3 training runs: 3 seeds of PPO, shown here." in alone


def test_a_simulated_market_has_no_survivors() -> None:
    listing = {"listing": {"assets": 30, "late": 0, "left": 0}}
    assert "survivors" in " ".join(limits(result(both(TIE)) | listing))
    known = {"known_optimum": {"growth": 1.0, "shares": {}}}
    assert "survivors" not in " ".join(limits(result(both(TIE)) | listing | known))


def agrees_with(text, row) -> None:
    if row is None:
        assert "no interval" in text
        return
    _, low, high = row
    if "did better" in text:
        assert low > 0
    if "did worse" in text:
        assert high < 0
    if "distinguished" in text or "includes zero" in text:
        assert low <= 0 <= high
    if "excludes zero" in text:
        assert low > 0 or high < 0
    if "practically" in text:
        assert -0.05 < low <= high < 0.05


@pytest.mark.parametrize(
    ("known", "said", "unsaid"),
    [
        (
            {"listing": {"assets": 505, "late": 29, "left": 0}},
            "None of the 505 assets of the data leaves",
            "none joins",
        ),
        ({"listing": {"assets": 347, "late": 0, "left": 0}}, "and none joins later", "though"),
        ({"listing": {"assets": 347, "late": 3, "left": 2}}, "", "survivors"),
        ({"listing": {"assets": 1, "late": 0, "left": 0}}, "", "survivors"),
        ({"index_return": "price"}, "leaves out dividends", "total"),
        ({"index_return": "total"}, "", "dividends"),
        ({"looks": 1}, "evaluated for the first time", "weakens"),
        ({"looks": 4}, "evaluated 4 times on this market", "5 times"),
        ({"departures": ["price_limit None, where the states had 0.1"]}, "other terms than recorded", "same terms"),
    ],
)
def test_the_limits_of_the_data_are_said_where_they_hold(known, said, unsaid) -> None:
    text = " ".join(limits(result(both(TIE)) | known))
    assert said in text
    assert unsaid not in text


def test_a_price_index_is_answered_without_dividends_too() -> None:
    metrics = result({**both(TIE), "index": WIN}) | {"index_return": "price"}
    assert "to take them off are missing" in " ".join(limits(metrics))
    assert "Without the dividends" not in text_of(metrics)[1]
    metrics["comparisons"]["PPO"]["index"]["price_return"] = {"difference": -0.2, "ci": [-0.3, -0.1]}
    assert "the row 'prices alone' takes them off" in " ".join(limits(metrics))
    assert (
        "which the price index leaves out too, it did worse than index: difference of Sharpe ratios −0.20"
        in (text_of(metrics)[1])
    )


def test_an_audit_is_not_praised_beside_a_forecast_that_cannot_be() -> None:
    metrics = result(both(WIN)) | {"audit": "passed", "fit_end": "2020-01-01"}
    assert "passed the audit" in " ".join(limits(metrics))
    too_steady = {"suspicious": True, "rank_ic": 0.99, "rank_ic_ci": [0.98, 1.0], "rank_icir": 90.0, "n_assets": 9}
    text = " ".join(limits(metrics | {"test": too_steady}))
    assert "passed the audit" not in text
    assert "too steady to be believed" in text


def test_equal_ratios_of_an_account_in_cash_are_no_merit() -> None:
    metrics = result(both(NOTHING))
    assert "invested" not in text_of(metrics)[1]
    metrics["performance"]["PPO"]["exposure"] = 0.5
    assert "it was invested at 50 % on average, and half of a portfolio beside half in cash" in text_of(metrics)[1]


def test_costs_are_compared_with_the_rule_too() -> None:
    sharpes = {"PPO": (2.0, 0.9), "buy_and_hold": (0.1, 0.1), "equal_weight": (0.0, 0.0), "top4_drop1": (1.7, 1.1)}
    table = {name: {"0": {"sharpe": one}, "20": {"sharpe": two}} for name, (one, two) in sharpes.items()}
    text = text_of(result({**both(TIE), "top4_drop1": TIE}, rule="top4_drop1") | {"cost_sensitivity": table})[1]
    assert (
        "above that of buy and hold at every cost tried, up to 20 basis points, above that of equal weight at every"
        in text
    )
    assert "top4 drop1 only at costs of 0 basis points" in text
