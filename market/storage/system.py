"""Differences between operating systems: locks of files, flushing to disk, and exchanging files.

POSIX systems lock with ``flock``, Windows with ``msvcrt``; everything else in the library asks this module.
"""

import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

HAS_FLOCK: bool = fcntl is not None

FAR = 1 << 40
"""Byte that stands for a file on Windows, where a lock is of bytes and those that are locked cannot be read."""
POLL = 0.05  # seconds between two tries


def try_lock(file: int) -> bool:
    """Takes the lock of an open file, given by its number; false where another process holds it.

    The system releases it when the file is closed or the process ends, however it ends.
    """
    try:
        if HAS_FLOCK:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _lock_byte(file)
    except (BlockingIOError, PermissionError):
        return False
    return True


def lock_file(file: int) -> None:
    """Takes the lock of an open file, after waiting for whoever holds it."""
    while not try_lock(file):
        time.sleep(POLL)


def flush_file(path: Path) -> None:
    """Returns once the content of a file is on the disk."""
    with open(path, "rb+") as handle:  # Windows flushes only what may be written
        os.fsync(handle.fileno())


def exchange(aside: Path, final: Path) -> None:
    """Renames `aside` to `final`, whatever was there before.

    Raises:
        OSError: The folder cannot be written; or, on Windows, a program has the old file open.
    """
    try:
        os.replace(aside, final)
    except PermissionError as error:
        if os.name == "nt" and final.exists():
            words = "a program, or a panel or states loaded from it, has the file open; close it"
            raise PermissionError(error.errno, words, str(final)) from None
        raise


def _lock_byte(file: int) -> None:
    position = os.lseek(file, 0, os.SEEK_CUR)
    try:
        os.lseek(file, FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    finally:
        os.lseek(file, position, os.SEEK_SET)
