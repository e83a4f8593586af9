"""Give memory that is free back to the system.

XLA's compiler leaves hundreds of MiB behind that the C library keeps for later; a process that has
compiled what it needs can do without them.
"""

import ctypes
import sys
from functools import cache
from typing import Any


@cache
def _trim() -> Any:
    """GNU's `malloc_trim`; nothing where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None


def give_back() -> None:
    """Return what the C library holds and does not use."""
    trim = _trim()
    if trim is not None:
        trim(0)
