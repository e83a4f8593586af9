"""Leave-one-out prediction, row by row."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import (
    MANY_POINTS,
    NOTE_SIZE,
    PALETTE,
    Keywords,
    Values,
    legend_above,
    shades,
)

NAMED = 5  # rows
ROOM = (0.09, 0.05)  # that a number takes, as shares of the axes


def loo_by_row(
    elpd: ArrayLike, pareto_k: ArrayLike, good_k: float, *, ax: Axes | None = None
) -> Axes:
    """The log predictive density of every row when it is left out.

    Rows whose Pareto k-hat is above its limit, so that the value cannot be trusted, are marked;
    the rows that are predicted worst carry their numbers.

    Args:
        elpd: (n,) log densities.
        pareto_k: (n,) reliability.
        good_k: its limit.
        ax: axes to draw on.
    """
    value, k = np.asarray(elpd, dtype=np.float64), np.asarray(pareto_k, dtype=np.float64)
    ax, bad = axes_or_new(ax), ~(k <= good_k)
    rows = np.arange(value.size)
    plain: Keywords = dict(linestyle="none", rasterized=value.size > MANY_POINTS)
    good: Keywords = dict(marker="o", markersize=3.2, markeredgewidth=0, color=shades(ax).muted)
    risky: Keywords = dict(marker="X", markersize=7, color=PALETTE[1])
    risky["markeredgecolor"] = shades(ax).paper
    ax.plot(rows[~bad], value[~bad], zorder=2, **good, **plain)
    ax.plot(rows[bad], value[bad], zorder=3, **risky, **plain)
    _names(ax, value, bad)
    ax.set(xlabel="row", ylabel="log density when left out")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    ax.margins(x=0.04, y=0.08)
    limit = f"{good_k:.2f}"
    told = [(good, f"Pareto k-hat up to {limit}"), (risky, f"{bad.sum()} above: not reliable")]
    handles = [Line2D([], [], linestyle="none", label=name, **look) for look, name in told]
    legend_above(ax, handles if bad.any() else handles[:1])
    return ax


def _names(ax: Axes, value: Values, bad: NDArray[np.bool_]) -> None:
    """Numbers of the rows that are predicted worst, but for those that would cover another."""
    worst = np.argsort(value, kind="stable")[:NAMED]
    places = np.column_stack([worst / value.size, value[worst] / max(np.ptp(value), 1e-9)])
    for rank, (row, place) in enumerate(zip(worst.tolist(), places, strict=True)):
        if (np.abs(places[:rank] - place) < ROOM).all(axis=1).any():
            continue
        left = row > 0.9 * value.size
        note: Keywords = dict(textcoords="offset points", va="center", fontsize=NOTE_SIZE)
        note["color"] = PALETTE[1] if bad[row] else shades(ax).text
        side, shift = ("right", -5) if left else ("left", 5)
        ax.annotate(str(row), (row, value[row]), (shift, 0), ha=side, **note)
