"""A finished trading run, read back as data: its market on the test days, its agents, and the forecast they saw."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from agents.checkpoint import POLICY, RECORD, TrainedAgent, load_agent
from agents.committee import Committee, seeds_name
from configs.files import load_json, source_text
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from envs import BatchMarket, Costs, LongShort, Step
from envs.actions.portfolio import Action
from evaluation.backtest import Backtest
from evaluation.reports.forecast import ForecastEvaluation
from evaluation.rollout import rollout
from evaluation.terms import rebalance_in_words, terms
from market.arrays import AnyArray
from market.artifacts import AUDIT, CONFIG, TRAINING
from market.audit import is_proven, sentence
from market.panel import Panel
from market.prices.labels import Label
from market.storage.array_file import read_header, read_json
from market.storage.ledger import config_hash
from pipeline.control_markets import TradeSources, read_sources, tape_of
from pipeline.observation import evaluated_observation
from pipeline.policy_comparison import Candidate
from pipeline.reference_policies import EvaluationMarket
from pipeline.run_directory import seed_folder


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run that has been trained, with everything up to the end of its test days.

    Attributes:
        folder: Directory of the run.
        experiment: What decided it; read from ``config.json``, so opening somebody else's run executes nothing.
        sources: Bars, states and features.
        market: The test days and the terms of trading.
        observation: What its agents see and what is proven about it (`pipeline.observation`).
    """

    folder: Path
    experiment: Trade
    sources: TradeSources
    market: EvaluationMarket
    observation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Names the market."""
        return self.experiment.asset or f"portfolio of {self.market.tape.n_assets}"

    @property
    def agent(self) -> str:
        """Names the algorithm."""
        return type(self.experiment.agent).__name__

    def candidate(self, name: str) -> Candidate:
        """Returns the run as one that takes part in a comparison under `name`."""
        n_seeds = len(self.experiment.seeds)
        return Candidate(name, self.backtests, self.committee_backtest if n_seeds > 1 else None)

    def backtests(self, costs: Costs) -> tuple[Backtest, ...]:
        """Returns the deterministic backtest of every seed on the test days, at costs that may differ from training's.

        Raises:
            ValueError: A policy is missing, damaged, or was trained for another environment.
        """
        env = gymnasium.make(
            "FactorGym/Portfolio-v0" if self.experiment.asset is None else "FactorGym/SingleStock-v0",
            tape=self.market.tape,
            costs=costs,
            action=self.experiment.action,
            observation="compact",
            rebalance=self.experiment.rebalance,
        )
        return tuple(rollout(agent, env) for agent in self._agents(env.unwrapped.market))  # type: ignore[attr-defined]

    def committee_backtest(self, costs: Costs) -> Backtest:
        """Returns the backtest of one account that holds the average of what its seeds ask for, booked once.

        Raises:
            ValueError: A policy is missing, damaged, or was trained for another environment.
        """
        market = BatchMarket(
            self.market.tape,
            1,
            costs,
            self.experiment.action,
            observation="compact",
            autoreset=False,
            one_asset=self.experiment.asset is not None,
            rebalance=self.experiment.rebalance,
        )
        committee = Committee(self._agents(market), market, seeds_name(len(self.experiment.seeds)))
        env = gymnasium.make(
            "FactorGym/Portfolio-v0", tape=market.tape, costs=costs, action=committee.action, observation="compact"
        )
        return rollout(committee, env)

    def _agents(self, market: BatchMarket) -> list[TrainedAgent]:
        folders = [seed_folder(self.folder, seed) for seed in self.experiment.seeds]
        return [load_agent(one, self.experiment.agent, market, one.name) for one in folders]

    def forecast(self) -> ForecastEvaluation | None:
        """Returns the states' forecast beside what came true; None where no forecast was seen."""
        states, panel = self.sources.states, self.sources.panel
        if states is None or not np.isfinite(states.forecast_mean).any():
            return None
        days, ours, theirs = np.intersect1d(panel.dates, states.dates, return_indices=True)
        columns = [states.assets.index(name) for name in panel.assets]
        label = Label(states.provenance["fill"], states.provenance["horizon"])
        truth = label.compute(panel)[ours]

        def on_both(grid: AnyArray) -> Any:
            return np.asarray(grid[theirs])[:, columns]

        rows = {part: _rows(days, getattr(self.sources.split, part)) for part in ("valid", "test")}
        return ForecastEvaluation(
            dates=days,
            mean=on_both(states.forecast_mean),
            label=truth,
            mask=on_both(states.mask),
            parts=rows,
            horizon=label.horizon,
            codes=None if states.codes is None else on_both(states.codes),
            n_codes=codebook_size(self.experiment.states),
        )

    def audit(self) -> dict[str, Any] | None:
        """Returns the content of ``audit.json`` beside the states, None where none are seen.

        Raises:
            ValueError: There are states but no audit that passed.
        """
        if self.experiment.states is None or self.sources.states is None:
            return None
        path = Path(self.experiment.states).with_name(AUDIT)
        if not path.exists():
            raise ValueError(
                f"{path}: no such file, so nothing shows that the states do not see the future; extract again"
            )
        found: dict[str, Any] = read_json(path)
        if found["verdict"] != "passed":
            raise ValueError(
                f"{path}: the verdict is '{found['verdict']}', expected 'passed'; extract the states again"
            )
        return found

    def description(self) -> dict[str, Any]:
        """Returns the entries of ``metrics.json`` besides performance: data, days, costs, audit."""
        experiment, tape, split = self.experiment, self.market.tape, self.sources.split
        states = self.sources.states
        return {
            "run": self.folder.name,
            "agent": self.agent,
            "asset": experiment.asset,
            "observe": experiment.observe,
            "assets": list(tape.assets),
            "panel": experiment.panel,
            "panel_fingerprint": self.sources.panel.fingerprint,
            "test_days": [str(tape.dates[0]), str(tape.dates[-1])],
            "split": {part: list(getattr(split, part)) for part in ("train", "valid", "test")},
            "rebalance": rebalance_in_words(experiment.rebalance),
            "fill": tape.fill,
            "costs": asdict(experiment.costs),
            "market_rules": self.sources.rules.to_json(),
            "departures": list(self.sources.departures),
            "fingerprint": run_fingerprint(self.folder),
            "fit_end": split.valid[1] if tape.fit_end is None else str(tape.fit_end[0]),
            "refits": 0 if tape.fit_end is None else len(np.unique(tape.fit_end)) - 1,
            "in_sample_days": self.in_sample_days(),
            "audit": None if states is None else states.provenance["audit"],
            "observation": {"sentence": sentence(self.observation), "proven": is_proven(self.observation)},
            "always_listed": bool(self.sources.panel.between(split.train[0], split.test[1]).listed.all()),
            "listing": listing_of(self.sources.panel.between(split.train[0], split.test[1])),
        }

    def in_sample_days(self) -> dict[str, int]:
        """Returns how many train and valid days showed the agent what an encoder had learnt from them."""
        known: dict[str, int] = read_json(seed_folder(self.folder, self.experiment.seeds[0]) / RECORD).get(
            "in_sample_days", {}
        )
        return known

    def facts(self) -> list[tuple[str, str]]:
        """Returns names and texts for the page."""
        known, states = self.description(), self.sources.states
        split, days = known["split"], self.sources.panel
        rows = [
            ("run", str(self.folder)),
            ("agent", f"{self.agent}, seeds {', '.join(map(str, self.experiment.seeds))}, sees {known['observe']}"),
            ("panel", f"{known['panel']}: {len(days.assets)} assets, {days.dates[0]} to {days.dates[-1]}"),
            *((f"{part} days", " to ".join(split[part])) for part in ("train", "valid", "test")),
            (
                "learnt nothing after",
                f"{known['fit_end']} (encoder{', before its refits' if known['refits'] else ''}), {split['valid'][1]} "
                "(choice of the agent)",
            ),
            ("refits of the encoder in test", _refits(known["refits"])),
            (
                "days learnt in-sample",
                ", ".join(f"{count} of {part}" for part, count in known["in_sample_days"].items()),
            ),
            ("trades", rebalance_in_words(self.experiment.rebalance)),
            *terms(self.sources.rules),
        ]
        if self.sources.departures:
            rows.append(("terms changed since", "; ".join(self.sources.departures)))
        if states is not None:
            made = f"{states.provenance['encoder']}, checkpoint {states.provenance['checkpoint_sha256'][:12]}"
            rows.append(("states", f"{self.experiment.states}: {made}"))
        return rows

    def config(self) -> str:
        """Returns the whole configuration as Python."""
        return source_text(self.experiment)


