"""Command lines: a config file plus typed overrides, and the options of a command."""

import contextlib
import dataclasses
import io
import itertools
import operator
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

import docstring_parser
import tyro

from configs.classes import trust
from configs.components import NONE, open_fields, parts_of, with_components
from configs.files import load_python
from configs.own_features import HOLDERS, MEANING, OPTION, with_own_features
from configs.paths import located
from configs.values import place_today
from configs.variation import parsed, varied
from tools.outline import TRUST_MEANING, TRUST_OPTION

_TRUST = f"{TRUST_OPTION} PACKAGE: {TRUST_MEANING}"
S = TypeVar("S")
R = TypeVar("R")


def configured(schema: type[S], options: type[R], argv: Sequence[str], configs: str) -> tuple[S, R]:
    """Returns the experiment that ``--config`` names, with the overrides of the command line, and the other options.

    ``--encoder:gru`` exchanges a part, ``--encoder.layers 1`` overrides a field. Paths of the experiment are found in
    the workdir that the options name.

    Args:
        schema: Dataclass that the config must hold.
        options: Dataclass of options that are not part of the experiment (``--overwrite``, ...).
        argv: Command line without the program.
        configs: Folder of example configs, for messages and ``--help``.
    """
    experiments, chosen = configurations(schema, options, argv, configs)
    if len(experiments) > 1:
        raise ValueError("--vary is for commands that run many experiments: tools.pretrain, tools.train, tools.compare")
    return experiments[0], chosen


def configurations(schema: type[S], options: type[R], argv: Sequence[str], configs: str) -> tuple[list[S], R]:
    """Returns as `configured` does, but an experiment for each combination of the values that ``--vary`` names."""
    rest, texts = _take_many(_trusting(list(argv)), "--vary")
    given, rest = _take_one(rest, "--config")
    if given is None:
        if "-h" in rest or "--help" in rest:
            given = next(iter(_examples(configs)), None)
        if given is None:
            raise ValueError(f"name an experiment with --config; there are {', '.join(_examples(configs)) or configs}")
    names, rest = _take_components(rest)
    own, rest = _take_one(rest, OPTION)
    value = load_python(given, schema)
    away, rest = _parts_taken_away(value, rest)
    names |= dict.fromkeys(away, NONE)
    nothing = _plain_nothings(value, names)
    rest = [*(word for name in nothing for word in (f"--{name}", "None")), *rest]
    value = with_components(value, {name: part for name, part in names.items() if name not in nothing})
    value = value if own is None else with_own_features(value, own)
    rest = [_option_today(value, argument) for argument in rest]
    value, rest = _with_absent_parts(value, rest)
    fields, choices = _shadow_fields(value), _option_fields(options)
    command = dataclasses.make_dataclass("Command", [*fields, *choices], frozen=True)
    about = _description(schema, given, value)
    defaults = {**_parts(value, command), **dataclasses.asdict(cast(Any, options()))}
    chosen = _parse(command, rest, about, default=command(**defaults))
    rest_of = options(**{name: getattr(chosen, name) for name, _ in choices})
    workdir = getattr(rest_of, "workdir", "workdir")
    found = _restored(value, chosen)
    return [located(one, workdir) for one in (varied(found, parsed(texts)) if texts else [found])], rest_of


def plain(options: type[R], argv: Sequence[str]) -> R:
    """Returns the options of a command that takes no config."""
    about = f"{options.__doc__}\n\n{_TRUST}"
    return cast(R, _parse(options, _trusting(list(argv)), about))


def _parse(kind: type[Any], argv: list[str], about: str, **default: Any) -> Any:
    """Returns what the command line says; a mistake in it is one line and exit code 2."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, prog=_program(), args=argv, description=about, **default)
    except SystemExit as ended:
        if ended.code:
            print(f"error: {in_one_line(said.getvalue())}", file=sys.stderr)
        raise
    finally:
        if sys.exc_info()[0] is None:
            sys.stderr.write(said.getvalue())  # warnings of the parser


def in_one_line(box: str) -> str:
    """Returns what the parser's boxes say as one line: what is wrong, what was perhaps meant, and where help is."""
    lines = [line.strip("│ ") if line.strip("│─-╭╮╰╯ ") else "" for line in box.splitlines()[1:]]  # without the title
    wrong = " ".join(itertools.takewhile(bool, itertools.dropwhile(operator.not_, lines))).rstrip(".") or " ".join(
        box.split()
    )
    meant = [line.split()[0] for line in lines if line.startswith("--")] if "Perhaps you meant" in box else []
    hint = f"; did you mean {' or '.join(dict.fromkeys(meant[:2]))}?" if meant else ""
    return f"{wrong}{hint or ';'} --help lists all options"


