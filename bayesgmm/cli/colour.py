"""Colours that repeat what the text's own marks say, so that nothing is lost without them."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"
GOOD = "stable|approximate"
CAREFUL = "labels ambiguous|over-fitted|multimodal|collapsed"
UNUSABLE = "not converged|interrupted|poor approximation"
MARKS = {
    r"^(?:  next|next): (.*)$": CYAN,
    r"^written: (.*?) \(": BOLD,
    r"^(Chosen: k = \d+|Best by \w+: \w+ with \d+|LOO: (?!\d)[^\s,]+)(?=[,;( ])": BOLD,
    r"(?<![\w.])([\d.,]+\*)": BOLD,  # the best of its column
    r"^(.*\(\S+\) +\(\S+\).*)  [A-Z ]+$": DIM,  # a row that is not ranked
    rf"(?:  |: )({GOOD}|{GOOD.upper()})$": GREEN,
    rf"(?:  |: )({CAREFUL}|{CAREFUL.upper()})$": YELLOW,
    rf"(?:  |: )({UNUSABLE.upper()})$": RED,
    rf"^({CAREFUL}): ": YELLOW,
    rf"^({UNUSABLE}): ": RED,
    r"^bayesgmm: (warning): ": YELLOW,
}


def on_terminal(stream: Any) -> bool:
    """Whether it is shown on a terminal; a stream that is closed is None."""
    return stream is not None and stream.isatty()


def painted(text: str, terminal: bool, environment: Mapping[str, str] = os.environ) -> str:
    """The text, with colours where they are wanted."""
    return coloured(text) if wants_colours(terminal, environment) else text


def wants_colours(terminal: bool, environment: Mapping[str, str]) -> bool:
    """Whether it is shown on a terminal that has some; NO_COLOR and FORCE_COLOR overrule it."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return terminal and environment.get("TERM") != "dumb"


def coloured(text: str) -> str:
    """The text with its marks coloured: best, undecided, verdicts, warnings, what to run next.

    >>> coloured("  next: bayesgmm datasets")
    '  next: \\x1b[36mbayesgmm datasets\\x1b[0m'
    """
    return "\n".join(_coloured(text.split("\n")))


def _coloured(lines: list[str]) -> Iterator[str]:
    warning = False
    for line in lines:
        continued = warning and line.startswith("  ") and not line.startswith("  next: ")
        warning = continued or line.startswith("! ")
        yield _styled(line, YELLOW) if warning else _marked(line)


def _marked(line: str) -> str:
    for pattern, style in MARKS.items():
        for found in reversed(list(re.finditer(pattern, line))):
            start, end = found.span(1)
            line = line[:start] + _styled(line[start:end], style) + line[end:]
    return line


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if text else text
