"""Ctrl-C, heard also where a library swallows it."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

INTERRUPTED = 130
_interrupted = threading.Event()


@contextmanager
def heard_interrupts() -> Iterator[None]:
    """Ctrl-C that a library's callback swallowed is heard at the next sign of progress."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(*_: object) -> NoReturn:
        _interrupted.set()
        raise KeyboardInterrupt

    _interrupted.clear()
    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stop_if_interrupted() -> None:
    """Raise the KeyboardInterrupt that was sent, if one was."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def leave(status: int) -> NoReturn:
    """End at once: a compiler that is under way in the background is not waited for."""
    for stream in (sys.stdout, sys.stderr):
        print(end="", file=stream, flush=True)
    os._exit(status)
