"""Results of stages as tables and lines for the terminal."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from evaluation.formats import amount, display_name, number, percent
from evaluation.prediction import MIN_ASSETS
from evaluation.reports.encoder_rows import forecast_rows, trading_rows
from evaluation.reports.tables import hindsight_words
from evaluation.walk_forward import walk_sentences
from market.artifacts import FORECASTS
from market.storage.array_file import header_names, read_header
from pipeline import results
from tools.live_table import LiveTable
from tools.printing import show_table

TEXT_COLUMNS = (
    "field",
    "ticker",
    "blocked",
    "served",
    "serves",
    "state",
    "run",
    "agent",
    "agent sees",
    "encoder",
    "days",
)
"""Columns of text; all others are numbers."""
LISTED_TRIALS = 10
NOTHING = 1e-9
"""Changes of weights that are not shown."""
MEASURES = ("ic", "icir", "rank_ic", "rank_icir", "rank_ic_t", "n_days", "n_assets")
PORTFOLIO_MEASURES = ("annual_return", "sharpe", "max_drawdown", "turnover")
PARTS = ("valid", "test")
MEANINGS = """ic: correlation of forecast and outcome over the assets of a day, mean over days; rank_ic: of their ranks;
icir: that mean over its deviation over days; rank_ic_t: its t-statistic, overlapping days taken into account.
An honest rank_ic is .00 to .06."""
"""Meanings of the measures of an encoder."""
TOO_GOOD = 0.15
"""Rank IC beyond which the reader is told that it is too good."""


def show_result(result: Any) -> None:
    """Prints the result of a stage."""
    show = PRINTERS.get(type(result))
    if show is not None:
        show(result)


def show_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows with the same keys as a table."""
    table = Table(title=title)
    for column in rows[0]:
        is_text = column in TEXT_COLUMNS
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    show_table(table)


def show_panel(result: results.PrepareResult) -> None:
    """Prints the quality report of a panel and its size."""
    if result.quality is None:
        print(f"{result.path} is up to date with this config; --overwrite makes it again")
        return
    panel = result.panel
    days, assets, _ = panel.shape
    print(result.quality.table())
    print(
        f"{result.path}: {assets} assets x {days} days, {panel.dates[0]} to {panel.dates[-1]}, "
        f"{panel.listed.mean():.1%} listed, {panel.tradable.sum() / max(panel.listed.sum(), 1):.1%} of that tradable, "
        f"fields {', '.join(panel.fields)}"
    )


def show_encoder(result: results.PretrainResult) -> None:
    """Prints the measures of the best checkpoint."""
    if not result.fresh:
        print(f"{result.folder} is finished")
        return
    metrics = result.metrics
    best = metrics["best_epoch"]
    chosen = "" if best is None else f"best epoch {best + 1} of "  # files count epochs from 0
    epochs = metrics["n_epochs"]
    table = Table(title=f"{result.folder} ({chosen}{epochs}{'' if chosen else ' epochs'})")
    for column in ("measure", *(part for part in PARTS if part in metrics)):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for name, cells in _encoder_rows(metrics):
        table.add_row(name, *cells)
    show_table(table)
    print(MEANINGS)
    print(_too_good(metrics), end="")
    lacking = _lacking_cross_section(result)
    if lacking:
        print(lacking)


def _too_good(metrics: Mapping[str, Any]) -> str:
    """Returns a line where a forecast is better than any honest one, empty where none is."""
    best = max((metrics[part]["rank_ic"] or 0.0 for part in PARTS if part in metrics), default=0.0)
    if best <= TOO_GOOD:
        return ""
    return f"A rank_ic of {best:.2f} is far beyond that: on real prices, look for a column that knows the future.\n"


def _lacking_cross_section(result: results.PretrainResult) -> str | None:
    """Returns why a run on one or two assets has no rank IC; None where it has one, or another reason not to."""
    if any(result.metrics[part]["rank_ic"] is not None for part in PARTS if part in result.metrics):
        return None
    n_assets = len(header_names(read_header(result.folder / FORECASTS), "assets"))
    if n_assets == 1:
        return "one asset has no cross-section, so there is no rank IC"
    return f"{n_assets} assets are too few for a rank IC, which needs {MIN_ASSETS}" if n_assets < MIN_ASSETS else None


