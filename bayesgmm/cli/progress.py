"""One line on the terminal: what is being done, how far it has come, how long it still takes."""

import shutil
import sys
import time

from bayesgmm.cli.colour import on_terminal
from bayesgmm.cli.interrupts import stop_if_interrupted

CLEAR = "\r\x1b[K"


class ProgressLine:
    """The line, on stderr; silent when that is not a terminal.

    Its calls are also where an interrupt is heard that a library swallowed.
    """

    def __init__(self, quiet: bool) -> None:
        self.shown = not quiet and on_terminal(sys.stderr)
        self.began = time.monotonic()
        self.begun: dict[tuple[str, int], tuple[float, int]] = {}

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        stop_if_interrupted()
        if self.shown:
            notes = ", ".join(filter(None, (self._left(what, done, total), note)))
            line = progress_line(time.monotonic() - self.began, what, done, total, notes)
            _write(f"{CLEAR}{line[: shutil.get_terminal_size().columns - 1]}")

    def _left(self, what: str, done: int, total: int) -> str:
        """How long it still takes at this pace; a larger total is a pace of its own."""
        now, stage = time.monotonic(), (what, total)
        began, first = self.begun.setdefault(stage, (now, done))
        if done < first or done in (first, total):  # begun anew, or nothing to go by
            self.begun[stage] = (now, done)
            return ""
        return f"{duration((now - began) / (done - first) * (total - done))} left"

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            _write(CLEAR)


def progress_line(seconds: float, what: str, done: int, total: int, note: str) -> str:
    """What is being done, since when, and how far it has come."""
    part = f" {done:,} of {total:,}" if total > 1 else ""
    return f"{seconds:5.1f} s  {what}{part}{', ' if note else ''}{note}"


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(6.2), duration(95.0), duration(7260.0)
    ('6 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
