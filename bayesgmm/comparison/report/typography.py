"""From what can be typed to what is printed: minus signs, dashes, Greek letters, exponents."""

import re

from markupsafe import Markup, escape

DASH, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

# Over text in which &, <, > and quotes are escaped already.
PROSE = (
    (r"^-$", DASH),
    (r"\b1e-0?(\d+)", r"10^(-\1)"),
    (r"(?<![\w)-])-(?=[\d.])| - ", lambda found: found[0].replace("-", MINUS)),
    (r"\^\(([^)]*)\)", r"<sup>\1</sup>"),
    (r"\bp_loo\b", "p<sub>loo</sub>"),
    (r"(?<=\d) x (?=\d)", f" {TIMES} "),
    (r" \+- ", " \N{PLUS-MINUS SIGN} "),
    (r"&lt;=", "\N{LESS-THAN OR EQUAL TO}"),
    (r"&gt;=", "\N{GREATER-THAN OR EQUAL TO}"),
    (r" (=|&lt;|&gt;|\N{LESS-THAN OR EQUAL TO}|\N{GREATER-THAN OR EQUAL TO}) ", "&nbsp;\\1&nbsp;"),
    (r"(?<=\d) %|\b(?:ESS|R-hat) (?=\d)", lambda found: found[0].replace(" ", "&nbsp;")),
    (r"\bsigma\b", "\N{GREEK SMALL LETTER SIGMA}"),
    (r"\bSigma\b", "\N{GREEK CAPITAL LETTER SIGMA}"),
    (r"\btau\b", "\N{GREEK SMALL LETTER TAU}"),
    (r"(?<!\w)--[a-z]+(-[a-z]+)*", r"<code>\g<0></code>"),
)


def prose(text: str) -> Markup:
    """A sentence or a cell as a printer would set it, safe in HTML.

    >>> print(prose("<b> 3.1 +- 0.2 by --seed 1"))
    &lt;b&gt; 3.1 ± 0.2 by <code>--seed</code> 1
    """
    safe = str(escape(text))
    for pattern, sign in PROSE:
        safe = re.sub(pattern, sign, safe)
    return Markup(safe)


def pages(text: str) -> str:
    """A reference with dashes between its page numbers."""
    return re.sub(r"(?<=\d)-(?=\d)", DASH, text)


def captioned(table: str, caption: str) -> Markup:
    """A table of the library under a caption, with minus signs, and dashes for missing values."""
    table = re.sub(r"(?<=[>(])-(?=[\d.])", MINUS, table).replace(">-<", f">{DASH}<")
    return Markup(table.replace(">", f"><caption><span>{prose(caption)}</span></caption>", 1))