def _encoder_rows(metrics: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    parts = [part for part in PARTS if part in metrics]
    rows = [(name, [_written(metrics[part][name]) for part in parts]) for name in MEASURES]
    rows.append(("rank_ic, 95 % interval", [_bounds(metrics[part]["rank_ic_ci"]) for part in parts]))
    for name in PORTFOLIO_MEASURES:
        rows.append((f"{name}, top-k drop-n", [_written(metrics[part]["portfolio"][name]) for part in parts]))
    for codebook, health in metrics["train"]["codebooks"].items():
        rows.append((f"codebook {codebook}: codes used in train", [f"{health['usage']:.0%}"]))
    return rows


def _bounds(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def show_states(result: results.ExtractResult) -> None:
    """Prints the size of a states file and the verdict of the audit."""
    if not result.fresh:
        print(f"{result.path.parent} is finished")
        return
    days, assets = result.shape
    print(f"{result.path}: {days} days x {assets} assets, {result.path.stat().st_size / 1e6:.1f} MB; audit:")
    for name, word in result.audit["checks"].items():
        print(f"  {name:8} {word}")
    print(_on_your_word(result.audit.get("external", {})), end="")


def _on_your_word(lags: Mapping[str, int]) -> str:
    """Returns a line on the columns of tables that the audit could not compute again; empty where there are none."""
    if not lags:
        return ""
    shown = ", ".join([*lags][:3]) + (", ..." if len(lags) > 3 else "")
    days = " or ".join(str(lag) for lag in sorted(set(lags.values())))
    known = f"known {days} trading days after their day"
    return f"  not proven: {len(lags)} columns of your tables ({shown}) are taken to be {known}, as you say\n"


def show_agents(result: results.TrainResult) -> None:
    """Prints the best policy of each seed on the valid days."""
    if not result.fresh:
        print(f"{result.folder} is finished")
        return
    table = Table(title=f"{result.folder}: the best policy of each seed on the valid days")
    for column in ("seed", "steps", "best at", "wealth", "benchmark", "turnover a bar"):
        table.add_column(column, justify="right")
    for record in result.records:
        valid = record["valid"]
        wealth, benchmark = (f"{math.exp(valid[name]):.3f}" for name in ("growth", "benchmark_growth"))
        steps = (f"{record['n_steps']:,}", f"{valid['step']:,}")
        table.add_row(str(record["seed"]), *steps, wealth, benchmark, f"{valid['turnover']:.2%}")
    show_table(table)
    idle = [str(record["seed"]) for record in result.records if record["valid"]["turnover"] == 0]
    if idle:
        print(f"Never traded on the valid days: seed {', '.join(idle)}. Look at costs, risk aversion and reward.")


def show_evidence(result: results.EvaluateResult) -> None:
    """Prints one row a policy for each market, and the verdict on each agent."""
    for section in result.report.sections:
        agents = [*section.comparison.agents]
        console = Console()
        show_table(_policies(section.title, section.metrics["performance"], agents))
        print(hindsight_words(section.metrics) or "")
        for name in agents:
            show_table(_differences(name, section.metrics))
            verdict = section.metrics["verdict"][name]
            console.print(f"{display_name(name)}: {verdict['word']}. {verdict['sentences'][0]}", highlight=False)


def _differences(name: str, metrics: Mapping[str, Any]) -> Table:
    """Returns what an agent earned beyond each reference on the same days, with the intervals of the difference."""
    table = Table("reference", title=f"{display_name(name)} less each reference on the same days")
    joint = metrics["mean_of_seeds"].get(name)
    for column in ("a year [95 %]", "Sharpe [95 %]"):
        table.add_column(column, justify="right", no_wrap=True)
    if joint is not None:
        table.add_column("committee of seeds, a year [95 %]", justify="right", no_wrap=True)
    for other, found in metrics["comparisons"][name].items():
        cells = [_difference(found["annual_return"], percent), _difference(found["sharpe"], number)]
        if joint is not None:
            cells.append(_difference(joint[other]["annual_return"], percent))
        table.add_row(display_name(other), *cells)
    return table


def _difference(found: Mapping[str, Any], form: Callable[[float | None], str]) -> str:
    bounds = found["ci"]
    interval = "" if bounds is None else f" [{form(bounds[0])}, {form(bounds[1])}]"
    return form(found["difference"]) + interval


def _policies(title: str, performance: Mapping[str, Any], agents: Sequence[str]) -> Table:
    table = Table(title=title)
    table.add_column("policy", min_width=16)
    for column in ("a year", "Sharpe [95 %]", "drawdown", "wealth", "invested", "in market", "turnover"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, one in performance.items():
        if not one.get("cheats"):
            table.add_row(display_name(name), *_policy_cells(one), style="bold" if name in agents else None)
    return table


def _policy_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    bounds = one["sharpe_ci"]
    interval = "" if bounds is None or one.get("cheats") else f" [{number(bounds[0])}, {number(bounds[1])}]"
    return (
        percent(one["annual_return"]),
        number(one["sharpe"]) + interval,
        percent(one["max_drawdown"]),
        number(one["final_wealth"]),
        percent(one["exposure"], 0),
        percent(one["time_in_market"], 0),
        percent(one["turnover"]),
    )


def show_encoders(result: results.EncoderComparison) -> None:
    """Prints the forecasts of encoders on valid and test days, and what trading on them earned."""
    for part in PARTS:
        show_rows(f"Forecasts, {part} days", forecast_rows(result.measures, part))
    for rule in next(iter(result.measures["encoders"].values()))["trading"]:
        show_rows(f"Trading on them, {rule}, test days, after costs", trading_rows(result.measures, rule))
    show_differences(result.differences)


def show_trading(result: results.AgentComparison) -> None:
    """Prints agents beside buy and hold."""
    show_rows("Trading, test days, after costs", result.rows)
    show_differences(result.differences)


def show_differences(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the fields whose values are not the same in all configurations."""
    if rows:
        show_rows("How the candidates differ", rows)


def show_ablation(result: results.AblationResult) -> None:
    """Prints what each kind of states adds."""
    show_rows(f"{result.title}, test days, after costs", result.rows)


def show_trials(result: results.SweepResult) -> None:
    """Prints the best trials of a search."""
    trials = result.summary["trials"]
    ranked = sorted(trials, key=lambda one: -math.inf if one["value"] is None else one["value"], reverse=True)
    title = f"{result.folder}: {result.summary['metric']} on the valid days"
    show_rows(title, [_trial_row(one) for one in ranked[:LISTED_TRIALS]])


def _trial_row(one: Mapping[str, Any]) -> dict[str, Any]:
    row = {"trial": one["trial"], "value": number(one["value"], 4), "state": one["state"], "epochs": one["epochs"]}
    values = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in one["params"].items()}
    return row | values


def show_progress(result: results.WalkProgress) -> None:
    """Prints the runs of a walk: what is finished, what is running, what is left; into a pipe the table only once."""
    left = sum(one.state == "to do" for one in result.runs)
    running = next(one for one in result.runs if one.state == "running")
    title = f"{running.run} is running, {left} left after it"
    if not sys.stdout.isatty() and left + 1 < len(result.runs):
        print(f"{title}: fold {running.fold}, it serves {' to '.join(running.split.test)}")
        return
    rows = [
        {
            "fold": one.fold,
            "run": one.run,
            "train": " to ".join(one.split.train),
            "valid": " to ".join(one.split.valid),
            "serves": " to ".join(one.split.test),
            "state": one.state,
        }
        for one in result.runs
    ]
    show_rows(title, rows)


def show_walk(result: results.WalkResult) -> None:
    """Prints the rank IC of each fold, and what refitting was worth."""
    rows = [
        {
            "fold": one["fold"],
            "learnt until": one["fit_end"],
            "served": " to ".join(one["serves"]),
            "rank IC, valid": number(one["valid"], 4),
            "rank IC, served": number(one["served"], 4),
        }
        for one in result.metrics["folds"]
    ]
    show_rows(str(result.folder), rows)
    for words in walk_sentences(result.metrics):
        print(words)
    print(f"wrote {result.states}")
    print(f"wrote {result.page}")


def show_decision(result: results.DecideResult) -> None:
    """Prints the trades of tomorrow, what they cost, and how old the encoder's fit is."""
    found, about = result.decision, result.about
    rows = _orders(found.orders)
    if rows:
        show_rows(f"{found.day}: {len(rows)} trades, fill {about['fill']}", rows)
    else:
        wait = "" if about["may_trade"] else f"; this run trades {about['trades']}, and this is none of those days"
        print(f"{found.day}: nothing to trade{wait}")
    print(
        f"account {amount(found.money)}, cash afterwards {percent(found.target[0])}, expected cost "
        f"{amount(found.cost)}, turnover {percent(found.turnover)}"
    )
    if about["fit_end"] is not None:
        print(f"the encoder learnt until {about['fit_end']}, {about['fit_age_days']} days before")
    for row in about["largest_changes"]:
        print(f"  {row['ticker']}: {', '.join([percent(row['change'], 2), *_reasons(row)])}")
    if result.paper is not None:
        print(f"paper account: {amount(result.paper.money)} after {len(result.paper.history)} days")
    print(f"wrote {result.folder / 'decision.csv'}")


def _orders(orders: Any) -> list[dict[str, Any]]:
    traded = orders[(orders["change"].abs() > NOTHING) | (orders["blocked"] != "")]
    return [
        {
            "ticker": row.ticker,
            "held": percent(row.weight, 2),
            "target": percent(row.target, 2),
            "shares": amount(row.shares),
            "money": amount(row.money),
            "close": amount(row.close),
            "blocked": row.blocked or "–",
        }
        for row in traded.itertuples()
    ]


def _reasons(row: Mapping[str, Any]) -> list[str]:
    reasons = [f"{name} {row[name]:.4g}" for name in ("forecast", "rank") if row.get(name) is not None]
    return [*reasons, f"codes {row['codes']}"] if row.get("codes") else reasons


def show_factors(result: results.DiscoverResult) -> None:
    """Prints one row a model of a study of factors."""
    metrics = result.metrics
    matched = metrics["known"] is not None
    table = Table(title=f"Discovered factors: {result.folder.name}, test days")
    for column in ("model", *(("found", "mean |corr|") if matched else ()), "rebuilt", "kurtosis", "corr. distance"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for model, one in metrics["models"].items():
        cells = [model]
        if matched:
            cells += [f"{one['matching']['found']} of {len(metrics['known'])}", number(one["matching"]["mean"])]
        table.add_row(*cells, percent(one["reconstruction"]["test"]), *_simulated_cells(one["scenarios"]))
    show_table(table)


def _simulated_cells(scenarios: Mapping[str, Any]) -> tuple[str, str]:
    return number(scenarios["portfolio"]["kurtosis"]), number(scenarios["correlation_distance"]["test"], 3)


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


PRINTERS: Mapping[type, Callable[[Any], None]] = {
    results.PrepareResult: show_panel,
    results.PretrainResult: show_encoder,
    results.ExtractResult: show_states,
    results.TrainResult: show_agents,
    results.EvaluateResult: show_evidence,
    results.EncoderComparison: show_encoders,
    results.AgentComparison: show_trading,
    results.AblationResult: show_ablation,
    results.DecideResult: show_decision,
    results.SweepResult: show_trials,
    results.WalkProgress: show_progress,
    results.GraphProgress: LiveTable().show,
    results.WalkResult: show_walk,
    results.DiscoverResult: show_factors,
}
