"""`factorgym STAGE ...`: the commands of `tools` under one name, from any folder."""

import sys
from importlib import import_module
from pathlib import Path

import factorgym
import tools


def stages() -> dict[str, str]:
    """Returns the module of each stage by its name on the command line."""
    folder = Path(tools.__path__[0])
    found = {path.stem: f"tools.{path.stem}" for path in folder.glob("*.py") if "def main(" in path.read_text("utf-8")}
    found |= {path.parent.name: f"tools.{path.parent.name}.__main__" for path in folder.glob("*/__main__.py")}
    return dict(sorted(found.items())) | {"extract": "tools.extract_state"}


def _purposes(names: dict[str, str]) -> str:
    from tools.outline import purpose

    folder = Path(tools.__path__[0])
    spelled = {module: name for name, module in names.items()}  # of two names of a stage, the later one
    files = {name: folder.joinpath(*module.split(".")[1:]).with_suffix(".py") for module, name in spelled.items()}
    return "\n".join(f"  {name:<10}{purpose(path)}" for name, path in sorted(files.items()))


def main() -> None:
    """Runs the stage that the command line names."""
    from tools.command import run

    names = stages()
    if len(sys.argv) > 1 and sys.argv[1] in ("--version", "-V"):
        print(f"factorgym {factorgym.__version__}")
        return
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        wanted = "" if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") else f"no stage '{sys.argv[1]}'; "
        print(f"{wanted}usage: factorgym STAGE [--help] [options]\nstages:\n{_purposes(names)}")
        sys.exit(0 if not wanted and len(sys.argv) > 1 else 2)
    stage = sys.argv.pop(1)
    sys.argv[0] = f"factorgym {stage}"
    run(import_module(names[stage]).main)


if __name__ == "__main__":
    main()
