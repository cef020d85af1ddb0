"""The start of every command: help within a second, errors in one line, progress for people and for logs.

Nothing heavy is imported before a command has to do something.
"""

import errno
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeVar

from market.heartbeat import A_MINUTE, Heartbeat
from pipeline.results import Observer

S = TypeVar("S")
R = TypeVar("R")

HELP = ("-h", "--help")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a disk, a quota or a limit on the size of files that has no more room."""


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a command: exit code 0 only on success, one line without a traceback for a user's mistake."""
    _write_in_any_encoding()
    if len(sys.argv) == 2 and sys.argv[1] in HELP:
        _help(sys.modules[main.__module__])
        return
    _log()
    threading.excepthook = _one_line
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}{_remedy(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; the same command continues where it stopped", file=sys.stderr)
        sys.exit(130)


def _remedy(error: Exception) -> str:
    """Returns what to do where a disk, a quota or a limit on files has no more room; nothing for other errors."""
    if not (isinstance(error, OSError) and error.errno in FULL):
        return ""
    where = (
        ", where a file is written by another library, as TensorBoard's curves are" if error.filename is None else ""
    )
    return f"{where}; make room, and the same command continues"


def _write_in_any_encoding() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console without UTF-8 shows ? for the signs that it lacks


def _help(module: ModuleType) -> None:
    from tools.outline import outline

    with suppress(BrokenPipeError):  # as in --help | head
        print(outline(module), flush=True)


def _log() -> None:
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])


def _one_line(failure: threading.ExceptHookArgs) -> None:
    """Says in one line what ended a thread beside the main one, as TensorBoard's writer on a full disk."""
    if isinstance(failure.exc_value, ValueError | OSError):
        name = failure.thread.name if failure.thread else "a thread"
        print(f"warning: {name} ended: {' '.join(str(failure.exc_value).split())}", file=sys.stderr)
    else:
        threading.__excepthook__(failure)


def configured(schema: type[S], options: type[R], argv: Sequence[str], configs: str) -> tuple[S, R]:
    """Returns what `tools.cli.configured` does, which is imported now."""
    from tools import cli

    return cli.configured(schema, options, argv, configs)


def configurations(schema: type[S], options: type[R], argv: Sequence[str], configs: str) -> tuple[list[S], R]:
    """Returns what `tools.cli.configurations` does, which is imported now."""
    from tools import cli

    return cli.configurations(schema, options, argv, configs)


def plain(options: type[R], argv: Sequence[str]) -> R:
    """Returns what `tools.cli.plain` does, which is imported now."""
    from tools import cli

    return cli.plain(options, argv)


def progress(entries: Iterable[S], total: int, title: str) -> Iterator[S]:
    """Yields `entries` under a progress bar on standard error; where that is no terminal, with a line a minute."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from report_progress(entries, total, title)
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        yield from bar.track(entries, total=total)


def report_progress(entries: Iterable[S], total: int, title: str, every: float = A_MINUTE) -> Iterator[S]:
    """Yields `entries` and logs how far they are, at most once in `every` seconds."""
    heartbeat = Heartbeat(title, total, every=every)
    for count, entry in enumerate(entries, start=1):
        yield entry
        heartbeat.beat(count)


def _show(result: Any) -> None:
    from tools.tables import show_result

    show_result(result)


SHOWING = Observer(progress, _show)
"""Prints the result of every stage as it ends, with progress bars in between."""