def _program() -> str | None:
    """Returns how this program was started, for messages that say what to type; None where it is not a module."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    return None if module is None else f"python -m {module.name.removesuffix('.__main__')}"


def _trusting(argv: list[str]) -> list[str]:
    """Trusts the packages that ``--trust`` names, and returns the rest of the command line."""
    rest = []
    while argv:
        argument = argv.pop(0)
        name, _, package = argument.partition("=")
        if name != "--trust":
            rest.append(argument)
        elif not (package := package or (argv.pop(0) if argv else "")).isidentifier():
            raise ValueError(f"--trust is {package!r}, expected the name of a package, such as mypackage")
        else:
            trust(package)
    return rest


def _take_many(argv: list[str], option: str) -> tuple[list[str], list[str]]:
    """Takes an option with any number of values out of a command line, and returns the rest and the values."""
    rest: list[str] = []
    values: list[str] = []
    taking = False
    for argument in argv:
        if argument.startswith("--"):
            taking = argument == option
        if not taking:
            rest.append(argument)
        elif argument != option:
            values.append(argument)
    if option in argv and not values:
        raise ValueError(f"{option} needs values, such as asset=AAPL,IBM")
    return rest, values


def _take_components(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Takes what names parts, as ``--encoder.quantizer:fsq``, out of a command line."""
    names: dict[str, str] = {}
    rest = []
    for argument in argv:
        match = re.fullmatch(r"--([\w.-]+):([\w-]*)", argument)
        if match is None:
            rest.append(argument)
        elif match[1] in names:
            raise ValueError(f"{argument}: {match[1]} is chosen twice; choose one")
        else:
            names[match[1]] = match[2]
    return names, rest


def _parts_taken_away(value: Any, argv: list[str]) -> tuple[list[str], list[str]]:
    """Takes ``--start-from None``, which takes a part away as ``--start-from:none`` does, out of a command line."""
    parts = {f"--{field.name.replace('_', '-')}": getattr(value, field.name) for field in dataclasses.fields(value)}
    parts = {option: part for option, part in parts.items() if dataclasses.is_dataclass(part)}
    away, rest, words = [], [], iter(argv)
    for word in words:
        option, _, given = word.partition("=")
        given = given if "=" in word or option not in parts else next(words, "")
        if option in parts and given == "None":
            away.append(option.removeprefix("--"))
        else:
            rest += [word] if "=" in word or option not in parts else [word, given]
    return away, rest


def _plain_nothings(value: Any, names: Mapping[str, str]) -> list[str]:
    """Returns the fields of ``--states:none`` , which hold no parts: the value is None, as ``--states None`` says."""
    hints = {name.replace("_", "-"): hint for name, hint in get_type_hints(type(value)).items()}
    asked = [name for name, part in names.items() if part == NONE and name in hints]
    return [name for name in asked if parts_of(hints[name]) == {NONE: None}]


def _with_absent_parts(value: S, argv: list[str]) -> tuple[S, list[str]]:
    """Returns a config with the parts that it lacks and whose fields are given, as ``--split.test``, and the rest."""
    for name, hint in get_type_hints(type(value)).items():
        option = f"--{name.replace('_', '-')}."
        if getattr(value, name) is not None or not any(one.startswith(option) for one in argv):
            continue
        kinds = [one for one in parts_of(hint).values() if one is not None]  # may import all there are: only if asked
        if len(kinds) != 1:
            continue
        given: list[str] = []
        rest: list[str] = []
        taking = False
        for argument in argv:
            taking = argument.startswith(option) or (taking and not argument.startswith("--"))
            (given if taking else rest).append(argument)
        part = dataclasses.make_dataclass("Part", [(name, kinds[0])])
        value, argv = dataclasses.replace(cast(Any, value), **vars(_parse(part, given, ""))), rest
    return value, argv


def _option_today(value: Any, argument: str) -> str:
    """Returns an option under the name that its field has today."""
    match = re.fullmatch(r"--([\w.-]+)(=.*)?", argument, re.DOTALL)
    if match is None or "." not in match[1]:
        return argument
    path = match[1].replace("-", "_")
    today = place_today(value, path)
    return argument if today == path else f"--{today.replace('_', '-')}{match[2] or ''}"


