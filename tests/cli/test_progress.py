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
    assert middle.endswith("sampling 2,000 of 4,000, acceptance 0.86, 3 divergent, 6 s left")
    assert "left" not in again
