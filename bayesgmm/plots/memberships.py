"""Single rows: the probability of each component, with its interval."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import (
    ComponentStyle,
    Keywords,
    Values,
    component_styles,
    legend_above,
    legible,
    mark_component,
    membership_styles,
    shades,
)

SEEN = 0.005  # components whose interval ends below it are left out of a row
LANE = 0.15  # inches between components of one row
DOT = 9.5  # points


def memberships(
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    rows: Sequence[object] | None = None,
    level: float = 0.95,
    background: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """One line per row: each component's probability and its interval.

    A component that a row surely does not belong to is left out of its line.

    Args:
        mean: (r, k) posterior mean probabilities of r rows, the first on top.
        low, high: (r, k) ends of their intervals.
        rows: the rows' names; 0, 1, ... by default.
        level: mass of the intervals, for the legend.
        background: whether the last component is one.
        ax: axes to draw on.
    """
    p, lower, upper = (np.asarray(a, dtype=np.float64) for a in (mean, low, high))
    seen = upper >= SEEN
    lanes = int(seen.sum(axis=1).max())
    inches = LANE * (lanes + 1)
    ax = axes_or_new(ax, 5.2, 0.9 + inches * len(p))
    styles = membership_styles(ax, p.shape[1], background=background)
    for i in range(len(p)):
        shown = np.flatnonzero(seen[i])
        places = i + (np.arange(shown.size) - (shown.size - 1) / 2) * LANE / inches
        for j, y in zip(shown.tolist(), places.tolist(), strict=True):
            own = np.array([lower[i, j], p[i, j], upper[i, j]])
            _probability(ax, own, y, j, styles[j])
    ax.hlines(np.arange(1, len(p)) - 0.5, 0, 1, color=shades(ax).faint, linewidth=0.6, zorder=1)
    names = range(len(p)) if rows is None else rows
    ax.set_yticks(np.arange(len(p)), [legible(name) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(-0.03, 1.03), ylim=(len(p) - 0.5, -0.5))
    ax.set(xlabel="probability of the component", ylabel="row")
    legend_above(ax, _legend(ax, level, background=background))
    return ax


def _probability(ax: Axes, interval: Values, y: float, j: int, style: ComponentStyle) -> None:
    low, mean, high = interval.tolist()
    ax.plot([low, high], [y, y], color=style.colour, linewidth=2.0, zorder=2)
    if style == component_styles(j + 1)[j]:
        mark_component(ax, mean, y, j, size=DOT)
    else:
        ax.plot([mean], [y], style.marker, color=style.colour, markersize=0.7 * DOT, zorder=3)


def _legend(ax: Axes, level: float, *, background: bool) -> list[Line2D]:
    look: Keywords = dict(color=shades(ax).muted, linewidth=2.0)
    handles = [
        Line2D([], [], marker="o", label=f"posterior mean, {100 * level:g} % interval", **look),
        Line2D([], [], marker="X", label="background", **look),
    ]
    return handles if background else handles[:1]
