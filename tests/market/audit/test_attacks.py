"""Features that see the future, or cannot be shown not to: each is caught by the name of its column, and on its day."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from market.arrays import AnyFloatArray
from market.audit import AuditResult, External, Scrutiny, audit_columns, audit_features
from market.audit import Columns as Named
from market.panel import BARS, Panel

DAYS, ASSETS = 700, 12
LIGHT = Scrutiny(cuts=3, cells=3e6)  # too little for an exact cut after each of the days
ONE_DAY = 333  # of all days


def market(seed: int = 0, days: int = DAYS, assets: int = ASSETS) -> Panel:
    """Returns bars of several years with a few halts, missing bars and late listings."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, assets)), axis=0))
    opened = close * np.exp(rng.normal(0, 0.005, close.shape))
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
    values = np.stack([opened, high, low, close, np.exp(rng.normal(14, 0.5, close.shape))], axis=-1)
    listed = np.ones((days, assets), bool)
    listed[: days // 4, -1] = False
    halted = rng.random(close.shape) < 0.0005
    values[halted, 4] = 0.0
    dates = np.array(pd.bdate_range("2014-01-01", periods=days), dtype="datetime64[D]")
    names = tuple(f"S{n}" for n in range(assets))
    return Panel(dates, names, BARS, values, listed, listed & ~halted)


def returns(panel: Panel) -> AnyFloatArray:
    """Returns each close over the one before, less one; NaN on unlisted days."""
    close = np.where(panel.listed, panel["close"], np.nan)
    with np.errstate(all="ignore"):
        moves = close / np.vstack([np.full((1, close.shape[1]), np.nan), close[:-1]]) - 1
    return moves


def ahead(values: AnyFloatArray, days: int = 1) -> AnyFloatArray:
    """Returns the values of `days` later, NaN at the end."""
    return np.vstack([values[days:], np.full((days, values.shape[1]), np.nan)])


Maker = Callable[[Panel], AnyFloatArray]


@dataclass(frozen=True)
class Columns:
    """Features that any functions of a panel make, beside an honest one."""

    suspicious: Maker
    external: tuple[External, ...] = ()
    levels: tuple[str, ...] = ()

    def compute(self, panel: Panel) -> Panel:
        honest = pd.DataFrame(np.nan_to_num(returns(panel))).rolling(5, min_periods=1).mean().to_numpy()
        values = np.stack([honest, self.suspicious(panel)], axis=-1).astype(np.float32)
        return replace(panel, fields=("HONEST", "SUSPICIOUS"), values=values)


def verdict(maker: Maker, panel: Panel | None = None, settings: Scrutiny = LIGHT, **declared: object) -> AuditResult:
    return audit_features(Columns(maker, **declared), market() if panel is None else panel, settings)  # type: ignore[arg-type]


def frame(panel: Panel, name: str = "close") -> pd.DataFrame:
    """Returns a field with NaN on days without trading."""
    return pd.DataFrame(np.where(panel.tradable, panel[name], np.nan))


def centred(panel: Panel) -> AnyFloatArray:
    return pd.DataFrame(returns(panel)).rolling(5, center=True, min_periods=1).mean().to_numpy()


def back_filled(panel: Panel) -> AnyFloatArray:
    return frame(panel).bfill().pct_change(fill_method=None).to_numpy()


def interpolated(panel: Panel) -> AnyFloatArray:
    return frame(panel).interpolate(limit_area="inside").pct_change(fill_method=None).to_numpy()


def restated_at_the_end_of_the_year(panel: Panel) -> AnyFloatArray:
    moves, years = np.nan_to_num(returns(panel)), panel.dates.astype("datetime64[Y]")
    last = np.append(years[1:] != years[:-1], False)
    return np.where(last[:, None], np.nan_to_num(ahead(moves)), moves)


def close_of_the_year(panel: Panel) -> AnyFloatArray:
    years = pd.Series(panel.dates.astype("datetime64[Y]").astype(int))
    last = frame(panel).ffill().bfill().groupby(years.to_numpy()).transform("last").to_numpy()
    return last / frame(panel).ffill().bfill().to_numpy() - 1


def scored_on_the_whole_sample(panel: Panel) -> AnyFloatArray:
    moves = returns(panel)
    return (moves - np.nanmean(moves)) / np.nanstd(moves)


def ranked_in_the_universe_of_tomorrow(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    staying = np.vstack([panel.listed[1:], panel.listed[-1:]])
    return pd.DataFrame(np.where(staying, moves, np.nan)).rank(axis=1, pct=True).to_numpy()


def halted_tomorrow(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    return np.where(np.vstack([panel.tradable[1:], panel.tradable[-1:]]), moves, 0.0)


def limit_of_tomorrow(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    later = np.nan_to_num(ahead(moves))
    return np.where(np.abs(later) > 0.0999, later, moves)


def tomorrow_on_one_day(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    the_day = panel.dates == market().dates[ONE_DAY]
    return np.where(the_day[:, None], np.nan_to_num(ahead(moves)), moves)


def one_month_ahead_on_one_day(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    the_day = panel.dates == market().dates[ONE_DAY]
    return np.where(the_day[:, None], np.nan_to_num(ahead(moves, 21)), moves)


def silent_tomorrow(panel: Panel) -> AnyFloatArray:
    quiet = np.vstack([panel["volume"][1:], panel["volume"][-1:]]) == 0
    return np.where(quiet, 1.0, np.nan_to_num(returns(panel)))


def delisted_soon(panel: Panel) -> AnyFloatArray:
    stays = np.all([np.vstack([panel.listed[k:], np.repeat(panel.listed[-1:], k, 0)]) for k in range(1, 30)], axis=0)
    return np.where(stays, np.nan_to_num(returns(panel)), 0.0)


def split_tomorrow(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    later = np.nan_to_num(ahead(moves))
    return np.where(np.abs(np.log1p(later)) > 1.5, later, moves)


def measured_against_survivors(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    return moves - moves[:, panel.listed[-1]].mean(axis=1, keepdims=True)


def days_until_it_is_listed(panel: Panel) -> AnyFloatArray:
    wait = np.maximum(panel.listed.argmax(axis=0) - np.arange(len(panel))[:, None], 0)
    return np.nan_to_num(returns(panel)) + wait / 500


def encoded_by_what_followed(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    later, up = np.nan_to_num(ahead(moves)), moves > 0
    return np.where(up, later[up].mean(), later[~up].mean()) + moves


def smoothed_in_both_directions(panel: Panel) -> AnyFloatArray:
    frequencies = np.fft.rfft(np.nan_to_num(returns(panel)), axis=0)
    frequencies[40:] = 0
    return np.fft.irfft(frequencies, len(panel), axis=0)


def joined_by_month(panel: Panel) -> AnyFloatArray:
    months = panel.dates.astype("datetime64[M]").astype(int)
    return pd.DataFrame(np.nan_to_num(returns(panel))).groupby(months).transform("mean").to_numpy()


def loaded_on_the_whole_sample(panel: Panel) -> AnyFloatArray:
    moves = np.nan_to_num(returns(panel))
    loadings = np.linalg.svd(moves - moves.mean(axis=0), full_matrices=False)[2][0]
    return moves + (moves @ loadings)[:, None] * np.sign(loadings.sum())


LEAKS = (
    measured_against_survivors,
    days_until_it_is_listed,
    encoded_by_what_followed,
    smoothed_in_both_directions,
    joined_by_month,
    loaded_on_the_whole_sample,
    centred,
    back_filled,
    interpolated,
    restated_at_the_end_of_the_year,
    close_of_the_year,
    scored_on_the_whole_sample,
    ranked_in_the_universe_of_tomorrow,
    halted_tomorrow,
    limit_of_tomorrow,
    tomorrow_on_one_day,
    one_month_ahead_on_one_day,
    silent_tomorrow,
    delisted_soon,
    split_tomorrow,
)


@pytest.mark.parametrize("maker", LEAKS, ids=lambda maker: maker.__name__)
def test_a_leak_is_caught_by_name_and_day(maker: Maker) -> None:
    found = verdict(maker)
    assert not found.passed
    lines = [line for line in found.faults if line.startswith(("future: SUSPICIOUS", "every day: SUSPICIOUS"))]
    assert lines
    assert "20" in lines[0]
    assert not any("HONEST" in line for line in found.faults)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("maker", [back_filled, interpolated, restated_at_the_end_of_the_year, tomorrow_on_one_day])
def test_rare_leaks_are_caught_whatever_the_seed(maker: Maker, seed: int) -> None:
    assert not verdict(maker, market(seed + 1), replace(LIGHT, seed=seed)).passed


def test_the_day_of_a_leak_is_named() -> None:
    found = verdict(tomorrow_on_one_day)
    assert any(str(market().dates[ONE_DAY]) in line for line in found.faults), found.faults


def test_a_leak_in_a_single_cell_is_caught() -> None:
    def maker(panel: Panel) -> AnyFloatArray:
        moves = np.nan_to_num(returns(panel))
        cell = (panel.dates == market().dates[ONE_DAY])[:, None] & (np.array(panel.assets) == "S7")
        return np.where(cell, np.nan_to_num(ahead(moves)), moves)

    assert any("every day: SUSPICIOUS" in line and "of S7" in line for line in verdict(maker).faults)


# --- what cannot be seen to look ------------------------------------------------------------------------------------


def test_a_memoised_leak_is_caught() -> None:
    kept = ahead(np.nan_to_num(returns(market())))
    found = verdict(lambda panel: kept[: len(panel), : len(panel.assets)])
    assert any("SUSPICIOUS does not recompute from the panel" in line for line in found.faults)


def test_a_table_by_date_and_symbol_is_caught() -> None:
    whole = market()
    table = pd.DataFrame(ahead(np.nan_to_num(returns(whole))), index=whole.dates, columns=whole.assets)
    found = verdict(lambda panel: table.reindex(index=panel.dates, columns=panel.assets).to_numpy())
    assert any("SUSPICIOUS does not recompute from the panel" in line for line in found.faults)
    strict = verdict(lambda panel: table.loc[panel.dates, list(panel.assets)].to_numpy())
    assert any("does not recompute from the panel" in line for line in strict.faults)


def test_a_table_mixed_with_something_honest_is_caught() -> None:
    whole = market()
    table = pd.DataFrame(ahead(np.nan_to_num(returns(whole))), index=whole.dates, columns=whole.assets)

    def maker(panel: Panel) -> AnyFloatArray:
        kept = table.reindex(index=panel.dates, columns=panel.assets).fillna(0.0).to_numpy()
        return np.nan_to_num(returns(panel)) + kept

    assert any("SUSPICIOUS does not recompute from the panel" in line for line in verdict(maker).faults)


def test_what_does_not_follow_the_panel_is_named_with_its_first_day() -> None:
    kept = np.where(market().dates[:, None] >= market().dates[ONE_DAY], ahead(np.nan_to_num(returns(market()))), 0.0)
    moves = [
        lambda panel: np.nan_to_num(returns(panel)) + kept[: len(panel), : len(panel.assets)],  # held by position
        lambda panel: kept[: len(panel), : len(panel.assets)],  # memoised
    ]
    for maker in moves:
        lines = [line for line in verdict(maker).faults if line.startswith("controls: SUSPICIOUS does not recompute")]
        assert f"first on {market().dates[ONE_DAY]} of S" in lines[0], lines


def test_what_depends_on_the_first_day_is_named_with_its_first_day() -> None:
    def maker(panel: Panel) -> AnyFloatArray:
        late = np.arange(len(panel)) - len(panel) >= ONE_DAY - DAYS
        return np.nan_to_num(returns(panel)) + np.where(late, 1e-3 * len(panel), 0.0)[:, None]

    lines = [line for line in verdict(maker).faults if line.startswith("controls: SUSPICIOUS does not recompute")]
    assert f"first on {market().dates[ONE_DAY]} of S0" in lines[0]


def test_checks_say_which_columns_failed_before_them() -> None:
    found = verdict(centred)
    words = "passed, without SUSPICIOUS that failed before"
    assert (found.checks["future"], found.checks["controls"], found.checks["every day"]) == ("failed", words, words)
    kept = ahead(np.nan_to_num(returns(market())))
    found = verdict(lambda panel: kept[: len(panel), : len(panel.assets)])
    assert (found.checks["controls"], found.checks["every day"]) == ("failed", words)


def test_a_check_says_that_no_column_was_left_to_ask() -> None:
    only = audit_columns(lambda panel: [Named(centred(panel)[..., None], ("SUSPICIOUS",))], market(), LIGHT)
    assert only.checks["every day"] == "not reached: every column failed before"
    long = audit_columns(lambda panel: [Named(since_the_beginning(panel)[..., None], ("LONG",))], market(), LIGHT)
    assert long.checks["every day"].startswith("skipped: all columns have a long memory")


def test_what_is_kept_by_position_is_caught() -> None:
    kept = ahead(np.nan_to_num(returns(market())))

    def maker(panel: Panel) -> AnyFloatArray:
        return np.nan_to_num(returns(panel)) + kept[: len(panel), : len(panel.assets)]

    assert any("SUSPICIOUS does not recompute from the panel" in line for line in verdict(maker).faults)


def test_numbers_that_differ_when_computed_again_are_caught() -> None:
    rng = np.random.default_rng(0)
    found = verdict(lambda panel: np.nan_to_num(returns(panel)) + rng.normal(0, 1, panel.shape[:2]))
    assert any(line.startswith("repeat: SUSPICIOUS moved") for line in found.faults)


def test_features_in_a_file_that_are_others_than_those_computed_are_caught() -> None:
    honest = Columns(lambda panel: np.nan_to_num(returns(panel)))
    written = honest.compute(market())
    values = np.array(written.values)
    values[100, 3, 1] += 0.01
    found = audit_features(honest, market(), LIGHT, replace(written, values=values))
    assert any(line.startswith("repeat: SUSPICIOUS") and str(market().dates[100]) in line for line in found.faults)


@pytest.mark.parametrize("maker", [lambda panel: panel["close"], lambda panel: np.log(panel["volume"] + 1)])
def test_a_level_knows_of_later_splits(maker: Maker) -> None:
    found = verdict(maker)
    (line,) = found.faults
    assert line.startswith("scale: SUSPICIOUS moves when a later split")
    assert f"first on {market().dates[0]}" in line
    assert verdict(maker, levels=("SUSPICIOUS",)).passed


def test_turnover_of_adjusted_prices_knows_of_later_dividends() -> None:
    def maker(panel: Panel) -> AnyFloatArray:
        money = np.where(panel.tradable, panel["close"] * panel["volume"], 0.0)
        return money / money.sum(axis=1, keepdims=True)

    found = verdict(maker)
    assert any(line.startswith("scale: SUSPICIOUS moves when a later dividend") for line in found.faults)


# --- what is no fault -----------------------------------------------------------------------------------------------


def halted_carried_forward(panel: Panel) -> AnyFloatArray:
    return frame(panel).ffill().pct_change(fill_method=None).to_numpy()


def since_the_beginning(panel: Panel) -> AnyFloatArray:
    return pd.DataFrame(np.nan_to_num(returns(panel))).expanding().mean().to_numpy()


def over_a_year(panel: Panel) -> AnyFloatArray:
    return frame(panel).ffill().pct_change(252, fill_method=None).to_numpy()


def ranked_today(panel: Panel) -> AnyFloatArray:
    return pd.DataFrame(np.where(panel.listed, np.nan_to_num(returns(panel)), np.nan)).rank(axis=1, pct=True).to_numpy()


def weekday(panel: Panel) -> AnyFloatArray:
    day = panel.dates.astype(np.int64) % 7.0
    return np.repeat(day[:, None], len(panel.assets), axis=1)


def nothing(panel: Panel) -> AnyFloatArray:
    return np.zeros(panel.shape[:2])


HONEST = (halted_carried_forward, since_the_beginning, over_a_year, ranked_today, weekday, nothing)


@pytest.mark.parametrize("settings", [LIGHT, Scrutiny(cells=3e7)], ids=["patterns", "every cut"])
@pytest.mark.parametrize("maker", HONEST, ids=lambda maker: maker.__name__)
def test_what_looks_back_passes(maker: Maker, settings: Scrutiny) -> None:
    days = DAYS if settings is LIGHT else 150
    assert verdict(maker, market(days=days), settings).faults == ()


def test_an_external_column_is_not_audited_and_said_to_be() -> None:
    table = ahead(np.nan_to_num(returns(market())))
    found = verdict(lambda panel: table[: len(panel), : len(panel.assets)], external=(External("SUSPICIOUS", lag=2),))
    assert found.passed
    assert found.to_json()["external"] == {"SUSPICIOUS": 2}


def test_the_verdict_says_what_was_covered() -> None:
    known = verdict(since_the_beginning).to_json()
    covered = known["coverage"]
    assert covered["days"] == DAYS
    assert covered["exact_cuts_only"] == ["SUSPICIOUS"]
    assert covered["every_row"]["leads"] == [1, DAYS - 1]
    assert covered["every_row"]["memory_days"] >= 6
    assert set(known["checks"]) == {"repeat", "future", "controls", "every day", "scale"}
