"""Criteria against the number of components."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import (
    NOTE_SIZE,
    Keywords,
    Values,
    legend_above,
    shades,
    size_in_points,
)


class Look(NamedTuple):
    """How one criterion is drawn; darker than components are, as names are set in the colour."""

    colour: str
    marker: str
    dashes: tuple[float, ...] = ()


LOOKS = {
    "AIC": Look("#A66F00", "v", (4, 1.5)),
    "BIC": Look("#0072B2", "o"),
    "ICL": Look("#00785A", "s", (1, 1)),
    "LOO": Look("#B5317A", "D"),
}
SPARE = (Look("#4D4D4D", "P", (6, 1, 1, 1)), Look("#882255", "^"), Look("#8C564B", "X", (3, 1)))

LINEAR = 4.0  # distances up to here are spaced evenly, larger ones as their logarithms
STAR_GAP = 10.0  # points between stars at the same place
NAME_GAP = 10.5  # points between names at the right end
MINUS = "\u2212"


class Column(NamedTuple):
    """One criterion, its values in the order of k, and which of them are undecided."""

    name: str
    look: Look
    k: Values
    value: Values
    error: Values
    undecided: NDArray[np.bool_]

    @property
    def best(self) -> int | None:
        """Index of the smallest value that is decided."""
        ranked = np.where(self.undecided | ~np.isfinite(self.value), np.inf, self.value)
        return int(np.argmin(ranked)) if np.isfinite(ranked).any() else None


def criteria_by_k(
    n_components: ArrayLike,
    columns: Mapping[str, ArrayLike],
    *,
    errors: Mapping[str, ArrayLike] | None = None,
    undecided: Mapping[str, ArrayLike] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Distance of every k from the best one, per criterion, all on the -2 log scale.

    The scale is linear up to about 4 and logarithmic beyond (inverse hyperbolic sine), so that
    a difference of 2 can be seen next to one of 600. Undecided values are hollow, in brackets,
    connected to nothing, and never marked as the best.

    Args:
        n_components: (m,) numbers of components.
        columns: name -> (m,) distances from the best, 0 = best; NaN where there is none.
        errors: name -> (m,) standard errors, where a criterion has them.
        undecided: name -> (m,) true where the value is not to be ranked.
        ax: axes to draw on.
    """
    drawn = _columns(np.asarray(n_components, float), columns, errors or {}, undecided or {})
    ax = axes_or_new(ax)
    _scale(ax, drawn)
    for column in drawn:
        _lines(ax, column)
        _bars(ax, column)
        _brackets(ax, column)
    _stars(ax, drawn)
    _names(ax, drawn)
    legend_above(ax, _legend(ax, drawn))
    return ax


