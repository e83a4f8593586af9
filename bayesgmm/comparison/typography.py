"""From what can be typed to what is printed: minus signs, dashes, Greek letters."""

import html
import re

from markupsafe import Markup

DASH, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

PROSE = (
    (r"^-$", DASH),
    (r"(?<![\w)-])-(?=[\d.])", MINUS),
    (r"(?<=\d) x (?=\d)", f" {TIMES} "),
    (r" \+- ", " \N{PLUS-MINUS SIGN} "),
    (r"\bsigma\b", "\N{GREEK SMALL LETTER SIGMA}"),
    (r"\bSigma\b", "\N{GREEK CAPITAL LETTER SIGMA}"),
    (r"\btau\b", "\N{GREEK SMALL LETTER TAU}"),
    (r" <= ", " \N{LESS-THAN OR EQUAL TO} "),
    (r" >= ", " \N{GREATER-THAN OR EQUAL TO} "),
)


def prose(text: str) -> str:
    """A sentence or a cell as a printer would set it.

    >>> prose("3.1 +- 0.2")
    '3.1 ± 0.2'
    """
    for pattern, sign in PROSE:
        text = re.sub(pattern, sign, text)
    return text


def pages(text: str) -> str:
    """A reference with dashes between its page numbers."""
    return re.sub(r"(?<=\d)-(?=\d)", DASH, text)


def captioned(table: str, caption: str) -> Markup:
    """A table of the library under a caption, with minus signs, and dashes for missing values."""
    table = re.sub(r"(?<=[>(])-(?=[\d.])", MINUS, table).replace(">-<", f">{DASH}<")
    return Markup(table.replace(">", f"><caption>{html.escape(caption)}</caption>", 1))