def open_run(folder: Path) -> TrainedRun:
    """Returns the finished run in `folder`, ready for its test days.

    Raises:
        ValueError: It is not finished, its states have not passed the audit, or the test days start on or before the
            last day that its encoder or its agents learnt from.
    """
    experiment = load_json(folder / CONFIG, Trade)
    if not (folder / TRAINING).exists():
        raise ValueError(f"{folder}: this run is not finished; the command of tools.train that began it continues it")
    sources = read_sources(experiment, until="test")
    tape = tape_of(experiment, sources, "test")
    market = EvaluationMarket(
        tape=tape,
        panel=sources.panel,
        states=sources.states
        if sources.states is not None and np.isfinite(sources.states.forecast_mean).any()
        else None,
        costs=experiment.costs,
        shorts=takes_shorts(experiment.action),
        start_from=experiment.start_from,
    )
    found = TrainedRun(folder, experiment, sources, market, evaluated_observation(experiment, sources, folder))
    found.audit()
    _refuse_learnt_days(found)
    return found


def listing_of(panel: Panel) -> dict[str, int]:
    """Returns how many assets are listed at all, how many of them join after the first day, and how many leave."""
    ever = panel.listed.any(axis=0)
    return {
        "assets": int(ever.sum()),
        "late": int((ever & ~panel.listed[0]).sum()),
        "left": int((ever & ~panel.listed[-1]).sum()),
    }


