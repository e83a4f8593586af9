"""The line that says how far it has come."""

import io
import sys

import pytest

from bayesgmm.cli import progress


def test_the_progress_line_says_how_far_how_well_and_how_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of the steps in six seconds leave six; what is begun anew is timed anew."""
    terminal, clock = io.StringIO(), [0.0]
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    line = progress.ProgressLine(quiet=False)
    for seconds, done in ((1.0, 0), (7.0, 2000), (8.0, 0)):
        clock[0] = seconds
        line("sampling", done, 4000, "acceptance 0.86, 3 divergent")
    first, middle, again = terminal.getvalue().split("\r\x1b[K")[1:]
    assert first == "  1.0 s  sampling 0 of 4,000, acceptance 0.86, 3 divergent"
    assert middle.endswith("sampling 2,000 of 4,000, 6 s left, acceptance 0.86, 3 divergent")
    assert "left" not in again


def test_a_larger_budget_is_timed_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before it, in which nothing was drawn, says nothing of the pace after it."""
    terminal, clock = io.StringIO(), [0.0]
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    line = progress.ProgressLine(quiet=False)
    for seconds, done, total in ((0, 0, 1000), (1, 1000, 1000), (9, 1010, 2000), (10, 1505, 2000)):
        clock[0] = float(seconds)
        line("sampling", done, total)
    assert terminal.getvalue().endswith("sampling 1,505 of 2,000, 1 s left")


def test_a_narrow_terminal_keeps_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, clock = io.StringIO(), [0.0]
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    line = progress.ProgressLine(quiet=False)
    for done in (0, 500):
        line("k = 3: sampling", done, 1000, "acceptance 0.86, 3 divergent")
        clock[0] = 95.0
    last = terminal.getvalue().split("\r\x1b[K")[-1]
    assert "500 of 1,000, 1 min 35 s left" in last
    assert len(last) == 59
