"""The help of a command, read from its source: no config is loaded and nothing heavy is imported."""

import ast
import shutil
import textwrap
from pathlib import Path
from types import ModuleType

from configs.own_features import HOLDERS, MEANING, OPTION

ROOT = Path(__file__).parent.parent
WIDEST = 100
TRUST_OPTION = "--trust"
TRUST_MEANING = (
    "Lets files of runs name classes of a package outside the library, whose code then runs; once for each package."
)
PLAIN = "plain"
"""The function that parses the options of a command without configs."""
PARSERS = ("configured", "configurations")
"""Functions whose first argument is the schema of a command's configs."""


def purpose(path: Path) -> str:
    """Returns what the command of a module is for: its docstring after the example."""
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    return " ".join(first.partition("`: ")[2].split())


def outline(module: ModuleType) -> str:
    """Returns the usage of a command, its options, and the fields of the experiments that its configs hold."""
    path = Path(str(module.__file__))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    schema = _schema(tree)
    name = "tools." + (path.parent.name if path.stem == "__main__" else path.stem)
    takes = "--config PATH [options]" if schema else "[options]"
    parts = [f"usage: python -m {name} {takes}", _about(tree)]
    parts += ["options:", *_fields(tree, "Options"), *_trust(tree)]
    if schema is not None:
        parts += [
            "--config PATH names the experiment, a Python file; what follows overrides its fields:",
            *_experiment(*schema),
            "Parts have fields of their own (--encoder.lookback 20, --agent.gamma 0.9) and can be exchanged "
            f"(--encoder:gru); python -m {name} --config PATH --help lists them all with the values of that config.",
        ]
    width = min(shutil.get_terminal_size().columns, WIDEST)
    return "\n".join(_wrapped(part, width) for part in parts)


def _about(tree: ast.Module) -> str:
    """Returns what a module says of itself, each paragraph reflowed; where it has no Options, the first one."""
    paragraphs = (ast.get_docstring(tree) or "").split("\n\n")
    commands = paragraphs if _calls(tree, PLAIN) else paragraphs[:1]
    return "\n".join(" ".join(one.split()) for one in commands)


def _trust(tree: ast.Module) -> list[str]:
    """Returns the lines of the option that every command takes which reads its command line with `tools.cli`."""
    return [f"  {TRUST_OPTION} PACKAGE\n      {TRUST_MEANING}"] if _calls(tree, *PARSERS, PLAIN) else []


def _calls(tree: ast.Module, *names: str) -> bool:
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(isinstance(one, ast.Name) and one.id in names for one in calls)


def _schema(tree: ast.Module) -> tuple[str, str] | None:
    """Returns module and class of the schema that a command parses its configs with, None where it takes none."""
    called = next(
        (
            node.args[0].id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in PARSERS
            and isinstance(node.args[0], ast.Name)
        ),
        None,
    )
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    homes = [str(node.module) for node in imports if called in [alias.name for alias in node.names]]
    return None if called is None or not homes else (homes[0], called)


def _fields(tree: ast.Module, name: str, needed: str = "required") -> list[str]:
    """Returns a line for each field of a dataclass and of those it builds on: its name, type, default and meaning."""
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        return []
    lines = []
    for base in found.bases:
        homes = [
            str(node.module)
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and ast.unparse(base) in [alias.name for alias in node.names]
        ]
        for home in homes:
            source = (ROOT / f"{home.replace('.', '/')}.py").read_text(encoding="utf-8")
            lines += _fields(ast.parse(source), ast.unparse(base), needed)
    for node, after in zip(found.body, [*found.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            lines.append(f"  {_spelling(node, needed)}\n{_meaning(after)}")
    return lines


def _experiment(module: str, name: str) -> list[str]:
    """Returns the lines of a schema, and of the option that puts a table beside its features, where it has some."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    fields = {ast.unparse(node.target) for node in found.body if isinstance(node, ast.AnnAssign)}
    own = [f"  {OPTION} TABLE[:LAG]\n      {MEANING}"] if fields & HOLDERS else []
    return [*_fields(tree, name, "set by the config"), *own]


def _spelling(node: ast.AnnAssign, needed: str) -> str:
    name = ast.unparse(node.target).replace("_", "-")
    kind = ast.unparse(node.annotation).replace("'", "")
    value = None if node.value is None else ast.unparse(node.value)
    if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "field":
        value = next((ast.unparse(one.value) for one in node.value.keywords if one.arg == "default"), None)
    if kind == "bool":
        return f"--{name}"
    return f"--{name} {kind}  ({needed if value is None else f'default {value}'})"


def _meaning(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return f"      {' '.join(node.value.value.split())}"
    return ""


def _wrapped(text: str, width: int) -> str:
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False) or [""]
    return "\n".join(lines)
