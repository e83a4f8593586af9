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
