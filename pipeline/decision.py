"""The stage that decides tomorrow: a trained run and the newest days to target weights, trades and a paper account."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.algorithms.on_policy import RecurrentPPO
from agents.checkpoint import load_agent
from agents.committee import Committee
from configs.files import load_json
from configs.paths import panel_of
from configs.schema.trade import Trade
from configs.schema.walk import Walk
from envs import BatchMarket, Tape
from envs.paper import PaperAccount, by_ticker
from envs.rebalancing import trading_days
from envs.rules import MarketRules
from evaluation import decision as orders
from evaluation.decision import Decision, Holdings
from evaluation.terms import rebalance_in_words
from market.arrays import FloatArray
from market.artifacts import CONFIG, TRAINING
from market.calendar import next_day
from market.panel import Panel
from market.preparation.tomorrow import features_with_tomorrow, states_with_tomorrow, with_tomorrow
from market.prices.money import quoted_closes
from market.splits import Split
from market.states import MarketStates
from market.storage.array_file import atomic_write, read_json, write_json
from pipeline.control_markets import TradeSources, read_sources, split_of, tape_of
from pipeline.results import SILENT, DecideResult, Observer
from pipeline.run_directory import decide_folder, lock, seed_folder

LARGEST = 5
"""Changes of weights that are explained."""
ORDERS, DECISION = "decision.csv", "decision.json"


@dataclass(frozen=True)
class Decide:
    """How a decision is taken.

    Attributes:
        panel: Panel to decide on; None takes that of the run, where days may have been appended.
        holdings: CSV of what is held, see `evaluation.decision.Holdings`; None starts from cash, or from the paper
            account.
        capital: What the account is worth, in the currency of the prices; None takes what the holdings are worth.
        paper: File of a paper account, opened where there is none and booked up to the last day.
        max_age: Days that the last close may be old.
        today: The calendar's day, YYYY-MM-DD; None asks the clock.
    """

    panel: str | None = None
    holdings: str | None = None
    capital: float | None = None
    paper: str | None = None
    max_age: int = 5
    today: str | None = None

    def __post_init__(self) -> None:
        if self.capital is not None and not 0 < self.capital < np.inf:
            raise ValueError(f"decide: capital is {self.capital:g}, expected money above 0")


def decide(
    run: str | Path, settings: Decide | None = None, workdir: str | Path = "workdir", observer: Observer = SILENT
) -> DecideResult:
    """Decides on the last day of a panel and writes ``decision.csv`` and ``decision.json``.

    Several seeds decide by the average of their weights. The last day needs no tomorrow: the trades are those that the
    kernel of every backtest expects if nothing moves until the fill.

    Args:
        run: Directory of a finished trading run.
        settings: What is held, and where the days come from.
        workdir: Where ``decide/<name of the run>/`` is written.
        observer: Follows from outside.

    Raises:
        ValueError: The run is not finished, its agent remembers earlier days, the panel is stale or ends on a day that
            is not over, states lack the last day, or the holdings do not fit.
    """
    settings, source = settings or Decide(), Path(run)
    if settings.holdings is not None and settings.paper is not None:
        raise ValueError("decide: both holdings and a paper account are given; choose one")
    experiment, panel = _opened(source, settings, workdir)
    sources = _until_tomorrow(experiment, panel)
    tape = tape_of(experiment, sources, "test")
    committee = _committee(source, experiment, tape, sources.rules)
    folder = decide_folder(workdir, source.resolve().name)
    states, rules, paper = sources.states, sources.rules, None
    if settings.paper is None:
        account, money = _held(settings, tape, panel)
        stated = _stated(committee, tape, account)
    else:
        paper = _paper(settings, source, rules, tape, committee)
        account, money = _dense(paper.weights, tape), paper.money
        stated = _dense(paper.decision or {}, tape)
    held = (stated, account, money)
    found = orders.decide(tape, panel, committee.action, *held, rules.costs, _known(states), rules.price_limit)
    about = _about(source, experiment, found, tape, states, panel)
    with lock(folder):
        with atomic_write(folder / ORDERS) as aside:
            found.orders.to_csv(aside, index=False)
        write_json(folder / DECISION, about)
    result = DecideResult(folder, found, about, paper)
    observer.finished(result)
    return result


def _opened(source: Path, settings: Decide, workdir: str | Path) -> tuple[Trade, Panel]:
    experiment = load_json(source / CONFIG, Trade)
    if not (source / TRAINING).exists():
        raise ValueError(f"{source}: this run is not finished; the command of tools.train that began it continues it")
    if isinstance(experiment.agent, RecurrentPPO):
        raise ValueError(f"{source}: RecurrentPPO remembers earlier days, which a single decision lacks; use PPO")
    experiment = replace(experiment, panel=panel_of(settings.panel, workdir) if settings.panel else experiment.panel)
    panel = Panel.load(experiment.panel)
    today = np.datetime64(settings.today or "today", "D")
    for fault in (orders.stale(panel, today, settings.max_age), orders.half_day(panel)):
        if fault is not None:
            raise ValueError(f"{experiment.panel}: {fault}")
    return experiment, panel


def _until_tomorrow(experiment: Trade, panel: Panel) -> TradeSources:
    """Returns the sources of a run until the last day and one day to come, all of it after valid as its test days."""
    states = None if experiment.states is None else MarketStates.load(experiment.states)
    split, last = split_of(experiment, states), str(panel.dates[-1])
    if last < split.test[0]:
        raise ValueError(
            f"{experiment.panel}: it ends on {last}, but the first day to decide on is {split.test[0]}, the first test "
            "day of the run; append newer days"
        )
    if states is not None and states.dates[-1] < panel.dates[-1]:
        raise ValueError(
            f"{experiment.states}: the states end on {states.dates[-1]}, the panel on {last}; extract the new days "
            "with the command that made the states, which appends them"
        )
    known = read_sources(replace(experiment, split=replace(split, test=(split.test[0], last))), until="test")
    return known._replace(
        panel=with_tomorrow(known.panel),
        states=None if known.states is None else states_with_tomorrow(_known(known.states, panel)),  # type: ignore[arg-type]
        features=None if known.features is None else features_with_tomorrow(known.features),
        split=Split(split.train, split.valid, (split.test[0], str(next_day(panel.dates)))),
    )


def _known(states: MarketStates | None, panel: Panel | None = None) -> MarketStates | None:
    """Returns states without the day to come, or without days after the panel's last."""
    if states is None:
        return None
    stop = len(states.dates) - 1 if panel is None else int(np.searchsorted(states.dates, panel.dates[-1])) + 1
    grids = ("asset", "market", "forecast_mean", "forecast_std", "mask", "dates", "fit_end", "fold")
    codes = None if states.codes is None else states.codes[:stop]
    return replace(states, codes=codes, tokens={}, **{name: getattr(states, name)[:stop] for name in grids})


