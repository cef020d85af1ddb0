"""Where numba keeps compiled code: beside the library, else in the user's cache, else in a temporary folder.

numba knows the first two by itself and fails where neither can be written, as in a read-only installation without a
home.
"""

import os
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def choose_cache() -> None:
    """Sets ``NUMBA_CACHE_DIR`` to a temporary folder of this user where nothing else can be written.

    Has an effect only before numba is imported, so packages with compiled code call it when they are.
    """
    if VARIABLE in os.environ or os.access(Path(__file__).parent, os.W_OK) or _home_can_be_written():
        return
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    os.environ[VARIABLE] = str(Path(tempfile.gettempdir()) / f"factorgym-numba-{user}")


def _home_can_be_written() -> bool:
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # there is no home
        return False
    there = next((place for place in (cache, *cache.parents) if place.exists()), None)
    return there is not None and os.access(there, os.W_OK)
