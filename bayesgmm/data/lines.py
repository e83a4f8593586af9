"""Lines of text that a terminal holds."""

import textwrap
from collections.abc import Iterable

WIDTH = 80
LEAST_NAME = 12  # of what a line is about, however long the rest


def wrapped(lines: Iterable[str], width: int = WIDTH) -> list[str]:
    """Lines no longer than the width, continued with an indent; commands stay whole."""
    folded = []
    for line in lines:
        if line.startswith("  next: "):
            folded.append(line)
        else:
            folded += textwrap.wrap(line, width, subsequent_indent="  ") or [""]
    return folded


def shortened(text: str, width: int) -> str:
    """The text, with an ellipsis for its middle where it is longer than the width.

    Names that differ in their ends stay apart.

    >>> shortened("sepal_length", 9), shortened("waiting", 9)
    ('sep...gth', 'waiting')
    """
    kept = width - 3
    return text if len(text) <= width else f"{text[: (kept + 1) // 2]}...{text[-(kept // 2) :]}"


def fitting(name: str, rest: str) -> str:
    """The name, shortened to what the rest of its line leaves."""
    return shortened(name, max(LEAST_NAME, WIDTH - len(rest)))