def run_fingerprint(folder: Path) -> str:
    """Returns a hash of everything that decides what a run does on its test days.

    Of its configuration, its policies, its panel and its states; not of their names, but of what is in the files.
    """
    experiment = load_json(folder / CONFIG, Trade)
    policies = [seed_folder(folder, seed) / POLICY for seed in experiment.seeds]
    files = [*policies, Path(experiment.panel), *([] if experiment.states is None else [Path(experiment.states)])]
    contents = [read_header(path)["fingerprint"] for path in files]
    return config_hash([read_json(folder / CONFIG), contents])


def takes_shorts(action: Action) -> bool:
    """Returns whether an action may sell short."""
    return isinstance(action.target if isinstance(action, Step) else action, LongShort)


def codebook_size(states: str | None) -> int | None:
    """Returns the number of codes that an encoder may choose from, None where its run is not at hand."""
    record = Path(states or "").with_name(CONFIG)
    if states is None or not record.exists():
        return None
    config = Path(read_json(record)["run"]) / CONFIG
    if not config.exists():
        return None
    encoder = load_json(config, Pretrain).encoder
    size: int | None = getattr(getattr(encoder, "quantizer", None), "codebook_size", None)
    return size


def _refuse_learnt_days(found: TrainedRun) -> None:
    first = found.market.tape.dates[0]
    for seed in found.experiment.seeds:
        path = seed_folder(found.folder, seed) / RECORD
        if not path.exists():
            raise ValueError(f"{path}: no such file; train the run again")
        end = np.datetime64(read_json(path)["fit_end"], "D")
        if first <= end:
            raise ValueError(f"{path}: fit_end is {end}, but the test days start on {first}; test on later days")


def _rows(days: Any, part: tuple[str, str]) -> slice:
    first, last = (np.datetime64(day, "D") for day in part)
    return slice(int(np.searchsorted(days, first)), int(np.searchsorted(days, last, side="right")))


def _refits(count: int) -> str:
    return "none" if count == 0 else f"{count}, each before the days that it serves"
