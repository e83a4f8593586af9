"""Colours: only where they are wanted, and nothing but colours."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.bayes.diagnose import (
    AMBIGUOUS,
    APPROXIMATE,
    COLLAPSED,
    INTERRUPTED,
    MULTIMODAL,
    NOT_CONVERGED,
    OVER_FITTED,
    POOR,
    STABLE,
)
from bayesgmm.cli.colour import coloured, painted

FLAGS = (AMBIGUOUS, COLLAPSED, INTERRUPTED, MULTIMODAL, NOT_CONVERGED, OVER_FITTED, POOR)
ANSI = re.compile(r"\x1b\[\d*m")
LINES = [
    "2 11 57/60  24.5    0.0*   0.0*|  11.2   10.8    8.1  1.00 1510  stable",
    "4 23  4/60   0.0*  18.8  125.2 | (23.5) (-6.9)   3.7  1.11   25  NOT CONVERGED",
    "! AIC: 4 is the edge of the range, reached by 4 of 60 starts, smallest component",
    "  34 rows: distrust it.",
    "  next: bayesgmm compare faithful -k 1:4 --model gaussian_tied",
    "BayesianMixture(2), faithful, gaussian (VVV): STABLE",
]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text("a1.* !:()\n-S", max_size=30))))
def test_without_its_colours_the_text_is_what_it_was(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert ANSI.sub("", coloured(text)) == text


@pytest.mark.parametrize(
    ("environment", "terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm-256color"}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], terminal: bool, wanted: bool
) -> None:
    assert (painted(LINES[0], terminal, environment) != LINES[0]) is wanted


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (LINES[0], ["\x1b[1m0.0*\x1b[0m", "\x1b[32mstable\x1b[0m"]),
        (LINES[1], ["\x1b[2m4 23  4/60", "\x1b[31mNOT CONVERGED\x1b[0m"]),
        (LINES[4], ["  next: \x1b[36mbayesgmm compare"]),
        (LINES[5], ["\x1b[32mSTABLE\x1b[0m"]),
        ("3 1 1/1  0.0  labels ambiguous", ["\x1b[33mlabels ambiguous\x1b[0m"]),
    ],
)
def test_colours_repeat_the_marks(line: str, told: list[str]) -> None:
    for part in told:
        assert part in coloured(line)


def test_a_warning_is_yellow_to_its_end() -> None:
    shown = coloured("\n".join(LINES[2:5])).split("\n")
    assert [line.startswith("\x1b[33m") for line in shown] == [True, True, False]


@pytest.mark.parametrize("verdict", [*FLAGS, STABLE, APPROXIMATE])
def test_every_verdict_has_a_colour(verdict: str) -> None:
    line = f"BayesianMixture(2), faithful: {verdict.upper()}"
    assert f"m{verdict.upper()}\x1b[0m" in coloured(line)


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_has_a_colour(flag: str) -> None:
    assert coloured(f"{flag}: 12 % of draws.").endswith(f"m{flag}\x1b[0m: 12 % of draws.")
