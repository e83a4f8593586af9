"""Give memory that is free back to the system, and see when its mappings become many.

XLA's compiler leaves hundreds of MiB behind that the C library keeps for later; a process that has
compiled what it needs can do without them. Every compiled program holds about a hundred mappings of
memory; Linux allows a process 65530 by default, and XLA crashes where it gets no more.
"""

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

MAPS, LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
CROWDED = 0.4  # of the mappings that are allowed


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


def crowded() -> bool:
    """Whether the process has used up much of the mappings it may have."""
    try:
        return MAPS.read_bytes().count(b"\n") > CROWDED * int(LIMIT.read_text())
    except (OSError, ValueError):  # another system, which has no such limit
        return False