def _description(schema: type[Any], given: str, value: Any) -> str:
    lines = [(schema.__doc__ or "").split("\n")[0]]
    lines.append(f"--config PATH names the experiment (here {given}); the rest overrides it.")
    names = [f"--{name.replace('_', '-')}:NAME" for name in open_fields(value)]
    if names:
        lines.append(f"{', '.join(names)}: another part, with its defaults; a wrong NAME lists what there is.")
    if HOLDERS & {field.name for field in dataclasses.fields(schema)}:
        lines.append(f"{OPTION} TABLE[:LAG]: {MEANING}")
    lines.append("--vary FIELD=A,B ... runs one experiment for each combination, where a command runs many.")
    return "\n\n".join((*lines, _TRUST))


def _take_one(argv: list[str], option: str) -> tuple[str | None, list[str]]:
    """Takes an option with one value out of a command line, and returns the value and the rest."""
    for k, argument in enumerate(argv):
        if argument == option:
            if k + 1 == len(argv):
                raise ValueError(f"{option} needs the path of a file")
            return argv[k + 1], argv[:k] + argv[k + 2 :]
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}="), argv[:k] + argv[k + 1 :]
    return None, argv


def _examples(folder: str) -> list[str]:
    here = sorted(Path(folder).glob("*.py")) or sorted((Path(__file__).parent.parent / folder).glob("*.py"))
    return [str(path) for path in here if not path.name.startswith("_")]


def _shadow_fields(value: Any) -> list[tuple[str, Any]]:
    """Returns the fields of `value` at the types they have now, which is what the parser needs.

    Fields declared as a protocol or a union of dataclasses become the class of their present value, so that
    ``--encoder.codebook-size`` works whichever encoder the config chose.
    """
    hints, helps = get_type_hints(type(value)), _field_help(type(value))
    fields: list[tuple[str, Any]] = []
    for field in dataclasses.fields(value):
        current = getattr(value, field.name)
        if dataclasses.is_dataclass(current):
            inner = _shadow_fields(current)
            kind: Any = dataclasses.make_dataclass(type(current).__name__, inner, frozen=True) if inner else None
        elif _holds_dataclasses(hints[field.name]):
            kind = None
        else:
            kind = hints[field.name]
        kind = cast(Any, tyro.conf.Fixed)[Any] if kind is None else kind
        if field.name in helps:
            kind = Annotated[kind, tyro.conf.arg(help=helps[field.name])]
        fields.append((field.name, kind))
    return fields


def _option_fields(options: type[Any]) -> list[tuple[str, Any]]:
    hints, helps = get_type_hints(options), _field_help(options)
    names = [field.name for field in dataclasses.fields(options)]
    return [
        (name, Annotated[hints[name], tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help=helps.get(name))])
        for name in names
    ]


def _holds_dataclasses(hint: Any) -> bool:
    if get_origin(hint) is not None:
        return any(_holds_dataclasses(part) for part in get_args(hint))
    return isinstance(hint, type) and (dataclasses.is_dataclass(hint) or getattr(hint, "_is_protocol", False))


def _field_help(schema: type[Any]) -> dict[str, str]:
    """Returns the description of each field, from the attributes section of the class or the strings under them."""
    found: dict[str, str] = {}
    for kind in reversed(schema.__mro__[:-1]):
        entries = docstring_parser.parse_from_object(kind).params
        found |= {entry.arg_name: entry.description for entry in entries if entry.description}
    return found


def _parts(value: Any, shadow: type[Any]) -> dict[str, Any]:
    """Returns the fields of `value` with every dataclass in the shape of its shadow."""
    hints = get_type_hints(shadow)
    parts = {}
    for field in dataclasses.fields(value):
        current, kind = getattr(value, field.name), hints[field.name]
        shadowed = dataclasses.is_dataclass(current) and dataclasses.is_dataclass(kind)
        parts[field.name] = kind(**_parts(current, kind)) if shadowed else current
    return parts


def _restored(original: Any, shadow: Any) -> Any:
    changes = {}
    for field in dataclasses.fields(original):
        before, after = getattr(original, field.name), getattr(shadow, field.name)
        if dataclasses.is_dataclass(before) and not isinstance(after, type(before)):
            after = _restored(before, after)
        if after != before or type(after) is not type(before):
            changes[field.name] = after
    return dataclasses.replace(original, **changes)
