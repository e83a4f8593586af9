"""Tables of parameters as text and as HTML: one heading for each component."""

import html
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from bayesgmm.comparison.words import counted
from bayesgmm.data.lines import WIDTH, shortened
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


class Name(NamedTuple):
    """What a row is of: its component, "weight", "mean", "sd", "corr" or another, its column."""

    component: int
    name: str
    column: str


def by_column(names: Sequence[Name], cells: Sequence[Mapping[str, str]]) -> list[Row]:
    """Rows in the order of the columns: a correlation stands under the second of its two.

    There it names the first alone, which a narrow table has room for.
    """
    columns = list(dict.fromkeys(each.column for each in names if each.name in ("mean", "sd")))
    pairs = {f"{a}, {b}": (a, b) for a, b in combinations(columns, 2)}
    components = list(dict.fromkeys(each.component for each in names))
    rows = []
    for each, own in zip(names, cells, strict=True):
        label, under = row_label(each.name, each.column, each.component), each.column
        if each.name == "corr" and each.column in pairs:
            with_column, under = pairs[each.column]
            label = f"  corr {with_column}"
        at = columns.index(under) if under in columns else -1
        rows.append((components.index(each.component), at, Row(each.component, label, own)))
    return [row for *_, row in sorted(rows, key=lambda each: each[:2])]


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
    width = _label_width(rows, lines)
    if narrow and (max(map(len, lines)) + width > WIDTH or _alike(rows, width)):
        lines = _set(rows, narrow)
        width = _label_width(rows, lines)
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


def grouped_html(
    rows: Sequence[Row], headings: Mapping[int, str], columns: Sequence[Column]
) -> str:
    """The same table as HTML, a body for each heading; a cell of several words takes as many."""
    shown = [column for column in columns if column.key != "bar"]
    spans = [
        max((len(row.cells[column.key].split(" ")) for row in rows), default=1) for column in shown
    ]
    head = "".join(
        f'<th scope="col" colspan="{span}">{html.escape(column.heading.lstrip("| "))}</th>'
        for column, span in zip(shown, spans, strict=True)
    )
    bodies = []
    for component, heading in headings.items():
        own = [_html_row(row, shown) for row in rows if row.component == component]
        title = f'<th colspan="{sum(spans) + 1}" scope="rowgroup">{html.escape(heading)}</th>'
        bodies.append(f'<tbody><tr class="group">{title}</tr>{"".join(own)}</tbody>')
    return f"<table><thead><tr><td></td>{head}</tr></thead>{''.join(bodies)}</table>"


def _html_row(row: Row, columns: Sequence[Column]) -> str:
    parts = [part for column in columns for part in row.cells[column.key].split(" ")]
    cells = "".join(f"<td>{html.escape(part)}</td>" for part in parts)
    kind = ' class="under"' if row.label.startswith("  ") else ""
    return f'<tr{kind}><th scope="row">{html.escape(row.label.strip())}</th>{cells}</tr>'


def _label_width(rows: Sequence[Row], lines: Sequence[str]) -> int:
    """What the lines leave to the labels, as far as they need it."""
    room = WIDTH - max(map(len, lines))
    return max(LEAST_LABEL, min(room, max(len(row.label) for row in rows)))


def _alike(rows: Sequence[Row], width: int) -> bool:
    """Whether names that differ would look the same."""
    named = {(row.component, row.label) for row in rows if not row.label.startswith("  sd")}
    return len({(j, shortened(label, width)) for j, label in named}) < len(named)


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
