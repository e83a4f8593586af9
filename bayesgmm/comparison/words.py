"""How numbers are written: digits that mean something, and nothing that is not a number."""

import math
from collections.abc import Sequence

INFERENCES = {
    "nuts": "NUTS",
    "vi": "variational approximation",
    "laplace": "Laplace approximation",
    "draws": "draws made elsewhere",
}
COARSE = 10_000  # a distance beyond it is as good as any other
SMALL = 1e-6  # a spread below it needs more decimals than a table has room for


def number(value: float, spread: float, width: int = 0) -> str:
    """A value to the digits that its spread supports: two significant digits of the spread."""
    if not math.isfinite(value):
        return "-".rjust(width)
    if 0 < spread < SMALL:
        return f"{value:.3g}".rjust(width)
    return _strip(f"{value:.{decimals(spread)}f}").rjust(width)


def decimals(spread: float) -> int:
    """Decimals that show two significant digits of a spread."""
    if not math.isfinite(spread) or spread <= 0:
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(spread))))


def fixed(value: float, digits: int, width: int = 0) -> str:
    """A value with so many decimals; a dash where there is none."""
    return (f"{value:.{digits}f}" if math.isfinite(value) else "-").rjust(width)


def _strip(text: str) -> str:
    """.356 instead of 0.356, as tables of proportions are set."""
    for sign in ("", "-"):
        if text.startswith(f"{sign}0."):
            return sign + text[len(sign) + 1 :]
    return text


def distance(value: float) -> str:
    """A distance on the -2 log scale, to a tenth while that can matter."""
    return fixed(value, 1 if abs(value) < COARSE else 0)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, every column right-aligned and as wide as its widest cell."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        " ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]


def counted(n: int | float, noun: str) -> str:
    """ "1 row", "2 rows"."""
    return f"{n:g} {noun}" if n == 1 else f"{n:,.0f} {noun}s"


def listed(names: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