def families_by_k(
    n_components: ArrayLike,
    families: Mapping[str, ArrayLike],
    *,
    criterion: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Distance of every cell from the best one, a line for each family, on the -2 log scale.

    The families that come nearest to the best cell are named and in colour, the others grey.

    Args:
        n_components: (m,) numbers of components.
        families: name -> (m,) distances from the best cell, 0 = best; NaN where there is no fit.
        criterion: by which they were compared, for the axis.
        ax: axes to draw on.
    """
    drawn = sorted(_columns(np.asarray(n_components, float), families, {}, {}), key=_least)
    ax = axes_or_new(ax)
    _scale(ax, drawn)
    looks = list(LOOKS.values())  # as many as can be told apart
    leading = [column._replace(look=look) for column, look in zip(drawn, looks, strict=False)]
    others = drawn[len(leading) :]
    grey: Keywords = dict(color=shades(ax).muted, linewidth=0.7, alpha=0.6, zorder=2)
    for column in others:
        ax.plot(column.k, column.value, **grey)
    for rank, column in reversed(list(enumerate(leading))):
        _lines(ax, column, starred=rank == 0)
    _names(ax, leading)
    ax.set_ylabel(f"{criterion}, distance from best" if criterion else ax.get_ylabel())
    signs = []
    if np.isfinite(_least(leading[0])):
        _stars(ax, leading[:1])
        signs = _legend(ax, leading)
        signs[0].set_label("best cell")
    if others:
        signs.append(Line2D([], [], label=f"{len(others)} other families", **grey))
    legend_above(ax, signs)
    return ax


def _least(column: Column) -> float:
    return float(np.where(np.isfinite(column.value), column.value, np.inf).min())


def _columns(
    k: Values,
    columns: Mapping[str, ArrayLike],
    errors: Mapping[str, ArrayLike],
    undecided: Mapping[str, ArrayLike],
) -> list[Column]:
    order, spare = np.argsort(k, kind="stable"), cycle(SPARE)
    drawn = []
    for name, values in columns.items():
        look = LOOKS[name] if name in LOOKS else next(spare)
        value = np.asarray(values, dtype=np.float64)[order]
        error = np.asarray(errors.get(name, np.full(k.size, np.nan)), dtype=np.float64)[order]
        weak = np.asarray(undecided.get(name, np.zeros(k.size)), dtype=np.bool_)[order]
        drawn.append(Column(name, look, k[order], value, error, weak))
    return drawn


def _lines(ax: Axes, column: Column, *, starred: bool = True) -> None:
    """The decided values; the line has a gap where one is undecided."""
    ranked = np.where(column.undecided, np.nan, column.value)
    look = column.look
    (line,) = ax.plot(column.k, ranked, color=look.colour, linewidth=1.6, zorder=3)
    line.set(marker=look.marker, markersize=5.5)
    line.set_markevery([j for j in range(column.k.size) if not starred or j != column.best])
    if look.dashes:
        line.set_dashes(look.dashes)


def _bars(ax: Axes, column: Column) -> None:
    known = np.isfinite(column.value) & (np.nan_to_num(column.error) > 0)
    low, high = column.value - column.error, column.value + column.error
    for here, width in ((known & ~column.undecided, 1.3), (known & column.undecided, 0.7)):
        style: Keywords = dict(color=column.look.colour, linewidth=width, zorder=2)
        ax.vlines(column.k[here], low[here], high[here], **style)


def _brackets(ax: Axes, column: Column) -> None:
    k, value = column.k[column.undecided], column.value[column.undecided]
    style: Keywords = dict(color=column.look.colour, linestyle="none", zorder=4)
    inside: Keywords = dict(
        marker=column.look.marker, markersize=5.5, markerfacecolor=shades(ax).paper
    )
    ax.plot(k, value, **inside, **style)
    ax.plot(k, value, marker=r"$(\;\;)$", markersize=14, markeredgewidth=0.3, **style)


def _stars(ax: Axes, columns: Sequence[Column]) -> None:
    """One star per best; stars that would coincide stand side by side."""
    found = [(column, column.best) for column in columns]
    places = [(c, (float(c.k[j]), float(c.value[j]))) for c, j in found if j is not None]
    gap = STAR_GAP * np.ptp(ax.get_xlim()) / size_in_points(ax)[0]
    style: Keywords = dict(marker="*", markersize=15, linestyle="none", clip_on=False, zorder=6)
    for column, (k, value) in places:
        same = [other.name for other, place in places if place == (k, value)]
        shift = gap * (same.index(column.name) - (len(same) - 1) / 2)
        (star,) = ax.plot([k + shift], [value], color=column.look.colour, **style)
        star.set(markeredgecolor=shades(ax).paper, markeredgewidth=0.8)


def _scale(ax: Axes, columns: Sequence[Column]) -> None:
    k = columns[0].k
    low, high = _range(columns)
    margin = 0.06 * max(_stretch(high) - _stretch(low), 1.0)
    bottom, top = LINEAR * np.sinh([_stretch(low) - margin, _stretch(high) + margin])
    ax.set_yscale("asinh", linear_width=LINEAR)
    ax.set(xlim=(k[0] - 0.35, k[-1] + 0.35), ylim=(bottom, top))
    ax.yaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}".replace("-", MINUS)))
    ax.xaxis.set_major_locator(FixedLocator(k[:: -(-k.size // 15)].tolist()))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.axhline(0.0, color=shades(ax).faint, linewidth=0.8, zorder=1)
    ax.set(xlabel="number of components k", ylabel=f"distance from best, {MINUS}2 log")


def _stretch(value: float) -> float:
    return float(np.arcsinh(value / LINEAR))


def _range(columns: Sequence[Column]) -> tuple[float, float]:
    """Limits that hold all values and their bars."""
    bars = [np.nan_to_num(column.error) for column in columns]
    low = [column.value - bar for column, bar in zip(columns, bars, strict=True)]
    high = [column.value + bar for column, bar in zip(columns, bars, strict=True)]
    ends = np.concatenate([*low, *high, [0.0, LINEAR]])
    return float(np.nanmin(ends)), float(np.nanmax(ends))


def _ticks(low: float, high: float) -> list[float]:
    fine = [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
    steps = fine if high < 1500 else [5.0, *(10.0**power for power in range(1, 13))]
    return [-s for s in reversed(steps) if -s >= low] + [0.0] + [s for s in steps if s <= high]


def _names(ax: Axes, columns: Sequence[Column]) -> None:
    """Each criterion's name at the right end of its line, pushed apart where they meet."""
    bottom, top = (_stretch(end) for end in ax.get_ylim())
    shown = [column for column in columns if np.isfinite(column.value).any()]
    ends = [float(c.value[np.isfinite(c.value)][-1]) for c in shown]
    natural = [(_stretch(end) - bottom) / (top - bottom) for end in ends]
    heights = apart(natural, NAME_GAP / size_in_points(ax)[1])
    for column, height in zip(shown, heights, strict=True):
        style: Keywords = dict(xycoords="axes fraction", va="center", fontweight="bold")
        place, size = (1.01, height), NOTE_SIZE + 0.5
        ax.annotate(column.name, place, color=column.look.colour, fontsize=size, **style)


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """The heights, neighbours at least `gap` apart; those that meet spread about their centre."""
    order = np.argsort(heights, kind="stable")
    groups: list[list[float]] = []
    for height in np.asarray(heights)[order].tolist():
        groups.append([height])
        while len(groups) > 1 and _spread(groups[-1], gap)[0] < _spread(groups[-2], gap)[-1] + gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = [height for group in groups for height in _spread(group, gap)]
    return [placed[rank] for rank in np.argsort(order).tolist()]


def _spread(group: Sequence[float], gap: float) -> list[float]:
    centre, middle = sum(group) / len(group), (len(group) - 1) / 2
    return [centre + gap * (j - middle) for j in range(len(group))]


def _legend(ax: Axes, columns: Sequence[Column]) -> list[Line2D]:
    look: Keywords = dict(color=shades(ax).text, linestyle="none", markeredgewidth=0.3)
    signs = [Line2D([], [], marker="*", markersize=12, label="best k", **look)]
    if any(np.isfinite(column.error).any() for column in columns):
        look["markeredgewidth"] = 1.3
        signs.append(Line2D([], [], marker="|", markersize=10, label="\u00b1 1 se", **look))
    if any(column.undecided.any() for column in columns):
        look["markeredgewidth"] = 0.3
        note = "undecided, not ranked"
        signs.append(Line2D([], [], marker=r"$(\circ)$", markersize=15, label=note, **look))
    return signs
