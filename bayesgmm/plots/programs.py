"""Programs side by side, by leave-one-out prediction."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import PALETTE, Keywords, legend_above, legible, shades

MINUS = "\u2212"


def programs(
    names: Sequence[str],
    distances: ArrayLike,
    errors: ArrayLike,
    weights: ArrayLike,
    *,
    undecided: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One line per program: how much worse than the best it predicts, and its stacking weight.

    Args:
        names: (m,) of the programs, the best first.
        distances: (m,) from the best, on the -2 log scale; 0 = best.
        errors: (m,) standard errors; NaN where there is none.
        weights: (m,) stacking weights; NaN where there is none.
        undecided: (m,) true where a distance is not to be ranked.
        ax: axes to draw on.
    """
    distance, error, weight = (np.asarray(a, dtype=float) for a in (distances, errors, weights))
    weak = np.zeros(distance.size, bool) if undecided is None else np.asarray(undecided, bool)
    ax = axes_or_new(ax, 5.2, 1.1 + 0.45 * len(names))
    ax.axvline(0.0, color=shades(ax).faint, linewidth=0.8, zorder=1)
    for row in range(len(names)):
        _program(ax, row, float(distance[row]), float(error[row]), weak=bool(weak[row]))
    told = [f"\nweight {w:.2f}" if np.isfinite(w) else "" for w in weight]
    ax.set_yticks(
        np.arange(len(names)), [f"{legible(n)}{w}" for n, w in zip(names, told, strict=True)]
    )
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(names) - 0.5, -0.5), ylabel="program")
    ax.set_xlabel(f"distance from best, {MINUS}2 log")
    legend_above(ax, _legend(ax, undecided=bool(weak.any())))
    return ax


def _program(ax: Axes, row: int, distance: float, error: float, *, weak: bool) -> None:
    if np.isfinite(error):
        ends = [distance - error, distance + error]
        ax.plot(ends, [row, row], color=PALETTE[0], linewidth=1.6, zorder=2)
    face = shades(ax).paper if weak else PALETTE[0]
    look: Keywords = dict(color=PALETTE[0], markerfacecolor=face, markersize=7, zorder=3)
    ax.plot([distance], [row], "D" if not weak else "o", **look)


def _legend(ax: Axes, *, undecided: bool) -> list[Line2D]:
    look: Keywords = dict(color=PALETTE[0], linewidth=1.6, markersize=6)
    paper = shades(ax).paper
    handles = [
        Line2D([], [], marker="D", label="\u00b1 1 se", **look),
        Line2D([], [], marker="o", markerfacecolor=paper, label="undecided", **look),
    ]
    return handles if undecided else handles[:1]
