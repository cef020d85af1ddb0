"""The content of a source that lies in files, so that a panel knows whether they have changed since."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

BLOCK = 1 << 20


def content_digest(paths: Iterable[str | None]) -> str | None:
    """Returns the sha256 over the names and bytes of all files at `paths`, files or folders; None where there is none.

    Names are those within a folder, so a collection that was moved keeps its digest.
    """
    digest, found = hashlib.sha256(), False
    for text in paths:
        path = Path(text).expanduser() if text else None
        if path is None or not path.exists():
            continue
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for file in files:
            found = True
            digest.update(str(file.relative_to(path) if path.is_dir() else file.name).encode())
            with file.open("rb") as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
    return digest.hexdigest() if found else None


def described_content(frame: pd.DataFrame, digest: str) -> dict[str, Any]:
    """Returns what a panel keeps of the content it was made of: the digest, the rows and the last day."""
    return {"sha256": digest, "rows": len(frame), "last": str(pd.Timestamp(frame["date"].max()).date())}


def describe_difference(now: dict[str, Any], before: dict[str, Any]) -> str:
    """Returns in words how the content of a source differs from what was read before."""
    return (
        f"{now['rows']:,} rows to {now['last']}, while the panel was made of {before['rows']:,} to {before['last']}"
        if (now["rows"], now["last"]) != (before["rows"], before["last"])
        else f"as many rows ({now['rows']:,} to {now['last']}) with other values"
    )