def _committee(source: Path, experiment: Trade, tape: Tape, rules: MarketRules) -> Committee:
    market = BatchMarket(
        tape,
        1,
        rules.costs,
        experiment.action,
        observation="compact",
        autoreset=False,
        one_asset=experiment.asset is not None,
        rebalance=experiment.rebalance,
    )
    members = [load_agent(seed_folder(source, seed), experiment.agent, market) for seed in experiment.seeds]
    return Committee(members, market)


def _held(settings: Decide, tape: Tape, panel: Panel) -> tuple[FloatArray, float]:
    if settings.holdings is None:
        cash = np.zeros(1 + tape.n_assets)
        cash[0] = 1.0
        return cash, settings.capital or 1e5
    prices = quoted_closes(panel)[-1, [panel.assets.index(name) for name in tape.assets]]
    return Holdings.read(settings.holdings).account(tape.assets, prices, settings.capital)


def _stated(committee: Committee, tape: Tape, account: FloatArray) -> FloatArray:
    shown = {"day": np.array([len(tape) - 2]), "account": account.astype(np.float32)}
    return np.asarray(committee.predict(shown, deterministic=True)[0], dtype=np.float64)


def _paper(settings: Decide, source: Path, rules: MarketRules, tape: Tape, committee: Committee) -> PaperAccount:
    """Opens a paper account or takes it up, books it to the last day, and writes it with the new decision."""
    path = Path(settings.paper or "")
    with lock(path):
        if path.exists():
            account = PaperAccount.load(path)
            if Path(account.run).resolve().name != source.resolve().name:
                raise ValueError(f"{path}: it belongs to {account.run}; open another account for {source}")
        else:
            account = PaperAccount(str(source), settings.capital or 1e5, str(tape.dates[-2]))
        advanced = account.advanced(tape, committee, rules.costs)
        if advanced != account:
            advanced.save(path)
    return advanced


def _dense(weights: Any, tape: Tape) -> FloatArray:
    names = ("cash", *tape.assets)
    return np.array([float(weights.get(name, 0.0)) for name in names])


def _about(
    source: Path, experiment: Trade, found: Decision, tape: Tape, states: MarketStates | None, panel: Panel
) -> dict[str, Any]:
    table = found.orders
    about: dict[str, Any] = {
        "run": str(source),
        "day": str(found.day),
        "fill": tape.fill,
        "trades": rebalance_in_words(experiment.rebalance),
        "may_trade": bool(trading_days(tape.dates, experiment.rebalance)[len(tape) - 2]),
        "seeds": list(experiment.seeds),
        "worth": found.money,
        "expected_cost": found.cost,
        "turnover": found.turnover,
        "target": by_ticker(found.target, tape),
        "blocked": {row.ticker: row.blocked for row in table.itertuples() if row.blocked},
        "largest_changes": _plain(table.head(LARGEST)),
        "fit_end": None,
        "fit_age_days": None,
        "next_refit": next_refit(experiment.states, panel),
    }
    if states is not None:
        fit_end = states.fit_end[-1]
        about |= {"fit_end": str(fit_end), "fit_age_days": int((found.day - fit_end) / np.timedelta64(1, "D"))}
    return about


def next_refit(states: str | None, panel: Panel) -> str | None:
    """Returns when the walk behind a states file refits next, in words; None where no walk made it."""
    record = Path(states or "").with_name(CONFIG)
    if states is None or not record.exists() or "walk" not in read_json(record):
        return None
    day, left = load_json(Path(read_json(record)["walk"]) / CONFIG, Walk).calendar.due(panel.dates)
    return f"on the first trading day from {day} on" if day is not None else f"in {left} trading days"


def _plain(table: Any) -> list[dict[str, Any]]:
    rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    return [{str(name): value for name, value in row.items()} for row in rows]
