"""Tables of parameters as text: one heading for each component, columns as wide as their cells."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from bayesgmm.comparison.words import counted, shortened
from bayesgmm.data.lines import WIDTH
from bayesgmm.ml.places import SHARED

LEAST_LABEL = 11


class Column(NamedTuple):
    """A column of the table: which cells, and what stands above them."""

    key: str
    heading: str


class Row(NamedTuple):
    """A row: its component, its label, and its cells by the columns' keys.

    A cell of several words has as many parts, each aligned with those above it.
    """

    component: int
    label: str
    cells: Mapping[str, str]


def row_label(name: str, column: str, component: int) -> str:
    """A column's mean under the column's name, its standard deviation indented below."""
    if name == "mean" and column:
        return f" {column}"
    return "  sd" if name == "sd" and component != SHARED else f" {name} {column}".rstrip()


def heading(component: int, counts: Float[np.ndarray, " k"]) -> str:
    """What stands above a component's rows."""
    if component == SHARED:
        return "all components"
    return f"{component} ({counted(counts[component - 1], 'row')})"


def grouped(
    rows: Sequence[Row],
    headings: Mapping[int, str],
    columns: Sequence[Column],
    narrow: Sequence[Column] = (),
) -> list[str]:
    """The table as lines, one group of rows for each heading.

    Args:
        rows: in order; those of one component together.
        headings: the line above each component's rows.
        columns: what to show.
        narrow: what to show where that is wider than `WIDTH`.
    """
    lines = _set(rows, columns)
    if narrow and max(map(len, lines)) > WIDTH - LEAST_LABEL:
        lines = _set(rows, narrow)
    room = WIDTH - max(map(len, lines))
    width = max(LEAST_LABEL, min(room, max(len(row.label) for row in rows)))
    head, *rest = lines
    text = [f"{'':{width}}{head}"]
    for component, heading in headings.items():
        text.append(heading)
        text += [
            f"{shortened(row.label, width):{width}}{line}"
            for row, line in zip(rows, rest, strict=True)
            if row.component == component
        ]
    return text


def _set(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """The heading and the rows as lines, every column as wide as its widest cell."""
    lines = [""] * (len(rows) + 1)
    for column in columns:
        parts = [row.cells[column.key].split(" ") for row in rows]
        widths = [max(map(len, part)) for part in zip(*parts, strict=True)]
        cells = [" ".join(p.rjust(w) for p, w in zip(part, widths, strict=True)) for part in parts]
        width = max(len(column.heading), *map(len, cells))
        every = ["|" if column.key == "bar" else column.heading, *cells]
        lines = [f"{line} {cell:>{width}}" for line, cell in zip(lines, every, strict=True)]
    return lines
