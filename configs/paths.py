"""Files of other stages, which configs name relative to the workdir."""

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

S = TypeVar("S")

IN_WORKDIR = "in_workdir"
"""Key in the metadata of a field that names a file or folder of the workdir, as ``data/dj30/panel.safetensors``.

Its value says what a bare name means, as ``data/{}/panel.safetensors``."""
_DEFAULT = "workdir"
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
"""Ends of the names of tables, which are files and not the names of prepared panels."""


def located(value: S, workdir: str | Path) -> S:
    """Returns a config whose paths lead to files from where this process runs.

    A path means a file in `workdir`, else one relative to the current folder, as a shell completes it; a bare name,
    such as ``dj30``, means the file that the stage of that name leaves. Where there is no file yet, the path means the
    place in `workdir`. Absolute paths stay.

    Args:
        value: A config, with dataclasses in it; fields whose metadata have `IN_WORKDIR` hold paths.
        workdir: Where the artifacts of all stages live.
    """
    if isinstance(value, tuple):
        return tuple(located(entry, workdir) for entry in value)  # type: ignore[return-value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        now = getattr(value, field.name)
        bare = field.metadata.get(IN_WORKDIR)
        then = _place(now, Path(workdir), bare) if bare and isinstance(now, str) else located(now, workdir)
        if field.init and then is not now:
            changes[field.name] = then
    return dataclasses.replace(value, **changes) if changes else value


def panel_of(path: str, workdir: str | Path) -> str:
    """Returns the panel file that a path or a bare name means, as the field ``panel`` of a config does."""
    return _place(path, Path(workdir), "data/{}/panel.safetensors")


def _place(path: str, workdir: Path, bare: str) -> str:
    is_name = not path.startswith(".") and Path(path).suffix not in (".safetensors", *TABLE_SUFFIXES)
    if path and is_name and "/" not in path and "\\" not in path:
        return str(workdir / bare.format(path))
    if (workdir / path).exists() or Path(path).is_absolute():
        return str(workdir / path)  # an absolute path stays what it is
    if Path(path).exists():
        return path
    first, *rest = Path(path).parts or ("",)
    if first == _DEFAULT and rest:  # as configs of earlier versions spell it
        return str(workdir.joinpath(*rest))
    return str(workdir / path)
