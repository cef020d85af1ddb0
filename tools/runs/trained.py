"""A finished trading run, read back as data: its market on the test days, its agents, and the forecast they saw."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from agents.checkpoint import RECORD, load_agent
from configs.files import load_json, source_text
from configs.schema.pretrain import Pretrain
from configs.schema.trade import Trade
from envs import Costs, LongShort, Step
from envs.actions.portfolio import Action
from evaluation.backtest import Backtest
from evaluation.forecast import ForecastEvaluation
from evaluation.rollout import rollout
from market.arrays import AnyFloatArray
from market.labels import Label
from market.storage.array_file import read_json
from tools.runs.assessment import Entrant
from tools.runs.markets import Sources, read, tape_of
from tools.runs.rollouts import Market
from tools.train import RESULT, seed_folder

AUDIT = "audit.json"


@dataclass(frozen=True, eq=False)
class Trained:
    """A run that has been trained, with everything up to the end of its test days.

    Attributes:
        folder: Directory of the run.
        experiment: What decided it; read from ``config.json``, so opening somebody else's run executes nothing.
        sources: Bars, states and features.
        market: The test days and the terms of trading.
    """

    folder: Path
    experiment: Trade
    sources: Sources
    market: Market

    @property
    def title(self) -> str:
        """Names the market."""
        return self.experiment.asset or f"portfolio of {self.market.tape.n_assets}"

    @property
    def agent(self) -> str:
        """Names the algorithm."""
        return type(self.experiment.agent).__name__

    def entrant(self, name: str) -> Entrant:
        """Returns the run as one that takes part in a contest under `name`."""
        return Entrant(name, self.rolled_out)

    def rolled_out(self, costs: Costs) -> tuple[Backtest, ...]:
        """Returns the deterministic backtest of every seed on the test days, at costs that may differ from training's.

        Raises:
            ValueError: A policy is missing, damaged, or was trained for another environment.
        """
        experiment = self.experiment
        env = gymnasium.make(
            "FactorGym/Portfolio-v0" if experiment.asset is None else "FactorGym/SingleStock-v0",
            tape=self.market.tape,
            costs=costs,
            action=experiment.action,
            observation="compact",
            rebalance=experiment.rebalance,
        )
        folders = [seed_folder(self.folder, seed) for seed in experiment.seeds]
        agents = [load_agent(one, experiment.agent, env.unwrapped.market, one.name) for one in folders]  # type: ignore[attr-defined]
        return tuple(rollout(agent, env) for agent in agents)

    def judged(self) -> ForecastEvaluation | None:
        """Returns the states' forecast beside what came true; None where no forecast was seen."""
        states, panel = self.sources.states, self.sources.panel
        if states is None or not np.isfinite(states.forecast_mean).any():
            return None
        days, ours, theirs = np.intersect1d(panel.dates, states.dates, return_indices=True)
        columns = [states.assets.index(name) for name in panel.assets]
        label = Label(states.provenance["fill"], states.provenance["horizon"])
        truth = label.compute(panel)[ours]

        def known(grid: Any) -> AnyFloatArray:
            cells: AnyFloatArray = np.asarray(grid[theirs])[:, columns]
            return cells

        rows = {part: _rows(days, getattr(self.sources.split, part)) for part in ("valid", "test")}
        return ForecastEvaluation(
            dates=days,
            mean=known(states.forecast_mean),
            label=truth,
            mask=known(states.mask),
            parts=rows,
            horizon=label.horizon,
            codes=None if states.codes is None else known(states.codes),
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

    def known(self) -> dict[str, Any]:
        """Returns what ``metrics.json`` says besides performance: data, days, costs, audit."""
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
            "fill": tape.fill,
            "costs": {name: getattr(experiment.costs, name) for name in ("fee_rate", "half_spread", "impact")},
            "fit_end": str(states.fit_end) if states is not None else split.valid[1],
            "audit": None if states is None else states.provenance["audit"],
            "always_listed": bool(self.sources.panel.between(split.train[0], split.test[1]).listed.all()),
        }

    def facts(self) -> list[tuple[str, str]]:
        """Returns names and texts for the page."""
        known, states = self.known(), self.sources.states
        split, days = known["split"], self.sources.panel
        rows = [
            ("run", str(self.folder)),
            ("agent", f"{self.agent}, seeds {', '.join(map(str, self.experiment.seeds))}, sees {known['observe']}"),
            ("panel", f"{known['panel']}: {len(days.assets)} assets, {days.dates[0]} to {days.dates[-1]}"),
            *((f"{part} days", " to ".join(split[part])) for part in ("train", "valid", "test")),
            ("learnt nothing after", f"{known['fit_end']} (encoder), {split['valid'][1]} (choice of the agent)"),
            ("fill", known["fill"].replace("_", " ")),
            (
                "costs",
                f"{1e4 * (known['costs']['fee_rate'] + known['costs']['half_spread']):g} basis points of each trade",
            ),
        ]
        if states is not None:
            made = f"{states.provenance['encoder']}, checkpoint {states.provenance['checkpoint_sha256'][:12]}"
            rows.append(("states", f"{self.experiment.states}: {made}"))
        return rows

    def config(self) -> str:
        """Returns the whole configuration as Python."""
        return source_text(self.experiment)


def open_run(folder: Path) -> Trained:
    """Returns the finished run in `folder`, ready for its test days.

    Raises:
        ValueError: It is not finished, its states have not passed the audit, or the test days start on or before the
            last day that its encoder or its agents learnt from.
    """
    experiment = load_json(folder / "config.json", Trade)
    if not (folder / RESULT).exists():
        raise ValueError(f"{folder}: this run is not finished; the command of tools.train that began it continues it")
    sources = read(experiment, until="test")
    tape = tape_of(experiment, sources, "test")
    market = Market(
        tape=tape,
        panel=sources.panel,
        states=sources.states
        if sources.states is not None and np.isfinite(sources.states.forecast_mean).any()
        else None,
        costs=experiment.costs,
        shorts=takes_shorts(experiment.action),
        start_from=experiment.start_from,
    )
    found = Trained(folder, experiment, sources, market)
    found.audit()
    _refuse_learnt_days(found)
    return found


def takes_shorts(action: Action) -> bool:
    """Returns whether an action may sell short."""
    return isinstance(action.target if isinstance(action, Step) else action, LongShort)


def codebook_size(states: str | None) -> int | None:
    """Returns the number of codes that an encoder may choose from, None where its run is not at hand."""
    record = Path(states or "").with_name("config.json")
    if states is None or not record.exists():
        return None
    config = Path(read_json(record)["run"]) / "config.json"
    if not config.exists():
        return None
    size: int | None = getattr(load_json(config, Pretrain).encoder, "codebook_size", None)
    return size


def _refuse_learnt_days(found: Trained) -> None:
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
