"""Every tool's command line: overrides reach nested fields, typos are answered, errors are one line."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from configs.schema.trade import Trade
from market.prices.labels import Label
from market.splits import Split
from tools.cli import configured
from tools.command import run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Options:
    """Options beside the experiment."""

    overwrite: bool = False
    """Replace what is there."""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "label.py"
    path.write_text("from market.prices.labels import Label\nexperiment = Label(horizon=5)\n")
    return str(path)


def test_overrides_replace_fields(config: str) -> None:
    value, options = configured(Label, Options, ["--config", config, "--fill", "close", "--overwrite"], "configs/none")
    assert value == Label(fill="close", horizon=5)
    assert options.overwrite


def test_without_overrides_the_config_stands(config: str) -> None:
    value, options = configured(Label, Options, [f"--config={config}"], "configs/none")
    assert value == Label(horizon=5)
    assert not options.overwrite


def test_a_typo_says_what_was_meant(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        configured(Label, Options, ["--config", config, "--horizn", "3"], "configs/none")
    assert caught.value.code == 2
    assert "--horizon" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--horizn 3",
            "error: Unrecognized options: --horizn, 3; did you mean --horizon or --horizons? --help lists all",
        ),
        ("--horizon", "error: Missing value for argument '--horizon'. Expected 1 values; --help lists all options\n"),
        (
            "--horizon x",
            "error: Error parsing --horizon: invalid literal for int() with base 10: 'x'; --help lists all",
        ),
        ("--fill noon", "error: invalid choice 'noon' for argument '--fill'. Expected one of ('close', 'next_open', "),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    config: str, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        configured(Label, Options, ["--config", config, *words.split()], "configs/none")
    found = capsys.readouterr().err
    assert found.startswith(said)
    assert found.count("\n") == 1


def test_a_part_that_a_config_lacks_is_given_by_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    days = "--split.train 2010-01-04 2012-12-31 --split.valid 2013-01-10 2013-12-31 --split.test 2014-01-10 2014-12-31"
    words = ["--config", "configs/trade/bundled_portfolio_apg.py", "--seeds", "3", *days.split()]
    value, _ = configured(Trade, Options, words, "configs/none")
    assert value.split == Split(
        train=("2010-01-04", "2012-12-31"), valid=("2013-01-10", "2013-12-31"), test=("2014-01-10", "2014-12-31")
    )
    assert value.seeds == (3,)
    with pytest.raises(SystemExit):
        configured(Trade, Options, words[:7], "configs/none")
    assert "--split.valid" in capsys.readouterr().err


def test_help_names_units_defaults_and_the_config(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        configured(Label, Options, ["--config", config, "--help"], "configs/none")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "--horizon" in text
    assert "(default: 5)" in text
    assert "Replace what is there." in text


def test_no_config_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"name an experiment with --config; there are .*bundled"):
        configured(Label, Options, [], "configs/prepare")


def test_a_users_mistake_is_one_line_and_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(argv: object) -> None:
        raise ValueError("panel.safetensors: field 'close' is missing;\n write it")

    with pytest.raises(SystemExit) as caught:
        run(fails)
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: panel.safetensors: field 'close' is missing; write it\n"


def test_our_own_mistake_keeps_its_traceback() -> None:
    code = "from tools.command import run\ndef main(argv): return {}['missing']\nrun(main)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_nothing_in_a_plain_field_is_checked_together_with_the_other_options() -> None:
    """`--states:none` alone is refused because of what is observed; beside `--observe none` it is meant so."""
    config = ["--config", "configs/trade/bundled_portfolio_ppo.py"]
    split = "--split.train 2010-01-04 2012-12-28 --split.valid 2013-01-08 2013-12-30 --split.test 2014-01-08 2014-12-30"
    words = [*config, "--states:none", "--observe", "none", *split.split()]
    value, _ = configured(Trade, Options, words, "configs/none")
    assert (value.states, value.observe) == (None, "none")
    with pytest.raises(ValueError, match="observe is 'states\\+forecast' but states is None"):
        configured(Trade, Options, [*config, "--states:none"], "configs/none")


@pytest.mark.parametrize("words", [["--start-from", "None"], ["--start-from=None"], ["--start-from:none"]])
def test_a_part_is_taken_away(words: list[str]) -> None:
    config = ["--config", "configs/trade/csi300_portfolio_apg.py"]
    value, _ = configured(Trade, Options, [*config, *words, "--clone-steps", "7"], "configs/none")
    assert (value.start_from, value.clone_steps) == (None, 7)


def test_a_part_that_nobody_asks_for_is_not_imported() -> None:
    """The optimisers of classical portfolios take three seconds to import; an agent's training needs none."""
    code = (
        "import sys; from tools.cli import configured; from configs.schema.trade import Trade; "
        "from tests.tools.test_cli import Options; "
        "configured(Trade, Options, ['--config', 'configs/trade/ppo_single.py', '--seeds', '3'], 'configs/none'); "
        "print('skfolio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
