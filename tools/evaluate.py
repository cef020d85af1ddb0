"""`python -m tools.evaluate --run workdir/trade/dj30_AAPL_storm_dual_ppo`: trained agents to evidence on test days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.schema.evaluate import Evaluate
from evaluation.reports.policy import PolicyReport, Section
from market.ledger import new_command
from market.storage.array_file import read_json
from pipeline.trial_count import METRICS, looks_so_far, other_trials
from tools.cli import configured, run
from tools.runs.assessment import chapter, show, write
from tools.runs.directory import claimed
from tools.runs.markets import question_of
from tools.runs.trained import Trained, open_run

CONFIGS = "configs/evaluate"
DEFAULT = Path(__file__).parent.parent / CONFIGS / "default.py"


@dataclass(frozen=True)
class Options:
    """Options beside the settings."""

    run: str = ""
    """Directory of the trading run."""
    workdir: str = "workdir"
    """Where the artifacts of all stages live."""
    overwrite: bool = False
    """Look at the test days again; the report then says how often they were looked at."""


def main(argv: Sequence[str]) -> None:
    """Evaluates one trading run on its test days."""
    settings, options = configured(Evaluate, Options, with_default(argv), CONFIGS)
    if not options.run:
        raise ValueError("name a trading run with --run, such as workdir/trade/dj30_AAPL_storm_dual_ppo")
    source = Path(options.run)
    name = source.resolve().name  # "." has a name too
    folder = Path(options.workdir) / "evaluate" / name
    study = evaluate({name: [source]}, name, settings, folder, options.overwrite)
    for one in study.chapters:
        show(one)
    print(f"wrote {folder / 'report.html'}")


def with_default(argv: Sequence[str]) -> list[str]:
    """Returns the command line with the default settings where it names none."""
    named = any(argument == "--config" or argument.startswith("--config=") for argument in argv)
    return list(argv) if named else ["--config", str(DEFAULT), *argv]


def evaluate(
    groups: Mapping[str, Sequence[Path]],
    title: str,
    settings: Evaluate,
    folder: Path,
    overwrite: bool = False,
    names: Sequence[str] = (),
) -> PolicyReport:
    """Trades the test days of finished runs, writes the evidence into `folder` and returns it.

    Args:
        groups: Runs that share a market, by a name for it; each group becomes a chapter.
        title: Heading of the report.
        settings: How to judge.
        folder: Receives ``metrics.json``, ``backtest.parquet``, ``policies.parquet`` and ``report.html``.
        overwrite: Replace an evaluation that is there.
        names: What to call the runs of a group; by default their algorithms, or the runs where those are alike.

    Raises:
        ValueError: There is one already, or a run cannot be evaluated; see `tools.runs.trained.open_run`.
    """
    with claimed(folder):
        looks = looks_so_far(folder)
        if looks and not overwrite:
            raise ValueError(
                f"{folder / METRICS}: the test days have been evaluated; --overwrite looks at them again and says so"
            )
        opened = {name: [open_run(path) for path in paths] for name, paths in groups.items()}
        for runs in opened.values():
            _refuse_other_markets(runs)
        looks = max([looks, *(question_of(runs[0].experiment).test_looks() for runs in opened.values())])
        command = new_command()
        for one in (one for runs in opened.values() for one in runs):
            enter_test_look(one, command)
        chapters = tuple(_chapter(name, runs, settings, looks + 1, names) for name, runs in opened.items())
        study = _study(title, [one for runs in opened.values() for one in runs], chapters)
        write(study, folder)
        for found, runs in zip(chapters, opened.values(), strict=True):
            enter_results(found, runs, command)
    return study


def enter_test_look(one: Trained, command: str) -> None:
    """Counts a look of a run at its test days, before it looks."""
    experiment = one.experiment
    question_of(experiment).enter(
        "evaluate", "test", one.folder.name, read_json(one.folder / "config.json"), experiment.seeds, command
    )


def enter_results(found: Section, runs: Sequence[Trained], command: str) -> None:
    """Notes the Sharpe ratio of each training on the test days, for the evaluations of other runs."""
    for one, name in zip(runs, found.contest.agents, strict=True):
        seeds = found.metrics["performance"][name]["seeds"]
        sharpes = {seed: seeds[f"seed_{seed}"]["sharpe"] for seed in one.experiment.seeds}
        config = read_json(one.folder / "config.json")
        question_of(one.experiment).enter_sharpes(one.folder.name, config, sharpes, command)


def _chapter(title: str, runs: Sequence[Trained], settings: Evaluate, looks: int, names: Sequence[str]) -> Section:
    tried = other_trials(question_of(runs[0].experiment), [one.folder for one in runs], settings.other_trials)
    judged = runs[0].judged()
    known: dict[str, Any] = (
        runs[0].known() | {"looks": looks} | ({} if judged is None else judged.metrics(settings.seed))
    )
    known["trials"] = {
        "seeds": sum(len(one.experiment.seeds) for one in runs),
        "configurations": len(runs) + tried.configurations,
        "others": tried.sharpes,
    }
    agents = [one.agent for one in runs]
    names = names or (agents if len(set(agents)) == len(agents) else [one.folder.name for one in runs])
    entrants = [one.entrant(name) for one, name in zip(runs, names, strict=True)]
    return chapter(title, runs[0].market, entrants, settings, known, tried)


def _study(title: str, runs: Sequence[Trained], chapters: tuple[Section, ...]) -> PolicyReport:
    first = runs[0]
    tape = first.market.tape
    agents = " and ".join(dict.fromkeys(one.agent for one in runs))
    markets = ", ".join(dict.fromkeys(one.title for one in runs))
    return PolicyReport(
        title=title,
        lead=f"{agents} trading {markets}; test days {tape.dates[0]} to {tape.dates[-1]}, seen once training was over",
        facts=tuple(dict.fromkeys(fact for one in runs for fact in one.facts())),
        chapters=chapters,
        judged=first.judged(),
        audit=first.audit(),
        config="\n".join(one.config() for one in runs),
    )


def _refuse_other_markets(runs: Sequence[Trained]) -> None:
    first = runs[0].known()
    for one in runs[1:]:
        other = one.known()
        for name in ("panel_fingerprint", "asset", "test_days", "market_rules"):
            if other[name] != first[name]:
                raise ValueError(
                    f"{one.folder}: its {name} is {other[name]}, that of {runs[0].folder} is {first[name]}; "
                    "only runs on the same market can be compared"
                )


if __name__ == "__main__":
    run(main)
