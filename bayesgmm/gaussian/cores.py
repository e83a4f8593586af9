"""The cores that there are, and threads that wait to use them."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(cores: int) -> ThreadPoolExecutor:
    """So many threads, which stay: nobody waits for them, so an interrupt is heard at once."""
    return _threads_of(os.getpid(), cores)


@cache
def _threads_of(process: int, cores: int) -> ThreadPoolExecutor:  # a fork has no threads
    return ThreadPoolExecutor(cores, thread_name_prefix="bayesgmm")
